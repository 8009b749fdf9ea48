"""What every restorer must do, as plain functions: ``bench check`` and the tests run the same ones.

A check takes a `Subject` and gives a `Finding`. Networks are tried with random weights unless a file is given, and
tensors that start at zero (gates, biases) get small values first: a gate at zero would hide all that lies behind it.
"""

from __future__ import annotations

import functools
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from ..messages import one_line
from ..models import ModelCard, Restorer, Variant, build_network, create_model, save_weights
from ..models.hooks import HasAuxiliaryLoss
from .inference.foreign import contained, lent, taken
from .inference.numerics import Numerics
from .inference.tiles import restore_in_tiles
from .profiling.macs import Complexity, count_macs

Status = Literal["pass", "fail", "skip"]

SIZES = ((8, 8), (9, 15), (16, 16), (17, 33), (40, 24), (64, 64), (67, 101), (131, 257))
"""Heights and widths that every restorer must take, in pixels."""
BATCH_TOLERANCE = 1e-5
"""Largest difference between a batch and its images one by one, as a share of the largest value."""
BFLOAT16_BOUND = 3e-2
"""Relative L2 error that bfloat16 autocast may make in what the network adds to the image.

That is counted as at least a fifth of the image: where the network adds next to nothing, the bound is 1 % of the image.
"""
LEAST_ADDED = 0.2
MACS_TOLERANCE = 0.01
"""Relative difference allowed between counted multiply-adds and the card's, which are rounded."""
GRADIENT_ATTEMPTS = 16
"""Batches in a row that may reach no further parameter before the search is given up, each with random weights of its
own: a router sends an image to one expert only, and near a choice of its weights nearly always to the same."""
WAKING = 0.1
"""Standard deviation of what tensors of zeros are filled with."""


@dataclass(frozen=True)
class Finding:
    """Outcome of a check, and what was seen, in words."""

    status: Status
    detail: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A restorer to be checked.

    Attributes:
        card: of the restorer, as registered.
        variant: its size.
        weights: path of a checkpoint, or ``none`` for random weights.
        device: where the checks run.
    """

    card: ModelCard
    variant: str
    weights: str = "none"
    device: str = "cpu"

    def restorer(self, seed: int = 0) -> Restorer:
        """The restorer in evaluation mode on the device; random weights are drawn with `seed`."""
        restorer = create_model(self.card.key, variant=self.variant, weights=self.weights, seed=seed)
        if restorer.weights.kind == "none":
            wake(restorer.network)
        return restorer.to(self.device)


@dataclass(frozen=True)
class Result:
    """A check's finding about one subject; `seconds` is the wall time it took."""

    model: str
    variant: str
    check: str
    finding: Finding
    seconds: float


Check = Callable[[Subject], Finding]


def passed(detail: str) -> Finding:
    """The restorer does what it must."""
    return Finding("pass", detail)


def failed(detail: str) -> Finding:
    """It does not."""
    return Finding("fail", detail)


def skipped(detail: str) -> Finding:
    """The check does not apply, for this reason."""
    return Finding("skip", detail)


def wake(network: nn.Module) -> None:
    """Fill trainable tensors that are all zero with seeded values from N(0, 0.1)."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad and not parameter.any():
                parameter.copy_(WAKING * torch.randn(parameter.shape, generator=generator))


def sample_image(height: int, width: int, batch: int = 1, seed: int = 0) -> Tensor:
    """Smooth seeded images with some noise, (batch, 3, height, width) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((batch, 3, 6, 6), generator=generator)
    smooth = nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 0.05 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)


def defect(restored: Tensor, degraded: Tensor) -> str:
    """What is wrong with a restored image's shape or values; empty where nothing is."""
    if restored.shape != degraded.shape:
        return f"shape {tuple(restored.shape)} for an input of {tuple(degraded.shape)}"
    if not restored.is_floating_point():
        return f"dtype {restored.dtype}"
    return "" if bool(restored.isfinite().all()) else f"{int((~restored.isfinite()).sum())} values are not finite"


def check_sizes(subject: Subject) -> Finding:
    """Any size goes in, the same comes out, finite."""
    restorer = subject.restorer()
    for height, width in SIZES:
        degraded = sample_image(height, width).to(subject.device)
        with torch.inference_mode():
            try:
                wrong = defect(restorer(degraded), degraded)
            except (RuntimeError, ValueError, IndexError) as error:
                wrong = one_line(error)
        if wrong:
            return failed(f"{height}x{width}: {wrong}")
    first, last = SIZES[0], SIZES[-1]
    return passed(f"{len(SIZES)} sizes from {first[0]}x{first[1]} to {last[0]}x{last[1]}")


