"""Conformance: every registered restorer passes, and for every check there is a network that fails it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.conformance import CHECKS, COUNTS, Result, Subject, run_check, run_checks
from restorebench.models import ModelCard, SizeRule, Tiling, Variant, get_card, list_models, register, unregister

BUILDABLE = [card.name for card in list_models() if card.built_from == "arguments"]
EVERY_VARIANT = [
    (card.name, size) for card in list_models() if card.built_from == "arguments" for size in card.variants
]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small images gain nothing from threads, and on a busy machine threads that wait for each other cost minutes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def usual_variant(card: ModelCard) -> str:
    return "tiny" if "tiny" in card.variants else card.default_variant


def said(result: Result) -> str:
    return f"{result.model} {result.variant} {result.check}: {result.finding.detail}"


@pytest.mark.slow
@pytest.mark.parametrize("check", [name for name in CHECKS if name not in COUNTS])
@pytest.mark.parametrize("name", BUILDABLE)
def test_every_restorer_conforms(name: str, check: str) -> None:
    card = get_card(name)
    result = run_check(check, Subject(card=card, variant=usual_variant(card)))
    assert result.finding.status != "fail", said(result)
    if card.trainable:
        ruled_out = check == "tiles" and not card.tiling.allowed
        assert result.finding.status == ("skip" if ruled_out else "pass"), said(result)


@pytest.mark.slow
@pytest.mark.parametrize("check", COUNTS)
@pytest.mark.parametrize(("name", "variant"), EVERY_VARIANT)
def test_parameters_and_multiply_adds_of_every_variant_equal_the_card(name: str, variant: str, check: str) -> None:
    result = run_check(check, Subject(card=get_card(name), variant=variant))
    assert result.finding.status != "fail", said(result)


class Plain(nn.Module):
    """x plus a convolution of it: conforms to everything."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        restored: Tensor = x + self.body(x)
        return restored


