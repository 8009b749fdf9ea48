"""Whole images, tiles, and the way out when memory does not suffice."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.inference.numerics import Numerics, check_dtype, resolve_device
from restorebench.benchmarks.inference.runner import Runner
from restorebench.models import WeightsInfo
from restorebench.models.card import ModelCard, Tiling, Variant
from restorebench.models.restorer import Restorer

NO_WEIGHTS = WeightsInfo("none", None, None, "untrained", "")


def restorer(network: nn.Module, **card: object) -> Restorer:
    """A restorer around a network defined in a test."""
    values = {"name": "probe", "title": "Probe", "paper": "", "url": "", "year": 2026, "code_licence": ""}
    return Restorer(network, ModelCard(variants={"only": Variant()}, **{**values, **card}), "only", NO_WEIGHTS, {})  # type: ignore[arg-type]


class Halve(nn.Module):
    """Pointwise, so tiles and whole images agree exactly; notes the sizes it sees."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()
        self.limit = limit
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(tuple(x.shape[-2:]))
        if self.limit is not None and x.shape[-1] * x.shape[-2] > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return x / 2


def test_out_of_memory_is_retried_in_tiles_and_the_row_says_so(caplog: pytest.LogCaptureFixture) -> None:
    network = Halve(limit=100 * 100)
    runner = Runner(restorer(network, tiling=Tiling(tile=96, overlap=16)), Numerics())
    image = torch.rand(1, 3, 150, 150)
    with caplog.at_level(logging.WARNING, "restorebench"):
        restored, how = runner.restore(image)
    assert how == "tiles of 96"
    assert max(network.sizes[1:]) <= (96, 96)
    torch.testing.assert_close(restored, image / 2, atol=1e-6, rtol=0)
    assert "restored in tiles of 96" in caplog.text


def test_out_of_memory_on_the_cpu_even_in_tiles_is_an_error_with_the_remedy() -> None:
    runner = Runner(restorer(Halve(limit=10)), Numerics())
    with pytest.raises(MemoryError, match="tile="):
        runner.restore(torch.rand(1, 3, 64, 64))


def test_other_runtime_errors_are_not_taken_for_want_of_memory() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Runner(restorer(Broken()), Numerics()).restore(torch.rand(1, 3, 64, 64))


def test_bfloat16_runs_under_autocast_and_returns_float32() -> None:
    seen: list[torch.dtype] = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.convolution(x)
            seen.append(y.dtype)
            return y

    restored, _ = Runner(restorer(Spy()), Numerics(dtype="bfloat16")).restore(torch.rand(1, 3, 16, 16))
    assert seen == [torch.bfloat16]
    assert restored.dtype == torch.float32


def test_tf32_switches_are_put_back() -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    with Numerics(tf32=True).applied():
        assert torch.backends.cudnn.allow_tf32
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


def test_forced_tiles_are_tiles() -> None:
    network = Halve()
    _, how = Runner(restorer(network), Numerics(tile=64)).restore(torch.rand(1, 3, 100, 100))
    assert how == "tiles of 64"
    assert max(network.sizes) == (64, 64)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:a"])
def test_an_unknown_device_is_the_users_mistake(name: str) -> None:
    with pytest.raises(UserError, match="unknown device"):
        resolve_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_missing_gpu_is_said() -> None:
    assert resolve_device("auto") == "cpu"
    with pytest.raises(UserError, match="0 CUDA devices"):
        resolve_device("cuda")


def test_a_dtype_that_the_card_does_not_allow_is_refused() -> None:
    assert check_dtype("float32", ("float32",), "Probe") == "float32"
    with pytest.raises(UserError, match="Probe does not run in float16"):
        check_dtype("float16", ("float32",), "Probe")


def test_channels_last_leaves_weights_of_five_dimensions_as_they_are() -> None:
    class Prompted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 3, 3, padding=1)
            self.prompt = nn.Parameter(torch.rand(1, 2, 3, 4, 4))

        def forward(self, x: Tensor) -> Tensor:
            restored: Tensor = self.convolution(x)
            return restored

    torch.manual_seed(0)
    network = Prompted()
    image = torch.rand(1, 3, 16, 16)
    expected = Runner(restorer(network), Numerics()).restore(image)[0]
    runner = Runner(restorer(network), Numerics(channels_last=True))
    assert network.convolution.weight.is_contiguous(memory_format=torch.channels_last)
    assert network.prompt.is_contiguous()
    torch.testing.assert_close(runner.restore(image)[0], expected)
