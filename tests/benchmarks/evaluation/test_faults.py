"""Whatever a network, a loader or the disk does to one image costs that image, by name, and no other."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.evaluation.pictures.previews import Previews
from restorebench.benchmarks.evaluation.pipeline import Scorer, compute_rows
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


def rows(network: nn.Module, data: Images, batch: int = 1, tile: int | None = None, **scorer: Any) -> list[ImageRow]:
    """Rows of a run over the four images."""
    kept, runner = Kept(), Runner(restorer(network), Numerics(batch=batch, tile=tile))
    compute_rows(kept, data, data.names, runner, Scorer(get_protocol("promptir@1"), **scorer), progress=False)
    return kept.rows


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


class OwnError(Exception):
    """Of a kind that nobody knows."""


class MuteError(RuntimeError):
    """It fails to say what it is."""

    def __str__(self) -> str:
        raise KeyError("no text")


class Panic(BaseException):
    """As those of libraries in Rust, which are no `Exception`."""


def recursive(x: Tensor) -> Tensor:
    return recursive(x)


ERRORS = (
    *(TypeError("t"), KeyError("k"), IndexError("i"), AssertionError("a"), AssertionError(), AttributeError("b")),
    *(OSError(5, "Input/output error"), ValueError("v"), RuntimeError("r"), NotImplementedError("n"), StopIteration()),
    *(ZeroDivisionError("z"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "u"), ImportError("m"), EOFError("e")),
    *(MemoryError("heap"), OwnError("of\ntwo lines"), ExceptionGroup("g", [ValueError("v")])),
    *(MuteError(), RuntimeError("\ud800\x00\x1b[2J\u202e"), StopAsyncIteration()),
    *(SystemExit(0), SystemExit("bye"), GeneratorExit(), Panic("p"), asyncio.CancelledError()),
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
def test_a_network_that_raises_fails_one_image_by_name(error: BaseException, batch: int) -> None:
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
def test_an_image_that_cannot_be_loaded_fails_alone_by_name(error: BaseException, batch: int) -> None:
    only_the_bad_one_failed(rows(Odd(lambda x: x), Images(error), batch), words=type(error).__name__)


@pytest.mark.parametrize("error", [e for e in ERRORS if isinstance(e, Exception)], ids=lambda e: type(e).__name__)
def test_an_image_that_cannot_be_scored_fails_alone_by_name(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = Protocol.measure

    def odd(self: Protocol, x: Tensor, *rest: Any) -> Any:
        if x.max() == 0:
            raise error
        return measure(self, x, *rest)

    monkeypatch.setattr(Protocol, "measure", odd)
    only_the_bad_one_failed(rows(Odd(lambda x: x / 2), Images()), words=type(error).__name__)


def test_what_stops_the_process_is_no_images_failure() -> None:
    with pytest.raises(KeyboardInterrupt):
        rows(Odd(raising(KeyboardInterrupt())), Images())


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of POSIX")
def test_the_exit_that_a_signal_asks_for_while_the_network_runs_is_no_images_failure() -> None:
    def leave(number: int, frame: object) -> None:
        raise SystemExit(3)

    def signalled(x: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGUSR1)
        return x

    before = signal.signal(signal.SIGUSR1, leave)
    try:
        with pytest.raises(SystemExit, match="3"):
            rows(Odd(signalled), Images())
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_network_cannot_fill_the_store_with_what_it_says() -> None:
    (row,) = [row for row in rows(Odd(raising(RuntimeError("x" * 10**7))), Images()) if row.status == "failed"]
    assert len(row.message) < 2000


class Everywhere(nn.Module):
    """Does the same with every image."""

    def __init__(self, action: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.action = action

    def forward(self, x: Tensor) -> Tensor:
        return self.action(x)


def kept_buffer() -> Callable[[Tensor], Tensor]:
    buffers: dict[tuple[int, ...], Tensor] = {}

    def restored(x: Tensor) -> Tensor:
        buffer = buffers.setdefault(tuple(x.shape), torch.empty(x.shape))
        return buffer.copy_(x * 0.7)

    return restored


def in_place(x: Tensor) -> Tensor:
    return x.mul_(0.7)


def spoilt(x: Tensor) -> Tensor:
    restored = x * 0.7
    x.fill_(float("nan"))
    return restored


def in_a_graph(x: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        return x.clone() * torch.nn.Parameter(torch.tensor(0.7))


@pytest.mark.parametrize("tile", [None, 64])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("action", [kept_buffer(), in_place, spoilt, in_a_graph], ids=lambda a: a.__name__)
def test_scores_are_those_of_each_image_whatever_the_network_does_with_its_memory(
    action: Callable[[Tensor], Tensor], batch: int, tile: int | None
) -> None:
    expected = rows(Everywhere(lambda x: x * 0.7), Images(), batch, tile=tile)
    assert rows(Everywhere(action), Images(), batch, tile=tile) == expected
    assert len({row.psnr for row in expected}) == len(NAMES)


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