class EvenSizesOnly(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(nn.functional.avg_pool2d(super().forward(x), 2), scale_factor=2)


class NotFiniteWhenSmall(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / (0 if x.shape[-1] < 16 else 1)


class MixesBatch(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) - 0.01 * x.mean()


class Noisy(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1e-6 * torch.randn_like(x)


class BuiltDifferently(Plain):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator()
        generator.seed()
        with torch.no_grad():
            self.body.bias.copy_(torch.randn(3, generator=generator))


class LosesDigits(Plain):
    """Adds a large number by a convolution, which bfloat16 rounds, and takes it away again."""

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.eye(3, device=x.device)[:, :, None, None]
        large = nn.functional.conv2d(x, weight, torch.full((3,), 100.0, device=x.device))
        return super().forward(large - 100)


class Unreached(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.forgotten = nn.Parameter(torch.ones(3))


class InfiniteGradient(Plain):
    """The root's slope at zero is infinite."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + (0 * self.body.bias).sum().sqrt()


class FailsOnTiles(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (math.nan if x.shape[-1] == 512 else 1)


class HidesWeights(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = torch.randn(3, 1, 1)  # no buffer: it is not in the state dict

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.hidden


class Raises(Plain):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("a defect")


def registered(network: Callable[..., nn.Module], details: Mapping[str, Any] | None = None, **card: Any) -> Subject:
    """The network under the name ``toy``."""
    toy = ModelCard(
        name="toy", title="Toy", variants={"paper": Variant(**(details or {}))}, paper="", url="", year=2026,
        code_licence="MIT", **card,
    )  # fmt: skip
    register(toy)(network)  # type: ignore[type-var]
    return Subject(card=toy, variant="paper")


@pytest.mark.usefixtures("own_registry")
def test_a_sound_network_passes_every_check() -> None:
    subject = registered(Plain, {"parameters": 84, "macs_256_g": 0.005308})
    assert {result.check: result.finding.status for result in run_checks(subject.card)} == dict.fromkeys(CHECKS, "pass")


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize(
    ("check", "network", "details", "reason"),
    [
        ("sizes", EvenSizesOnly, {}, "toy gave shape (1, 3, 8, 14) for an input of shape (1, 3, 9, 15)"),
        ("sizes", NotFiniteWhenSmall, {}, "8x8: 192 values are not finite"),
        ("sizes", Raises, {}, "a defect"),
        ("batch", MixesBatch, {}, "differ by"),
        ("determinism", Noisy, {}, "two runs differ"),
        ("determinism", BuiltDifferently, {}, "built twice"),
        ("bfloat16", LosesDigits, {}, "relative L2 error"),
        ("gradients", Unreached, {}, "1 of 3 trainable tensors get no gradient, first forgotten"),
        ("gradients", InfiniteGradient, {}, "the gradient of body.bias is not finite"),
        ("tiles", FailsOnTiles, {}, "not finite"),
        ("file", HidesWeights, {}, "not in its state dict"),
        ("parameters", Plain, {"parameters": 85}, "84 trainable parameters, the card says 85"),
        ("multiply-adds", Plain, {"macs_256_g": 0.0054}, "the card says 0.01 G"),
    ],
)
def test_every_check_can_fail(
    check: str, network: Callable[..., nn.Module], details: dict[str, Any], reason: str
) -> None:
    result = run_check(check, registered(network, details))
    assert result.finding.status == "fail"
    assert reason in result.finding.detail


class Routed(nn.Module):
    """An image goes through one of two weights, by its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ParameterList([torch.ones(3, 1, 1), torch.ones(3, 1, 1)])
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        chosen = [self.experts[int(image.mean() > 0.5)] for image in x]
        return x * (1 + self.gate * torch.stack(chosen))


@pytest.mark.usefixtures("own_registry")
def test_gates_at_zero_and_experts_without_images_are_no_failures() -> None:
    assert run_check("gradients", registered(Routed)).finding.status == "pass"


@pytest.mark.usefixtures("own_registry")
def test_what_a_card_rules_out_is_skipped() -> None:
    subject = registered(Plain, dtypes=("float32",), tiling=Tiling(allowed=False, note="global"), size=SizeRule())
    assert [run_check(check, subject).finding.status for check in ("bfloat16", "tiles", "parameters")] == ["skip"] * 3


@pytest.mark.usefixtures("own_registry")
def test_the_command_exits_with_1_when_a_check_fails(capsys: pytest.CaptureFixture[str]) -> None:
    registered(Unreached)
    assert main(["check", "model=toy"]) == 1
    out = capsys.readouterr().out
    assert "first forgotten" in out
    assert "1 failed" in out


def test_the_command_exits_with_0_when_none_fails_and_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "model=identity", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["check"]: row["result"] for row in rows}["sizes"] == "pass"


@pytest.mark.usefixtures("own_registry")
def test_all_covers_the_registry_and_says_what_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    for card in list_models():
        if card.name not in ("identity", "spandrel"):
            unregister(card.name)
    assert main(["check", "model=all"]) == 0
    out = capsys.readouterr().out
    assert "identity" in out
    assert "pass weights=PATH" in out


@pytest.mark.usefixtures("own_registry")
def test_every_variant_is_checked_on_request_and_counted_anyway() -> None:
    toy = ModelCard(
        name="toy", title="Toy", variants={"paper": Variant(), "tiny": Variant()}, paper="", url="", year=2026,
        code_licence="MIT",
    )  # fmt: skip
    register(toy)(Plain)
    tried = [(result.variant, result.check) for result in run_checks(toy)]
    assert tried == [*(("paper", check) for check in COUNTS), *(("tiny", check) for check in CHECKS)]
    assert len(list(run_checks(toy, "all"))) == 2 * len(CHECKS)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "which restorer?"),
        (["model"], "write key=value"),
        (["modle=identity"], "did you mean 'model'"),
        (["model=identitty"], "identity"),
        (["model=identity", "variant=papr"], "unknown variant of identity 'papr'"),
        (["model=all", "variant=tiny"], "belongs to one restorer"),
        (["model=all", "weights=x.pth"], "belongs to one restorer"),
        (["model=spandrel"], "add weights=PATH"),
        (["model=identity", "weights=/no/such.pth"], "/no/such.pth"),
        (["model=identity", "device=gpu"], "unknown device"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *words]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
