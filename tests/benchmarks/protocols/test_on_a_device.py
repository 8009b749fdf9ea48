"""Images are fed and scored on the device that restores them, which is asked once for the scores of an image."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import lpips as package
import numpy as np
import pytest
import torch
from torch import Tensor

from restorebench.benchmarks.evaluation.pipeline import Scorer
from restorebench.benchmarks.protocols.catalogue import PROTOCOLS
from restorebench.benchmarks.protocols.lpips import Lpips
from restorebench.benchmarks.protocols.pairs import Packed
from restorebench.benchmarks.protocols.protocol import Protocol, scores_read
from restorebench.datasets.samples import Sample, Task

from ...models.placement import device as placed

CUDA = torch.device(placed.DEVICE)
EVERY = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))


def lpips_there() -> Lpips:
    """LPIPS with a random backbone; to be made on the device."""
    measure = object.__new__(Lpips)
    measure.network = package.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False).to(CUDA).eval()
    measure.choice = cast("Any", SimpleNamespace(label="alex-test"))
    measure._lock = threading.Lock()
    return measure


def images() -> tuple[Tensor, Tensor, Tensor]:
    """Degraded, clean and restored (3, 64, 80), on the device."""
    clean = torch.zeros(3, 64, 80, dtype=torch.uint8, device=CUDA)
    return torch.rand(3, 64, 80, device=CUDA), clean, torch.rand(3, 64, 80, device=CUDA)


def sample(protocol: Protocol, height: int = 37, width: int = 45) -> Sample:
    """A sample that the protocol is defined for."""
    numbers = np.random.default_rng(0)
    clean = numbers.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if protocol.pairs:
        return Sample("a.png", clean, clean[::-1].copy(), Task("derain", "probe"))
    return Sample("a.png", clean, None, Task("denoise", "probe", 25))


@EVERY
@pytest.mark.parametrize("with_lpips", [False, True])
def test_the_scores_of_an_image_and_of_its_input_come_back_in_one_transfer(
    protocol: Protocol, with_lpips: bool
) -> None:
    with placed.device(answer=0.5) as questions:
        scorer = Scorer(protocol, lpips_there() if with_lpips else None)
        degraded, clean, restored = images()
        questions.counts.clear()
        row = scorer.row("a.png", degraded, clean, restored, "whole")
        assert row.psnr == 0.5, row.message
        assert dict(questions.counts) == {"tolist": 1}


@EVERY
def test_what_a_network_gave_is_finished_there(protocol: Protocol) -> None:
    with placed.device():
        _, _, restored = images()
        assert protocol.finish(restored.to(torch.bfloat16), (64, 80)).device.type == placed.DEVICE


@EVERY
def test_images_are_unpacked_there_without_a_wait(protocol: Protocol) -> None:
    packed = protocol.pack(sample(protocol))
    expected = protocol.prepare(sample(protocol))
    with placed.device() as questions:
        there = Packed(
            *(torch.zeros(each.shape, dtype=each.dtype, device="cpu") for each in (packed.degraded, packed.clean)),
            packed.pad_multiple,
        )
        pair = there.placed(CUDA)
        assert pair.degraded.device.type == pair.clean.device.type == placed.DEVICE
        assert pair.degraded.shape == expected.degraded.shape
        assert not questions.counts


def test_whole_levels_travel_in_a_quarter_of_the_bytes_and_become_the_same_numbers() -> None:
    protocol = PROTOCOLS["promptir@1"]
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    packed = protocol.pack(Sample("a.png", every, every, Task("derain", "probe")))
    assert packed.degraded.dtype == torch.uint8
    levels = packed.placed(torch.device("cpu")).degraded
    assert levels.flatten(1)[0].numpy().tobytes() == (np.arange(256).astype(np.float32) / np.float32(255)).tobytes()


@pytest.mark.parametrize("name", ["promptir@1", "kbnet-gauss@1"])
def test_noise_is_the_same_to_the_last_bit_however_it_travels(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.noise is not None
    clean = sample(PROTOCOLS["kbnet-gauss@1"], 32, 48).clean
    noisy = protocol.noise.degrade(clean, "a.png", 25)
    packed = protocol.pack(Sample("a.png", clean, None, Task("denoise", "probe", 25)))
    assert packed.placed(torch.device("cpu")).degraded.numpy().tobytes() == noisy.transpose(2, 0, 1).tobytes()


def test_one_vector_holds_what_the_scores_are() -> None:
    protocol = PROTOCOLS["promptir@1"]
    pair = protocol.prepare(sample(protocol, 48, 48))
    measured = protocol.measure(pair.degraded, pair.clean)
    assert measured.shape == (5,)
    assert scores_read(measured.tolist(), pair.degraded) == protocol.score(pair.degraded, pair.clean)
