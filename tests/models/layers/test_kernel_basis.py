"""Kernel basis attention against its definition in loops, against the written-out form, and on its time and memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from restorebench.models.layers import kernel_basis
from restorebench.models.layers.kernel_basis import Implementation, kernel_basis_attention, kernel_basis_macs

from ..networks.comparison import relative_error
from ..processor_time import processor_seconds

Layout = torch.memory_format
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def inputs(
    batch: int,
    channels: int,
    group_channels: int,
    bases: int,
    height: int,
    width: int,
    *,
    dtype: torch.dtype = torch.float64,
    layout: Layout = torch.contiguous_format,
) -> Inputs:
    """u, coefficients, basis, bias; all leaves that want gradients."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    u, a = normal(batch, channels, height, width), normal(batch, bases, height, width)
    basis = normal(1, bases, channels * group_channels * 9) / (9 * bases) ** 0.5
    maps = (t.contiguous(memory_format=layout) for t in (u, a))
    first, second, third, fourth = (t.requires_grad_() for t in (*maps, basis, normal(1, bases, channels)))
    return first, second, third, fourth


def by_loops(u: Tensor, a: Tensor, w: Tensor, b: Tensor, group_channels: int) -> Tensor:
    """The definition, one number at a time."""
    batch, channels, height, width = u.shape
    out = torch.zeros_like(u)
    kernels = w.view(-1, channels, group_channels, 3, 3)
    for image in range(batch):
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    kernel = sum(a[image, n, y, x] * kernels[n, c] for n in range(len(kernels)))
                    total = sum(a[image, n, y, x] * b[0, n, c] for n in range(len(kernels)))
                    for i in range(group_channels):
                        for dy in range(max(0, 1 - y), min(3, height + 1 - y)):
                            for dx in range(max(0, 1 - x), min(3, width + 1 - x)):
                                source = c // group_channels * group_channels + i
                                total = total + kernel[i, dy, dx] * u[image, source, y + dy - 1, x + dx - 1]
                    out[image, c, y, x] = total
    return out


@pytest.mark.parametrize("implementation", ["fast", "reference"])
def test_is_what_the_definition_says(implementation: Implementation) -> None:
    with torch.no_grad():
        u, a, w, b = inputs(2, 4, 2, 3, 3, 4)
        actual = kernel_basis_attention(u, a, w, b, group_channels=2, implementation=implementation)
        torch.testing.assert_close(actual, by_loops(u, a, w, b, 2))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("block", [1, 3000, 2**22], ids=["a row", "some", "all at once"])
