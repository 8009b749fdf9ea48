"""Whatever a network, a loader or the disk does to one image costs that image, by name, and no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.evaluation.pipeline import Scorer, compute_rows
from restorebench.benchmarks.evaluation.previews import Previews
from restorebench.benchmarks.inference.numerics import Numerics
from restorebench.benchmarks.inference.runner import Runner
from restorebench.benchmarks.protocols.catalogue import get_protocol
from restorebench.benchmarks.protocols.protocol import Protocol
from restorebench.benchmarks.store.rows import ImageRow
from restorebench.datasets.samples import Sample
from restorebench.datasets.tasks import Task

from ..inference.test_runner import restorer

NAMES = tuple(f"{index}.png" for index in range(4))
BAD = 2
"""The image that something happens to; its degraded pixels are dark."""


class Images:
    """Four images of one shape, so that they can share a batch; one of them may raise when it is read."""

    task = Task("derain", "probe")
    names = NAMES
    description = licence = "made by a test"

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def __len__(self) -> int:
        return len(NAMES)

    def __getitem__(self, index: int) -> Sample:
        if index == BAD and self.error is not None:
            raise self.error
        clean = np.random.default_rng(index).integers(100, 256, (32, 32, 3), dtype=np.uint8)
        degraded = np.zeros_like(clean) if index == BAD else clean[::-1].copy()
        return Sample(NAMES[index], clean, degraded, self.task)

    def fingerprint(self) -> str:
        return "0" * 64


class Odd(nn.Module):
    """Halves images, and does something else where one of them is dark."""

    def __init__(self, otherwise: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.otherwise = otherwise

    def forward(self, x: Tensor) -> Any:
        return self.otherwise(x) if bool((x.amax(dim=(1, 2, 3)) == 0).any()) else x / 2


class Kept:
    """Rows in memory."""

    def __init__(self) -> None:
        self.rows: list[ImageRow] = []

    def append(self, row: ImageRow) -> None:
        self.rows.append(row)


def rows(network: nn.Module, data: Images, batch: int = 1, **scorer: Any) -> list[ImageRow]:
    """Rows of a run over the four images."""
    kept, runner = Kept(), Runner(restorer(network), Numerics(batch=batch))
    compute_rows(kept, data, data.names, runner, Scorer(get_protocol("promptir@1"), **scorer), progress=False)
    return kept.rows


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


class OwnError(Exception):
    """Of a kind that nobody knows."""


def recursive(x: Tensor) -> Tensor:
    return recursive(x)


ERRORS = (
    *(TypeError("t"), KeyError("k"), IndexError("i"), AssertionError("a"), AssertionError(), AttributeError("b")),
    *(OSError(5, "Input/output error"), ValueError("v"), RuntimeError("r"), NotImplementedError("n"), StopIteration()),
    *(ZeroDivisionError("z"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "u"), ImportError("m"), EOFError("e")),
    *(MemoryError("heap"), OwnError("of\ntwo lines"), ExceptionGroup("g", [ValueError("v")])),
)
RETURNED: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "a tuple": (lambda x: (x, x), "gave a tuple"),
    "a list": (lambda x: [x], "gave a list"),
    "a dictionary": (lambda x: {"out": x}, "gave a dict"),
    "None": (lambda x: None, "gave a NoneType"),
    "an array": (lambda x: x.numpy(), "gave a ndarray"),
    "uint8": (lambda x: (x * 255).to(torch.uint8), "torch.uint8"),
    "bool": (lambda x: x > 0.5, "torch.bool"),
    "complex": (lambda x: torch.complex(x, x), "torch.complex64"),
    "another device": (lambda x: x.to("meta"), "on meta"),
    "fewer pixels": (lambda x: x[..., 1:], "shape"),
    "one channel": (lambda x: x[:, :1], "shape"),
    "no batch": (lambda x: x[0], "shape"),
    "a sparse tensor": (lambda x: (x + 1).to_sparse(), ""),
    "NaN": (lambda x: x / x.amax(dim=(1, 2, 3), keepdim=True), "not finite"),
    "infinity": (lambda x: x + 1 / x.amax(dim=(1, 2, 3), keepdim=True), "not finite"),
}


def only_the_bad_one_failed(stored: list[ImageRow], *, words: str = "") -> None:
    assert [row.image for row in stored] == list(NAMES)
    assert [row.status for row in stored] == ["failed" if index == BAD else "ok" for index in range(len(NAMES))]
    assert words in stored[BAD].message
    assert len(stored[BAD].line("0" * 16).splitlines()) == 1


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_network_that_raises_fails_one_image_by_name(error: Exception, batch: int) -> None:
    only_the_bad_one_failed(rows(Odd(raising(error)), Images(), batch), words=type(error).__name__)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_network_without_end_fails_one_image(batch: int) -> None:
    only_the_bad_one_failed(rows(Odd(recursive), Images(), batch), words="RecursionError")


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("kind", RETURNED)
def test_a_network_that_returns_no_image_fails_one_image_by_name(kind: str, batch: int) -> None:
    otherwise, words = RETURNED[kind]
    only_the_bad_one_failed(rows(Odd(otherwise), Images(), batch), words=words)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("error", [*ERRORS, RecursionError("deep")], ids=lambda error: type(error).__name__)
def test_an_image_that_cannot_be_loaded_fails_alone_by_name(error: Exception, batch: int) -> None:
    only_the_bad_one_failed(rows(Odd(lambda x: x), Images(error), batch), words=type(error).__name__)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_image_that_cannot_be_scored_fails_alone_by_name(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    score = Protocol.score

    def odd(self: Protocol, x: Tensor, *rest: Any) -> Any:
        if x.max() == 0:
            raise error
        return score(self, x, *rest)

    monkeypatch.setattr(Protocol, "score", odd)
    only_the_bad_one_failed(rows(Odd(lambda x: x / 2), Images()), words=type(error).__name__)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_stops_the_process_is_no_images_failure(stop: type[BaseException]) -> None:
    with pytest.raises(stop):
        rows(Odd(raising(stop())), Images())


@pytest.mark.parametrize("blocked", ["restored", "pairs"])
def test_a_preview_that_cannot_be_written_costs_no_scores(
    blocked: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / blocked).write_text("a file where a folder should be")
    previews = Previews(tmp_path / "restored", tmp_path / "pairs", frozenset(NAMES), insisted=False)
    stored = rows(Odd(lambda x: x / 2), Images(), previews=previews)
    assert [row.status for row in stored] == ["ok"] * len(NAMES)
    assert stored == rows(Odd(lambda x: x / 2), Images())
    said = [record for record in caplog.records if "preview not saved" in record.getMessage()]
    assert len(said) == 1
    assert said[0].getMessage().startswith("0.png: ")
