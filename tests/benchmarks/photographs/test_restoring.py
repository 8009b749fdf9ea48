"""The choice of tiles by memory, what happens where memory does not suffice, and the memory that large ones take."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.photographs.limits import CPU_BYTES
from restorebench.benchmarks.photographs.photograph import Photograph
from restorebench.benchmarks.photographs.restoring import PhotographRestorer
from restorebench.benchmarks.photographs.tiles import Tiling
from restorebench.models import WeightsInfo, create_model
from restorebench.models.card import ModelCard, SizeRule, Variant
from restorebench.models.card import Tiling as Policy
from restorebench.models.restorer import Restorer

from .files import noise

MIB = 2**20


def restorer(network: nn.Module, **facts: Any) -> Restorer:
    card = ModelCard(
        name="it", title="It", variants={"only": Variant()}, paper="", url="", year=2026, code_licence="", **facts
    )
    return Restorer(network, card, "only", WeightsInfo("none", None, None, "untrained", "none"))


class Wide(nn.Module):
    """Holds 40 channels of float32 at full size for a while: 160 bytes a pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0 * x.new_zeros(1, 40, *x.shape[-2:])[:, :3]


def test_a_photograph_that_fits_goes_whole_and_a_larger_one_in_the_cards_tiles() -> None:
    subject = PhotographRestorer(restorer(Wide(), size=SizeRule(multiple=8)), memory=100 * MIB)
    assert subject.tiling(600, 700) == Tiling()
    assert subject.tiling(1000, 1000) == Tiling(512, 64, 8)
    assert subject.tiling(100, 100) == Tiling()


def test_tiles_are_smaller_where_memory_does_not_take_the_cards() -> None:
    subject = PhotographRestorer(restorer(Wide()), memory=10 * MIB)
    tiling = subject.tiling(2000, 3000)
    assert tiling.side is not None
    assert 150 < tiling.side < 250
    assert tiling.overlap == tiling.side // 4


def test_a_network_that_looks_at_the_whole_image_gets_the_largest_tiles_and_a_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("restorebench"), "propagate", True)
    subject = PhotographRestorer(
        restorer(Wide(), tiling=Policy(allowed=False, note="global statistics")), memory=150 * MIB
    )
    sides = [subject.tiling(4000, 6000).side for _ in range(3)]
    assert sides[0] is not None
    assert sides[0] > 700
    # By what they are: a logger that hands on to two of pytest's handlers has each record twice.
    warnings = {id(r) for r in caplog.records if "It looks at the whole image (global statistics)" in r.message}
    assert len(warnings) == 1


def test_tile_none_is_always_whole_and_a_number_is_taken() -> None:
    assert PhotographRestorer(restorer(Wide()), tile="none", memory=MIB).tiling(9000, 9000) == Tiling()
    subject = PhotographRestorer(restorer(Wide(), size=SizeRule(multiple=16)), tile=200)
    assert subject.tiling(9000, 9000) == Tiling(192, 48, 16)
    assert subject.tiling(150, 190) == Tiling()


class Narrow(nn.Module):
    """Fails as torch does on an image of more than 100 pixels a side."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(tuple(x.shape[-2:]))
        if max(x.shape[-2:]) > 100:
            raise torch.OutOfMemoryError("out of memory: tried to allocate much")
        return x


def test_out_of_memory_halves_the_tiles_until_they_fit() -> None:
    network = Narrow()
    photograph = Photograph(noise(300, 260, 3))
    restored = PhotographRestorer(restorer(network), tile=256).restore(photograph)
    assert np.array_equal(restored.pixels, photograph.pixels)
    tried = [max(size) for size in network.sizes]
    assert [side > 100 for side in tried[:3]] == [True, True, False]  # of 256, 128, 64
    assert max(tried[2:]) <= 64


def test_out_of_memory_with_whole_photographs_asked_for_is_an_error() -> None:
    with pytest.raises(MemoryError, match="memory does not suffice"):
        PhotographRestorer(restorer(Narrow()), tile="none").restore(Photograph(noise(300, 260, 3)))


def test_other_failures_of_the_network_are_not_taken_for_want_of_memory() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        PhotographRestorer(restorer(Broken()), tile=64).restore(Photograph(noise(100, 100, 3)))


def test_everything_but_the_pixels_is_carried_on() -> None:
    samples: Any = noise(30, 20, 4, np.uint16)
    photograph = Photograph(samples[:, :, :3], samples[:, :, 3], notes=("a note",))
    restored = PhotographRestorer(create_model("identity")).restore(photograph)
    assert restored.alpha is photograph.alpha
    assert restored.metadata is photograph.metadata
    assert restored.notes == ("a note",)


@pytest.mark.parametrize("name", ["rbair", "anyir", "daair", "kbnet"])
def test_the_bundled_networks_take_tiles_of_their_cards(name: str) -> None:
    subject = PhotographRestorer(create_model(name, variant="tiny", weights="bundled"))
    tiling, policy = subject.tiling(4000, 6000), subject.restorer.card.tiling
    assert tiling.side is not None
    # Where the card says that tiles change the photograph, they are as large as memory allows.
    assert tiling.side == policy.tile if policy.allowed else tiling.side >= policy.tile
    assert subject.tiling(500, 700) == Tiling()
    assert subject._bytes(512 * 512) < CPU_BYTES


# VmHWM, not getrusage: Linux hands the maximum of the process that starts another on to it.
MEASURED = """
import re, sys
from pathlib import Path
from restorebench.benchmarks.commands.main import main
code = main(["restore", "large.png", "--model", "wide", "--weights", "none", "--device", "cpu"])
peak = re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())
print("peak", int(peak[1]) * 1024, file=sys.stderr)
sys.exit(code)
"""

NETWORK = """
from torch import nn
from restorebench.models import register
from restorebench.models.card import ModelCard, Variant

class Wide(nn.Module):
    def forward(self, x):
        return x + 0 * x.new_ones(1, 200, *x.shape[-2:])[:, :3]

card = ModelCard(name="wide", title="", variants={"only": Variant()}, paper="", url="", year=2026, code_licence="")
register(card)(Wide)
"""


@pytest.mark.slow
def test_memory_follows_the_tile_and_not_the_photograph(tmp_path: Path) -> None:
    """3000x2000 through a network of 200 channels takes 4.8 GB whole; in a process of its own, torch included, 2 GB."""
    from PIL import Image

    Image.fromarray(noise(20, 30, 3)).resize((3000, 2000)).save(tmp_path / "large.png")
    done = subprocess.run(
        [sys.executable, "-c", NETWORK + MEASURED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peak = next(int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("peak"))
    assert peak < 2e9
    assert "tiles of at most 512" in done.stdout