@pytest.mark.parametrize(
    "shape", [(1, 8, 4, 5, 7, 6), (2, 6, 2, 3, 1, 1), (3, 4, 4, 2, 2, 5), (2, 4, 1, 3, 9, 2), (4, 8, 4, 32, 5, 37)]
)
def test_fast_form_equals_the_reference_with_all_gradients(
    shape: tuple[int, int, int, int, int, int], block: int, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64, so that only a difference in the mathematics can show."""
    monkeypatch.setattr(kernel_basis, "CPU_BLOCK", block)
    tensors = inputs(*shape, layout=layout)
    fast = kernel_basis_attention(*tensors, group_channels=shape[2])
    reference = kernel_basis_attention(*tensors, group_channels=shape[2], implementation="reference")
    torch.testing.assert_close(fast, reference)
    cotangent = torch.randn(fast.shape, dtype=fast.dtype, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad(fast, tensors, cotangent)
    torch.testing.assert_close(gradients, torch.autograd.grad(reference, tensors, cotangent))


@pytest.mark.parametrize("block", [500, 2**22], ids=["blocks", "one block"])
def test_gradients_are_those_of_finite_differences(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_basis, "CPU_BLOCK", block)
    tensors = inputs(2, 4, 2, 3, 4, 3)
    assert torch.autograd.gradcheck(lambda *t: kernel_basis_attention(*t, group_channels=2), tensors)


@pytest.mark.slow
def test_operator_keeps_the_rules_of_torch() -> None:
    """Shapes without storage, autograd, tracing: torch's own checks of a custom operator."""
    u, a, w, b = inputs(1, 4, 2, 3, 5, 6, dtype=torch.float32, layout=torch.channels_last)
    torch.library.opcheck(
        torch.ops.restorebench.kernel_basis_attention.default, (u, a, w.detach()[0], b.detach()[0], 2)
    )


def test_second_derivatives_are_refused_not_wrong() -> None:
    tensors = inputs(1, 4, 2, 3, 4, 4)
    out = kernel_basis_attention(*tensors, group_channels=2)
    (gradient,) = torch.autograd.grad(out.square().sum(), tensors[0], create_graph=True)
    with pytest.raises(RuntimeError, match="autograd"):
        torch.autograd.grad(gradient.sum(), tensors[0])


def test_expanded_gradients_and_slices_are_taken_as_they_are() -> None:
    u, a, w, b = inputs(2, 8, 4, 3, 6, 6)
    sliced = (u[:, :4, 1:, ::2], a[:, :, 1:, ::2], w[:, :, : 4 * 4 * 9], b[:, :, :4])
    gradients = [
        torch.autograd.grad(
            kernel_basis_attention(*sliced, group_channels=4, implementation=implementation).sum(), (u, a, w, b)
        )
        for implementation in ("fast", "reference")
    ]
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("implementation", ["fast", "reference"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layout_and_dtype_are_those_of_the_features(layout: Layout, implementation: Implementation) -> None:
    u, a, w, b = inputs(2, 8, 4, 4, 6, 6, dtype=torch.float32, layout=layout)
    actual = kernel_basis_attention(u, a, w, b, group_channels=4, implementation=implementation)
    assert actual.dtype == torch.float32
    if implementation == "fast":
        assert actual.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("implementation", ["fast", "reference"])
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_and_autocast_work_in_both_directions(half: torch.dtype, implementation: Implementation) -> None:
    tensors = inputs(2, 8, 4, 32, 9, 10, dtype=torch.float32, layout=torch.channels_last)
    exact = kernel_basis_attention(*tensors, group_channels=4)
    expected = torch.autograd.grad(exact.square().sum(), tensors)
    u, a, w, b = tensors
    with torch.autocast("cpu", dtype=half):
        actual = kernel_basis_attention(u.to(half), a.to(half), w, b, group_channels=4, implementation=implementation)
        gradients = torch.autograd.grad(actual.float().square().sum(), tensors)
    assert actual.dtype == half
    assert relative_error(actual, exact) < 1e-2
    for gradient, wanted in zip(gradients, expected, strict=True):
        assert gradient.dtype == torch.float32
        assert relative_error(gradient, wanted) < 2e-2


def test_autocast_does_not_round_float32_features() -> None:
    tensors = inputs(1, 8, 4, 32, 9, 10, dtype=torch.float32)
    exact = kernel_basis_attention(*tensors, group_channels=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = kernel_basis_attention(*tensors, group_channels=4)
        gradients = torch.autograd.grad(actual.square().sum(), tensors)
    torch.testing.assert_close(actual, exact)
    torch.testing.assert_close(gradients, torch.autograd.grad(exact.square().sum(), tensors))


def test_a_counter_by_dispatch_sees_every_multiply_add() -> None:
    tensors = [t.detach().to("meta").requires_grad_() for t in inputs(2, 8, 4, 5, 7, 9)]
    mixing, applying = 5 * (8 * 36 + 8), 8 * 36
    assert kernel_basis_macs(2, 8, 7, 9, bases=5, group_channels=4) == 2 * 7 * 9 * (mixing + applying)
    with FlopCounterMode(display=False) as counter:
        out = kernel_basis_attention(*tensors, group_channels=4)
    assert counter.get_total_flops() == 2 * kernel_basis_macs(2, 8, 7, 9, bases=5, group_channels=4)
    with FlopCounterMode(display=False) as counter:
        out.sum().backward()
    # The kernels once more, and twice the forward's.
    assert counter.get_total_flops() == 2 * 2 * 7 * 9 * (5 * 8 * 36 + 2 * (mixing + applying))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"a": (2, 3, 5, 4)}, "coefficients must be"),
        ({"w": (1, 3, 72)}, "basis must be"),
        ({"b": (1, 4, 8)}, "bias must be"),
        ({"u": (8, 5, 5)}, r"must be \(B, C, H, W\)"),
        ({"group_channels": 3}, "cannot be cut into groups of 3"),
        ({"implementation": "quick"}, "unknown implementation 'quick'"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(changed: dict[str, object], message: str) -> None:
    given = {"u": (2, 8, 5, 5), "a": (2, 3, 5, 5), "w": (1, 3, 288), "b": (1, 3, 8)}
    tensors = [torch.zeros(changed.get(name, shape)) for name, shape in given.items()]  # type: ignore[arg-type]
    options = {"group_channels": 4} | {k: v for k, v in changed.items() if k not in given}
    with pytest.raises(ValueError, match=message):
        kernel_basis_attention(*tensors, **options)  # type: ignore[arg-type]


@pytest.mark.alone
@pytest.mark.usefixtures("one_thread")
def test_is_three_times_as_fast_as_writing_the_kernels_out_and_twice_with_the_backward_pass() -> None:
    tensors = inputs(1, 64, 4, 32, 256, 256, dtype=torch.float32)
    cotangent = torch.ones(1, 64, 256, 256)

    def run(implementation: Implementation, *, backward: bool) -> None:
        with torch.set_grad_enabled(backward):
            out = kernel_basis_attention(*tensors, group_channels=4, implementation=implementation)
        if backward:
            torch.autograd.grad(out, tensors, cotangent)

    for backward, factor in ((False, 3), (True, 2)):
        seconds: dict[Implementation, float] = {}
        for name in ("fast", "reference", "fast", "reference"):
            spent = processor_seconds(lambda name=name, backward=backward: run(name, backward=backward))  # type: ignore[misc]
            seconds[name] = min(spent, seconds.get(name, spent))
        assert seconds["fast"] * factor < seconds["reference"]


MEMORY = """
import pathlib, re, sys, torch
from restorebench.models.layers.kernel_basis import kernel_basis_attention
torch.set_num_threads(2)
def kib(field):
    # Not getrusage: what it calls the peak begins with that of the process which started this one.
    return int(re.search(field + r":\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
def run(size):
    maps = [torch.empty(1, n, size, size, memory_format=torch.channels_last).normal_() for n in (64, 32)]
    tensors = [t.requires_grad_() for t in (*maps, torch.randn(1, 32, 2304), torch.randn(1, 32, 64))]
    cotangent = torch.ones(1, 64, size, size)
    before = kib("VmRSS")
    out = kernel_basis_attention(*tensors, group_channels=4, implementation=sys.argv[1])
    forward = kib("VmHWM") - before
    gradients = torch.autograd.grad(out, tensors, cotangent)
    return forward, kib("VmHWM") - before
run(16)
print(*run(256))
"""


@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux counts it")
def test_takes_at_most_64_mb_of_memory_with_all_results() -> None:
    """At 1x64x256x256 the output, the gradients with respect to u and to the coefficients are 42 MB of it."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, "fast"], check=True, capture_output=True, text=True, timeout=300
    )
    forward, both = (int(kib) * 1024 / 1e6 for kib in done.stdout.split())
    assert 17 < forward < 64
    assert 42 < both < 64
