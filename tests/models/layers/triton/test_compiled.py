"""The kernels compile for the GPUs in question without spilling registers, and enough of them fit at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
import triton

from restorebench.models.layers.triton import channel_products, gated_depthwise, kernel_basis

from .compiled import MULTIPROCESSORS, Launch, Multiprocessor, Resources, recorded, resources

pytestmark = [
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="nothing is compiled under the interpreter"),
    pytest.mark.slow,
]
LEAST_OCCUPANCY = 0.25
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
IN_CI = {80: ("float32",), 86: ("bfloat16",), 89: ("float32",), 90: ("float32", "bfloat16"), 100: ("bfloat16",)}
"""Dtypes by compute capability that every run compiles; by night all of them, at all widths of the networks."""


def of_kernel_basis(
    channels: int, size: int, bases: int, side: int, dtype: torch.dtype, mix_dtype: torch.dtype
) -> list[Launch]:
    u = torch.empty(1, channels, side, side, dtype=dtype, device="meta", memory_format=torch.channels_last)
    mix = u.new_empty(1, bases, side, side, dtype=mix_dtype)
    kernels, offsets = (torch.empty(bases, channels * n, device="meta") for n in (9 * size, 1))

    def call() -> None:
        kernel_basis.forward(u, mix, kernels, offsets, size)
        kernel_basis.backward(u, u, mix, kernels, offsets, size)

    return recorded(kernel_basis, call)


def of_channel_products(channels: int, heads: int, side: int, dtype: torch.dtype) -> list[Launch]:
    qkv = torch.empty(1, 3 * channels, side, side, dtype=dtype, device="meta", memory_format=torch.channels_last)
    q, k, _ = qkv.chunk(3, dim=1)
    assert channel_products.applies(q, heads)
    return recorded(channel_products, lambda: channel_products.channel_products(q, k, heads))


def of_gated_depthwise(hidden: int, side: int, dtype: torch.dtype, *, biased: bool) -> list[Launch]:
    x = torch.empty(1, 2 * hidden, side, side, dtype=dtype, device="meta", memory_format=torch.channels_last)
    weight, bias = (torch.empty(shape, device="meta") for shape in ((2 * hidden, 1, 3, 3), (2 * hidden,)))
    return recorded(gated_depthwise, lambda: gated_depthwise.gated_depthwise(x, weight, bias if biased else None))


def launches(dtype: torch.dtype) -> list[Launch]:
    """Each kernel once, at the top level of KBNet-S and of Restormer."""
    return [
        *of_kernel_basis(64, 4, 32, 256, dtype, dtype),
        *of_channel_products(48, 1, 256, dtype),
        *of_gated_depthwise(127, 256, dtype, biased=False),
    ]


def all_launches() -> list[Launch]:
    """All that the networks' widths and depths bring about; one of each kind of arguments is enough."""
    found = []
    for dtype in DTYPES.values():
        for mix_dtype in {dtype, torch.float32}:
            for level in (0, 2, 4):
                side = 256 >> level
                found += of_kernel_basis(64 << level, 4, 32, side, dtype, mix_dtype)
                found += of_kernel_basis(16 << level, 4, 16, side, dtype, mix_dtype)
                found += of_kernel_basis(72 << level, 2, 32, side, dtype, mix_dtype)
        for channels, heads in ((48, 1), (384, 8), (16, 1), (24, 1), (32, 1), (64, 1)):
            found += of_channel_products(channels, heads, 64, dtype)
        for hidden in (32, 42, 127, 255, 510, 1021, 128):
            found += of_gated_depthwise(hidden, 64, dtype, biased=hidden % 2 == 0)
    return found


def check(launch: Launch, capability: int) -> None:
    taken = resources(launch, capability)
    constants = {name: value for name, value in launch.arguments.items() if not isinstance(value, torch.Tensor)}
    said = f"{launch.kernel.__name__} on {capability}: {taken}, {constants}"
    assert taken.stack == 0, said
    assert taken.occupancy(MULTIPROCESSORS[capability]) >= LEAST_OCCUPANCY, said


@pytest.fixture(autouse=True, scope="module")
def compiled_anew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is taken from the cache of the machine, or left in it."""
    with triton.knobs.cache.scope():
        triton.knobs.cache.dir = str(tmp_path_factory.mktemp("triton"))
        yield


@pytest.mark.parametrize(
    ("capability", "dtype"), [(capability, dtype) for capability, dtypes in IN_CI.items() for dtype in dtypes]
)
def test_no_kernel_spills_and_a_quarter_of_the_warps_fit(capability: int, dtype: str) -> None:
    found = launches(DTYPES[dtype])
    assert {launch.kernel.__name__ for launch in found} == {
        *("filter_pixels", "mix_gradient", "feature_gradient", "basis_gradient"),
        *("channel_sums", "gated_convolution"),
    }
    for launch in found:
        check(launch, capability)


@pytest.mark.nightly
@pytest.mark.parametrize("capability", MULTIPROCESSORS)
def test_no_kernel_spills_at_any_width_of_the_networks(capability: int) -> None:
    for launch in all_launches():
        check(launch, capability)


def test_what_spills_or_crowds_others_out_is_seen() -> None:
    """The same kernel with tiles that it is not launched with."""
    (launch, *_) = of_kernel_basis(64, 4, 32, 256, torch.float32, torch.float32)
    large = Launch(launch.kernel, launch.arguments | {"tile": 128, "depth": 32}, launch.options)
    taken = resources(large, 90)
    assert taken.stack > 0 or taken.occupancy(MULTIPROCESSORS[90]) < LEAST_OCCUPANCY


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        (Resources(32, 0, 0, 4), 1.0),
        (Resources(128, 0, 0, 4), 0.25),
        (Resources(129, 0, 0, 4), 0.1875),
        (Resources(32, 0, 56 << 10, 4), 0.25),
        (Resources(32, 0, 0, 1), 0.5),
    ],
)
def test_occupancy_is_what_registers_shared_memory_or_programs_allow(taken: Resources, expected: float) -> None:
    """On a multiprocessor of 64 warps, 32 programs, 65,536 registers and 228 KiB."""
    assert taken.occupancy(Multiprocessor(64, 32, 228 << 10)) == expected


def test_the_programs_of_nvidia_that_the_test_needs_come_with_triton() -> None:
    assert (Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump").exists()
