"""Where the kernels run, and that the operators take them there and the plain form everywhere else."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

pytest.importorskip("triton")

from restorebench.models.layers import channel_products as products
from restorebench.models.layers import gated_depthwise as gate
from restorebench.models.layers import kernel_basis
from restorebench.models.layers.triton import channel_products as products_kernels
from restorebench.models.layers.triton import device
from restorebench.models.layers.triton import gated_depthwise as gate_kernels
from restorebench.models.layers.triton import kernel_basis as kernel_basis_kernels

from ..examples import noise


@pytest.mark.parametrize(
    ("dtype", "capability", "runs"),
    [
        (torch.float32, (9, 0), True),
        (torch.bfloat16, (8, 0), True),
        (torch.float16, (12, 0), True),
        (torch.float64, (9, 0), False),
        (torch.float32, (7, 5), False),
    ],
)
def test_kernels_run_on_gpus_that_they_are_compiled_for(
    dtype: torch.dtype, capability: tuple[int, int], runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.version, "hip", None)
    device._installed.cache_clear()
    with FakeTensorMode():
        assert device.kernels_run(torch.empty(1, dtype=dtype, device="cuda")) is runs
    assert not device.kernels_run(torch.empty(1, dtype=dtype))


def test_without_triton_none_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(device, "_installed", lambda: False)
    with FakeTensorMode():
        assert not device.kernels_run(torch.empty(1, device="cuda"))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels' functions that operators call, on what they are told is a GPU."""
    calls: list[str] = []

    def stand_in(module: ModuleType, name: str, plain: object) -> None:
        def call(*given: object) -> object:
            calls.append(name)
            return plain(*given)  # type: ignore[operator]

        monkeypatch.setattr(module, name, call)

    stand_in(kernel_basis_kernels, "forward", kernel_basis._forward_in_blocks)
    stand_in(kernel_basis_kernels, "backward", kernel_basis._backward_in_blocks)
    stand_in(products_kernels, "channel_products", products._plain)
    stand_in(gate_kernels, "gated_depthwise", gate._plain)
    for module in (kernel_basis, products, gate):
        monkeypatch.setattr(module, "kernels_run", lambda _: True)
    return calls


def filtered(bases: int, size: int) -> Tensor:
    u, mix = noise(1, 8, 3, 4).requires_grad_(), noise(1, bases, 3, 4)
    basis, bias = noise(1, bases, 8 * size * 9), noise(1, bases, 8)
    return kernel_basis.kernel_basis_attention(u, mix, basis, bias, group_channels=size)


@pytest.mark.parametrize(("bases", "size"), [(16, 4), (32, 4), (32, 2), (16, 2)])
def test_kernel_basis_attention_takes_its_kernels_in_both_directions(bases: int, size: int, taken: list[str]) -> None:
    filtered(bases, size).sum().backward()
    assert taken == ["forward", "backward"]


@pytest.mark.parametrize(("bases", "size"), [(5, 4), (64, 4), (16, 1), (16, 8)])
def test_shapes_that_the_kernels_do_not_know_are_computed_plainly(bases: int, size: int, taken: list[str]) -> None:
    filtered(bases, size).sum().backward()
    assert taken == []


def test_attention_takes_its_kernel_for_heads_that_fit_into_registers(taken: list[str]) -> None:
    products.channel_products(noise(1, 64, 2, 2), noise(1, 64, 2, 2), 1)
    assert taken == ["channel_products"]
    products.channel_products(noise(1, 65, 2, 2), noise(1, 65, 2, 2), 1)
    assert taken == ["channel_products"]


def test_the_gate_takes_its_kernel(taken: list[str]) -> None:
    conv = torch.nn.Conv2d(6, 6, 3, padding=1, groups=6)
    gate.gated_depthwise(noise(1, 6, 2, 2), conv)
    assert taken == ["gated_depthwise"]