def check_batch(subject: Subject) -> Finding:
    """An image's result does not depend on the others of its batch."""
    restorer = subject.restorer()
    # Images of different character: what leaks from one to another must show.
    degraded = torch.cat([sample_image(48, 56, seed=seed) * scale for seed, scale in enumerate((1.0, 0.3, 0.05))])
    degraded = degraded.to(subject.device)
    with torch.inference_mode():
        together = taken(restorer(lent(degraded)))
        singles = torch.cat([taken(restorer(image)) for image in torch.split(degraded, 1)])
    difference = float((together - singles).abs().max() / singles.abs().max().clamp_min(1e-12))
    detail = f"a batch of 3 and three singles differ by {difference:.1e} of the largest value"
    # Not `difference > tolerance`: NaN must fail.
    return passed(detail) if difference <= BATCH_TOLERANCE else failed(f"{detail}, allowed is {BATCH_TOLERANCE:.0e}")


def check_determinism(subject: Subject) -> Finding:
    """The same weights and image give the same bits, whatever the global random generators are at."""
    degraded = sample_image(40, 48).to(subject.device)
    restorer, results = subject.restorer(), []
    with torch.random.fork_rng(), torch.inference_mode():
        for seed in (1, 2):
            torch.manual_seed(seed)
            results.append(taken(restorer(lent(degraded))))
        results.append(subject.restorer()(lent(degraded)))
    if not torch.equal(results[0], results[1]):
        return failed(f"two runs differ by up to {float((results[0] - results[1]).abs().max()):.1e}")
    if not torch.equal(results[0], results[2]):
        return failed("built twice with the same seed or file, it gives different results")
    return passed("two runs and two builds are bit-identical")


def check_bfloat16(subject: Subject) -> Finding:
    """Under bfloat16 autocast the result stays near that of float32."""
    restorer = subject.restorer()
    if "bfloat16" not in restorer.card.dtypes:
        return skipped(f"the card allows {', '.join(restorer.card.dtypes)}")
    degraded = sample_image(64, 72).to(subject.device)
    with Numerics(device=subject.device).applied():
        exact = restorer(degraded)
    with Numerics(device=subject.device, dtype="bfloat16").applied():
        rounded = restorer(degraded).float()
    wrong = defect(rounded, degraded)
    if wrong:
        return failed(wrong)
    error = float(torch.linalg.vector_norm(rounded - exact))
    # Where the network adds next to nothing, the rounding of the image itself remains.
    added = max(
        float(torch.linalg.vector_norm(exact - degraded)), LEAST_ADDED * float(torch.linalg.vector_norm(degraded))
    )
    detail = f"relative L2 error {error / added:.1e} of what the network adds, bound {BFLOAT16_BOUND:.0e}"
    return passed(detail) if error / added <= BFLOAT16_BOUND else failed(detail)


def check_gradients(subject: Subject) -> Finding:
    """In training, gradients are finite and every trainable parameter gets one, save those the card names."""
    spare = [re.compile(pattern) for pattern in subject.card.without_gradient]
    waiting = {
        name
        for name, parameter in subject.restorer().network.named_parameters()
        if parameter.requires_grad and not any(pattern.search(name) for pattern in spare)
    }
    if not waiting:
        return skipped("nothing to train")
    count, attempt, last = len(waiting), 0, 0
    while waiting and attempt - last < GRADIENT_ATTEMPTS:
        restorer = subject.restorer(seed=attempt).train()
        wake(restorer.network)
        _loss(restorer, subject.device, attempt).backward()  # type: ignore[no-untyped-call]
        attempt += 1
        for name, parameter in restorer.network.named_parameters():
            if parameter.grad is None:
                continue
            if not bool(parameter.grad.isfinite().all()):
                return failed(f"the gradient of {name} is not finite")
            if name in waiting and bool(parameter.grad.any()):
                waiting.remove(name)
                last = attempt
    if not waiting:
        return passed(f"finite, and reaching all {count} trainable tensors")
    return failed(f"{len(waiting)} of {count} trainable tensors get no gradient, first {min(waiting)}")


def _loss(restorer: Restorer, device: str, attempt: int) -> Tensor:
    """A loss that weighs every output number at random, with the network's own terms."""
    degraded = sample_image(48, 40, batch=2, seed=attempt).to(device)
    cotangent = torch.randn(degraded.shape, generator=torch.Generator().manual_seed(attempt)).to(device)
    with torch.random.fork_rng():
        torch.manual_seed(attempt)  # routers draw noise in training
        loss: Tensor = (restorer(degraded) * cotangent).mean()
    if isinstance(restorer.network, HasAuxiliaryLoss):
        loss = loss + restorer.network.auxiliary_loss()
    return loss


