"""On a GPU a run gives the CPU's scores, replays CUDA graphs, and asks for an image's scores once."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from torch import Tensor

from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.evaluation.pipeline import Scorer
from restorebench.benchmarks.inference.numerics import Numerics
from restorebench.benchmarks.inference.runner import Runner
from restorebench.benchmarks.protocols.catalogue import PROTOCOLS
from restorebench.benchmarks.protocols.pairs import Packed
from restorebench.datasets.samples import Sample
from restorebench.datasets.tasks import Task
from restorebench.models import create_model, list_models

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none here"),
]
GPU = torch.device("cuda:0")
NETWORKS = [card.key for card in list_models() if card.built_from == "arguments" and "tiny" in card.variants]


def pictures(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, 120, 90, generator=generator).to(GPU) for _ in range(count)]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_replayed_graph_restores_what_a_pass_does(name: str, dtype: str) -> None:
    eager = Runner(create_model(name, variant="tiny", weights="none"), Numerics(device="cuda:0", dtype=dtype))
    replayed = Runner(
        create_model(name, variant="tiny", weights="none"), Numerics(device="cuda:0", dtype=dtype, cuda_graphs=True)
    )
    assert replayed.graphs is not None
    for image in pictures(4):
        expected, _ = eager.restore(image[None])
        found, how = replayed.restore(image[None])
        assert how == "whole"
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 if dtype == "float32" else 2e-2)
    assert len(replayed.graphs) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_scores_are_those_of_the_cpu_and_come_in_one_transfer(protocol: object) -> None:
    from restorebench.benchmarks.protocols.protocol import Protocol

    assert isinstance(protocol, Protocol)
    generator = torch.Generator().manual_seed(0)
    degraded, restored = (torch.rand(3, 96, 80, generator=generator) for _ in range(2))
    clean = torch.randint(0, 256, (3, 96, 80), dtype=torch.uint8, generator=generator)
    expected = Scorer(protocol).row("a.png", degraded, clean, restored, "whole")
    there = [each.to(GPU) for each in (degraded, clean, restored)]
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        protocol.measure(there[2], there[1])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    found = Scorer(protocol).row("a.png", *there, "whole")
    assert found.psnr == pytest.approx(expected.psnr, abs=1e-6)
    if protocol.ssim is not None:
        assert found.ssim == pytest.approx(expected.ssim, abs=1e-9)


def test_levels_become_the_same_numbers_to_the_last_bit_and_nobody_waits_for_the_copy() -> None:
    levels = torch.arange(256, dtype=torch.uint8).repeat(3, 1).view(3, 16, 16)
    packed = Packed(levels, levels, None).pinned()
    torch.cuda.set_sync_debug_mode("error")
    try:
        pair = packed.placed(GPU)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(pair.degraded.cpu(), Packed(levels, levels, None).placed(torch.device("cpu")).degraded)
    assert torch.equal(pair.clean.cpu(), levels)


def test_noise_on_the_device_is_numpys() -> None:
    protocol = PROTOCOLS["promptir@1"]
    clean = torch.randint(0, 256, (48, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).numpy()
    sample = Sample("a.png", clean, None, Task("denoise", "probe", 25))
    there = protocol.pack(sample).pinned().placed(GPU)
    assert torch.equal(there.degraded.cpu(), protocol.prepare(sample).degraded)


@pytest.mark.parametrize("options", [[], ["cuda_graphs=true"], ["batch=auto"], ["channels_last=true"]])
def test_a_run_on_the_gpu_has_the_scores_of_the_cpu(options: list[str], tmp_path: Path) -> None:
    asked = ["run", "model=nafnet", "variant=tiny", "weights=none", "tasks=derain", "metrics=[psnr]", "previews=none"]
    assert main([*asked, "device=cpu", f"results={tmp_path / 'cpu'}"]) == 0
    assert main([*asked, "device=cuda", f"results={tmp_path / 'gpu'}", *options]) == 0
    rows = [scores(tmp_path / kind) for kind in ("cpu", "gpu")]
    assert rows[0].keys() == rows[1].keys()
    for name, value in rows[0].items():
        assert rows[1][name] == pytest.approx(value, abs=1e-3)


def scores(results: Path) -> dict[str, float]:
    """PSNR of every image of the one cell."""
    (file,) = results.rglob("images.csv")
    with file.open(encoding="utf-8", newline="") as lines:
        return {row["image"]: float(row["psnr"]) for row in csv.DictReader(lines)}
