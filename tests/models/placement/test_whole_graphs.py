"""Every network is one graph for a compiler, whatever it is asked to do: no value is read on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, fx
from torch._dynamo.backends.registry import lookup_backend

from restorebench.models import build_network, list_models
from restorebench.models.layers import host
from restorebench.models.networks import adair_frequency
from restorebench.models.networks.adair_frequency import Box, literal_split, split, split_unread

NETWORKS = [card.key for card in list_models() if card.built_from == "arguments" and "tiny" in card.variants]


class BothWays:
    """A back end that runs a graph as it was traced (``eager``) and as its operators (``aot_eager``).

    Attributes:
        graphs: how many were traced.
        eager: output of the graph as it was traced.
    """

    def __init__(self) -> None:
        self.graphs = 0
        self.eager: Tensor | None = None

    def __call__(self, graph: fx.GraphModule, examples: Sequence[Any]) -> Callable[..., Any]:
        self.graphs += 1
        by_operators = lookup_backend("aot_eager")(graph, examples)

        def run(*inputs: Any) -> Any:
            (self.eager,) = graph(*inputs)
            return by_operators(*inputs)

        return run


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_one_graph_with_the_values_of_its_pass(name: str) -> None:
    torch._dynamo.reset()
    ways = BothWays()
    network = build_network(name, variant="tiny").eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        compiled = torch.compile(network, fullgraph=True, dynamic=False, backend=ways)(images)
        expected = network(images)
    assert ways.graphs == 1
    assert ways.eager is not None
    for restored in (compiled, ways.eager):
        torch.testing.assert_close(restored, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("boxes", [[Box(1, 2), Box(0, 3)], [Box(3, 3), Box(2, 1)], [Box(0, 0), Box(0, 0)]])
def test_frequencies_are_split_without_reading_the_boxes(boxes: list[Box]) -> None:
    features = torch.randn(2, 4, 24, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    halves = torch.tensor([(box.rows, box.columns) for box in boxes])
    for way in (lambda f: split_unread(f, halves, (3, 4)), lambda f: literal_split(f, halves)):
        for part, expected in zip(way(features), split(features, boxes), strict=True):
            torch.testing.assert_close(part, expected, rtol=0, atol=1e-6)


def test_a_device_that_is_not_to_be_asked_gets_the_same_from_adair(monkeypatch: pytest.MonkeyPatch) -> None:
    block = adair_frequency.AdaptiveFrequencyBlock(16).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 4)
        image, features = (torch.randn(2, n, 256, 300, generator=generator) for n in (3, 16))
        expected = block.mine(image, features)
        monkeypatch.setattr(adair_frequency, "reads_are_free", lambda _: False)
        for part, other in zip(block.mine(image, features), expected, strict=True):
            torch.testing.assert_close(part, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("top_k", [1, 2])
def test_in_a_graph_all_experts_of_moceir_run_and_those_chosen_count(
    top_k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restorebench.models.networks import moceir_experts

    adapter = moceir_experts.Adapter(16, 8, experts=4, top_k=top_k, complexity_bias=True).eval()
    generator = torch.Generator().manual_seed(3)
    a, s = (torch.randn(3, 16, 12, 20, generator=generator) for _ in range(2))
    embedding = torch.eye(3, 8)
    with torch.no_grad():
        adapter.routing.freq_gate.weight.copy_(9 * torch.eye(4, 8))
        assert adapter.routing(a, embedding)[1][:, 0].tolist() == [0, 1, 2]
        expected = adapter(a, embedding, s)
        monkeypatch.setattr(moceir_experts, "in_graph", lambda: True)
        torch.testing.assert_close(adapter(a, embedding, s), expected, rtol=1e-5, atol=1e-6)


def test_without_a_compiler_or_a_capture_values_can_be_read() -> None:
    assert not host.in_graph()
    assert host.reads_are_free(torch.zeros(1))
    assert not host.reads_are_free(torch.zeros(1, device="meta"))