def check_tiles(subject: Subject) -> Finding:
    """In tiles the image stays whole; how far the result is from the untiled one is reported, not judged."""
    restorer = subject.restorer()
    tiling = restorer.card.tiling
    if not tiling.allowed:
        return skipped(f"the card allows no tiles{': ' + tiling.note if tiling.note else ''}")
    height, width = tiling.tile // 4, tiling.tile + tiling.overlap
    degraded = sample_image(height, width).to(subject.device)
    with Numerics(device=subject.device).applied():
        whole = taken(restorer(lent(degraded)))
        tiled = restore_in_tiles(restorer, degraded, tiling.tile, tiling.overlap)
    wrong = defect(tiled, degraded) or defect(whole, degraded)
    if wrong:
        return failed(wrong)
    difference = (tiled - whole).double()
    psnr = -10 * torch.log10(difference.square().mean().clamp_min(1e-20))
    return passed(
        f"{height}x{width} in tiles of {tiling.tile}, overlap {tiling.overlap}, against whole: "
        f"{float(psnr):.1f} dB, largest difference {float(difference.abs().max()):.1e}"
    )


def check_file(subject: Subject) -> Finding:
    """Weights written to a file and loaded into a new restorer give the same bits."""
    restorer = subject.restorer()
    if not subject.card.trainable:
        return skipped("no weights")
    metadata = {"restorebench.model": subject.card.name, "restorebench.variant": subject.variant}
    degraded = sample_image(24, 32).to(subject.device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_weights(restorer.network.state_dict(), path, metadata)
        # Another seed: what was not loaded must show.
        loaded = create_model(subject.card.key, variant=subject.variant, weights=path, seed=1).to(subject.device)
    with torch.inference_mode():
        if not torch.equal(restorer(degraded), loaded(degraded)):
            return failed("a saved and loaded restorer gives another result: something is not in its state dict")
    return passed("saved, loaded, bit-identical")


def check_parameters(subject: Subject) -> Finding:
    """As many trainable numbers as the card says."""
    expected = _size(subject).parameters
    if expected is None:
        return skipped("the card gives no number")
    if subject.card.built_from == "checkpoint":
        network = subject.restorer().network
    else:
        network = build_network(subject.card.key, variant=subject.variant)
    counted = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    detail = f"{counted:,} trainable parameters"
    return passed(detail) if counted == expected else failed(f"{detail}, the card says {expected:,}")


def check_macs(subject: Subject) -> Finding:
    """As many multiply-adds at 256x256 as the card says."""
    expected, most = _size(subject).macs_256_g, _size(subject).macs_256_most_g
    cost = _cost(subject)
    counted = cost.macs / 1e9
    detail = f"{counted:.2f} G multiply-adds at 1x3x256x256 (without Fourier transforms)"
    if cost.uncounted:
        return failed(f"{detail}, and no formula for {', '.join(cost.uncounted)}")
    if expected is None:
        return skipped(f"{detail}; the card gives no number")
    highest = expected if most is None else most
    if (1 - MACS_TOLERANCE) * expected <= counted <= (1 + MACS_TOLERANCE) * highest:
        return passed(detail)
    return failed(f"{detail}, the card says {expected:.2f}{'' if most is None else f' to {most:.2f}'} G")


def _size(subject: Subject) -> Variant:
    return subject.card.variants[subject.variant]


def _cost(subject: Subject) -> Complexity:
    if subject.card.built_from == "checkpoint":
        return count_macs(subject.restorer().network)
    return count_macs(functools.partial(build_network, subject.card.key, variant=subject.variant))


COUNTS: dict[str, Check] = {"parameters": check_parameters, "multiply-adds": check_macs}
"""Checks that compute nothing, and so are made for every variant."""
CHECKS: dict[str, Check] = {
    "sizes": check_sizes,
    "batch": check_batch,
    "determinism": check_determinism,
    "bfloat16": check_bfloat16,
    "gradients": check_gradients,
    "tiles": check_tiles,
    "file": check_file,
    **COUNTS,
}


def run_check(name: str, subject: Subject) -> Result:
    """One check of `CHECKS`; an error that it meets is a failure of the restorer."""
    started = time.perf_counter()
    try:
        with contained():
            finding = CHECKS[name](subject)
    except Exception as error:  # a network may fail in any way; which one is the finding
        finding = failed(one_line(error))
    return Result(subject.card.name, subject.variant, name, finding, time.perf_counter() - started)


def run_checks(
    card: ModelCard, variant: str | None = None, *, weights: str = "none", device: str = "cpu"
) -> Iterator[Result]:
    """All checks of a restorer, one after the other.

    Args:
        card: of the restorer.
        variant: a size, ``all``, or None for ``tiny`` where there is one and the default size otherwise. Parameters and
            multiply-adds are counted for every size whatever it is.
        weights: path of a checkpoint, or ``none``.
        device: a torch device.
    """
    if card.built_from == "checkpoint" and weights == "none":
        reason = "takes its network from a checkpoint: pass weights=PATH"
        yield Result(card.name, card.default_variant, "all", skipped(reason), 0.0)
        return
    usual = "tiny" if "tiny" in card.variants else card.default_variant
    chosen = list(card.variants) if variant == "all" else [variant or usual]
    for name in card.variants:
        subject = Subject(card=card, variant=name, weights=weights, device=device)
        for check in CHECKS if name in chosen else COUNTS:
            yield run_check(check, subject)
