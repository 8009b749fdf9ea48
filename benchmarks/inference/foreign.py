"""Code of a network's author at work: whatever it raises is one image's failure, and what it keeps is its own."""

from __future__ import annotations

import contextlib
import signal
import traceback
from collections.abc import Iterator

import torch
from torch import Tensor

from ...messages import one_line
from ..errors import RestorationError


@contextlib.contextmanager
def contained(who: str = "the network") -> Iterator[None]:
    """What would end the process when foreign code raises it (``sys.exit()``, `GeneratorExit`, a `BaseException` of its
    own or of a library in Rust) is a `RestorationError`; errors of the usual kind stay as they are.

    Ctrl-C, and the exit that a handler of a signal asks for while the block runs, end the process as ever.

    Args:
        who: raised it, for the message.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        if asked_by_a_signal(error):
            raise
        raise RestorationError(f"{who} raised {one_line(error)}") from error


def asked_by_a_signal(error: BaseException) -> bool:
    """Whether a handler of a signal, which interrupts whatever runs, raised the error."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = {code for handler in handlers if (code := getattr(handler, "__code__", None)) is not None}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def lent(image: Tensor) -> Tensor:
    """A copy of an image for the network, which may change it in place: the floor of the scores, other tiles and
    another attempt need it as it was."""
    return image.clone()


def taken(restored: Tensor) -> Tensor:
    """float32 of its own memory, outside any graph: the network may use its buffer again for the next image, while
    this one still waits for its scores."""
    return restored.detach().to(torch.float32, copy=True)
