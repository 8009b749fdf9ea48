"""On a GPU every network gives what it gives on the CPU: outputs, gradients, in bfloat16, compiled, without waits."""

from __future__ import annotations

import copy
import gc

import pytest
import torch
from torch import Tensor, nn

from restorebench.models import build_network, list_models

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none here"),
]
NETWORKS = [card.key for card in list_models() if card.built_from == "arguments" and "tiny" in card.variants]
READING = ("moceir",)
"""Networks that read values on their way (see ``test_networks.READS``)."""
BF16 = [
    card.key
    for card in list_models()
    if card.built_from == "arguments" and "tiny" in card.variants and "bfloat16" in card.dtypes
]


@pytest.fixture(autouse=True)
def exact() -> None:
    """float32 means float32; what other tests left on the device is gone."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    gc.collect()
    torch.cuda.empty_cache()


def network(name: str) -> nn.Module:
    """A tiny network whose every parameter says something; some start at zero."""
    net = build_network(name, variant="tiny").eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return net


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def relative(found: Tensor, expected: Tensor) -> float:
    """Root of the mean square of the difference over that of what is expected."""
    return float((found.cpu().double() - expected.double()).norm() / expected.double().norm())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_outputs_are_those_of_the_cpu(name: str, layout: torch.memory_format) -> None:
    net, batch = network(name), images(2, 3, 128, 96)
    with torch.inference_mode():
        expected = net(batch)
        found = net.to("cuda", memory_format=layout)(batch.to("cuda", memory_format=layout))
    assert relative(found, expected) < 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_the_cpu(name: str) -> None:
    net, batch = network(name), images(2, 3, 64, 64)
    there = copy.deepcopy(net).cuda()
    (net(batch) ** 2).mean().backward()
    (there(batch.cuda()) ** 2).mean().backward()
    largest = max(float(p.grad.norm()) for p in net.parameters() if p.grad is not None)
    for (key, parameter), other in zip(net.named_parameters(), there.parameters(), strict=True):
        assert (parameter.grad is None) == (other.grad is None), key
        if parameter.grad is not None and other.grad is not None:
            difference = float((other.grad.cpu() - parameter.grad).norm())
            assert difference <= 1e-3 * float(parameter.grad.norm()) + 1e-5 * largest, key


@pytest.mark.parametrize("name", BF16)
def test_in_bfloat16_a_network_is_near_what_it_is_in_float32(name: str) -> None:
    net, batch = network(name).cuda(), images(1, 3, 128, 128).cuda()
    with torch.inference_mode():
        expected = net(batch).cpu()
        with torch.autocast("cuda", torch.bfloat16):
            found = net(batch).float()
    assert relative(found, expected) < 0.05


@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_as_one_graph_a_network_gives_the_same(name: str) -> None:
    torch._dynamo.reset()
    net, batch = network(name).cuda(), images(1, 3, 64, 64).cuda()
    with torch.inference_mode():
        expected = net(batch).cpu()
        found = torch.compile(net, fullgraph=True, dynamic=False)(batch)
    assert relative(found, expected) < 1e-4


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in READING])
def test_nothing_is_waited_for_between_the_input_and_the_output(name: str) -> None:
    net, batch = network(name).cuda(), images(1, 3, 512, 512).cuda()
    with torch.inference_mode():
        net(batch)  # libraries may wait while they choose their algorithms
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            net(batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", NETWORKS)
def test_memory_of_a_pass_grows_no_faster_than_the_image(name: str) -> None:
    net = network(name).cuda()
    peaks = []
    for side in (256, 512):
        batch = images(1, 3, side, side).cuda()
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        with torch.inference_mode():
            net(batch)
        peaks.append(torch.cuda.max_memory_allocated() - before)
    assert peaks[1] < 5 * peaks[0]
