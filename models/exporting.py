"""Restorers as files that other programs run: ONNX, or torch's exported program; and whether such a file does the same.

While it is exported a network knows so (`torch.compiler.is_exporting`) and takes forms without loops over images,
conditions on values, and operators of its own. Sides are those of the bare network: what its card says of them is
stored in the file.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..atomic import written_whole
from ..messages import one_line
from .errors import ModelError, imported
from .restorer import Restorer, pad

Format = Literal["onnx", "torch"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}
INPUT, OUTPUT = "degraded", "restored"
OPSET = 20
"""Of ONNX: the first with exact gelu and Fourier transforms whose axis is an input."""
BATCH_OF_CONDITIONS = ".size()[0]"
"""How the batch stands in the conditions of an exported program."""
TRACED_BATCH = 2
"""Images that a network is traced with: not one, which would be taken for a constant."""
TRACED_UNITS = (3, 4)
"""Sides that it is traced with, in multiples of the size rule from `LEAST_TRACED` pixels up; of different lengths."""
LEAST_TRACED = 16
TOLERANCE = 1e-4
"""Largest difference of a restored value, in [0, 1], that counts as rounding: a fortieth of a grey level."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the file.
        difference: the largest difference of its values from the restorer's, over the images that were compared; None
            where none were.
    """

    path: Path
    difference: float | None


def export(restorer: Restorer, path: Path, kind: Format, size: int | None, images: Sequence[Tensor] = ()) -> Exported:
    """Write a restorer's network with its weights, compare it on images, and keep the file only if it does the same.

    Args:
        restorer: on the CPU, in float32.
        path: where to; its folder exists, and a file there is replaced.
        kind: ``onnx`` (an ONNX file, opset 20) or ``torch`` (`torch.export.save`).
        size: side in pixels of the only images that the file takes, one at a time; None: any batch, and any sides that
            the network takes.
        images: degraded ones, (B, 3, H, W) in [0, 1], of any sides if `size` is None, else of that side.

    Raises:
        ModelError: a package is missing, the network cannot be exported, or the file does not do what it does.
    """
    if restorer.card.built_from == "checkpoint" and not any(True for _ in restorer.network.parameters()):
        raise ModelError(f"{restorer.card.title} is no network of torch: there is nothing to export")
    rule = restorer.size
    if size is not None and rule.padded(size) != size:
        raise ModelError(
            f"--size {size}: {restorer.card.title} takes sides in multiples of {rule.multiple} from {rule.minimum} up;"
            f" take {rule.padded(size)}"
        )
    write = {"onnx": _write_onnx, "torch": _write_program}[kind]
    with written_whole(path) as part:
        with _quiet():
            write(restorer, part, size)
        difference = _difference(restorer, RUNNERS[kind](part), images)
        if difference is not None and not difference <= TOLERANCE:
            raise ModelError(
                f"{path.name} was not kept: its images differ by up to {difference:.2g} from those of"
                f" {restorer.card.title}, which is more than rounding ({TOLERANCE:g})"
            )
    return Exported(path, difference)


def check_packages(kind: Format) -> None:
    """ModelError where what writes and runs such files is not installed."""
    for package in ("onnx", "onnxscript", "onnxruntime") if kind == "onnx" else ():
        imported(package, f"format {kind}", "export")


def _example(restorer: Restorer, size: int | None) -> Tensor:
    """What the network is traced with; its values do not matter."""
    if size is not None:
        return torch.rand(1, 3, size, size)
    rule = restorer.size
    unit = rule.padded(max(rule.minimum, LEAST_TRACED))
    height, width = (rule.padded(unit * factor) for factor in TRACED_UNITS)
    return torch.rand(TRACED_BATCH, 3, height, width)


def _dynamic(size: int | None) -> tuple[dict[int, Any]] | None:
    if size is not None:
        return None
    free = torch.export.Dim.DYNAMIC
    return ({0: free, 2: free, 3: free},)


def _write_onnx(restorer: Restorer, path: Path, size: int | None) -> None:
    from .networks.onnx import MINIMUM, MULTIPLE, PADDING

    check_packages("onnx")
    try:
        with torch.no_grad():
            program = torch.onnx.export(
                restorer.network.eval(),
                (_example(restorer, size),),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=_dynamic(size),
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
    except Exception as error:  # torch's exporter wraps whatever it meets in errors of its own
        raise ModelError(f"{restorer.card.title} cannot be exported to ONNX: {_cause(error)}") from error
    assert program is not None
    rule = restorer.size
    program.model.metadata_props.update(
        {
            MULTIPLE: str(rule.multiple),
            MINIMUM: str(rule.minimum),
            PADDING: rule.padding,
            "restorebench.model": restorer.card.name,
            "restorebench.variant": restorer.variant,
            "restorebench.weights": restorer.weights.description,
        }
    )
    program.save(str(path))


def _write_program(restorer: Restorer, path: Path, size: int | None) -> None:
    try:
        with torch.no_grad():
            program = torch.export.export(
                restorer.network.eval(), (_example(restorer, size),), dynamic_shapes=_dynamic(size)
            )
    except Exception as error:  # as above
        raise ModelError(f"{restorer.card.title} cannot be exported: {_cause(error)}") from error
    # torch traces with several images and then holds a few comparisons of strides for conditions, which one image alone
    # does not meet; the graph is right for any batch, which is what the comparison with the network sees.
    conditions = getattr(program, "_guards_code", None)
    if size is None and conditions:
        program._guards_code = [each for each in conditions if BATCH_OF_CONDITIONS not in each]
    memory = io.BytesIO()
    torch.export.save(program, memory)
    path.write_bytes(memory.getvalue())


def _run_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    from .networks.onnx import OnnxNetwork

    return OnnxNetwork(path.read_bytes(), path)


def _run_program(path: Path) -> Callable[[Tensor], Tensor]:
    module: Callable[[Tensor], Tensor] = torch.export.load(path).module()
    return module


RUNNERS: dict[Format, Callable[[Path], Callable[[Tensor], Tensor]]] = {"onnx": _run_onnx, "torch": _run_program}


def _difference(restorer: Restorer, run: Callable[[Tensor], Tensor], images: Sequence[Tensor]) -> float | None:
    """The largest absolute difference of restored values, clipped to [0, 1] as protocols clip them.

    Raises:
        ModelError: the file fails on one of the images.
    """
    found = []
    with torch.inference_mode():
        for image in images:
            height, width = image.shape[-2:]
            try:
                exported = run(pad(image, restorer.size))[..., :height, :width]
            except Exception as error:  # of what runs the file, which has kinds of its own
                raise ModelError(
                    f"the file was not kept: it fails on images of the shape {tuple(image.shape)}; --size N makes one"
                    f" for images of N x N alone ({one_line(error)})"
                ) from error
            found.append(float((exported.clamp(0, 1) - restorer(image).clamp(0, 1)).abs().max()))
    return max(found, default=None)


def _cause(error: BaseException) -> str:
    """The innermost of chained errors, in one line: the outer ones only say that something failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's progress, warnings and logs, which say nothing to those who did not write it."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
