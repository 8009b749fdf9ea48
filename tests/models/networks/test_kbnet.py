"""KBNet against the authors' outputs, spandrel's networks and a plain rewriting; its sizes, dtypes, time and memory."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from restorebench.models import Restorer, WeightsInfo, get_card
from restorebench.models.networks.kbnet import CARD, KBNet

from ...oracles.kbnet_plain import PlainKBNetL, PlainKBNetS
from ..processor_time import processor_seconds
from .comparison import relative_error
from .references import (
    Reference,
    built_filled,
    count_gmacs,
    filled,
    image,
    key_table,
    probe,
    reference_key_table,
)

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[3]
S_FEW: dict[str, Any] = {
    "width": 16,
    "encoder_blocks": (1, 2),
    "middle_blocks": 1,
    "decoder_blocks": (1, 1),
    "bases": 8,
}
L_FEW: dict[str, Any] = {
    "width": 12,
    "encoder_blocks": (1, 2, 1),
    "middle_blocks": 1,
    "decoder_blocks": (1, 1, 1),
    "ffn_scale": 1.5,
    "bases": 8,
    "refinement_blocks": 1,
}


def build(variant: str) -> nn.Module:
    return KBNet(**CARD.variants[variant].arguments)


def pair(shape: str, **changes: Any) -> tuple[nn.Module, nn.Module]:
    """A small network of that shape, and the plain one with the same weights."""
    arguments = (S_FEW if shape == "s" else L_FEW) | changes
    oracle = PlainKBNetS if shape == "s" else PlainKBNetL
    return filled(KBNet(shape, **arguments)), filled(oracle(**arguments))


@pytest.fixture(scope="module")
def published() -> dict[str, nn.Module]:
    return {variant: built_filled(functools.partial(build, variant)) for variant in ("s", "l")}


@pytest.mark.parametrize("variant", ["s", "l"])
def test_keys_shapes_and_trainability_are_those_of_the_reference(variant: str) -> None:
    with torch.device("meta"):
        network = build(variant)
    assert key_table(network) == reference_key_table(f"kbnet_{variant}")


@pytest.mark.parametrize(("variant", "parameters", "gmacs"), [("s", 141_966_659, 117.3), ("l", 29_568_100, 210.2)])
def test_published_sizes_have_their_parameters_and_cost(variant: str, parameters: int, gmacs: float) -> None:
    with torch.device("meta"):
        network = build(variant)
    assert sum(p.numel() for p in network.parameters()) == parameters == CARD.variants[variant].parameters
    assert count_gmacs(network, 256) == pytest.approx(gmacs, abs=0.05)
    assert CARD.variants[variant].macs_256_g == pytest.approx(gmacs, abs=0.05)


def test_tiny_variant_is_as_small_as_its_card_says() -> None:
    variant = CARD.variants["tiny"]
    network = build("tiny")
    assert sum(p.numel() for p in network.parameters()) == variant.parameters
    assert variant.parameters is not None
    assert variant.parameters < 600_000
    assert count_gmacs(network, 256) == pytest.approx(variant.macs_256_g, abs=0.005)
    assert variant.macs_256_g is not None
    assert variant.macs_256_g < 6


@pytest.mark.parametrize(
    ("variant", "shape"),
    [("s", (1, 3, 40, 56)), ("s", (1, 3, 64, 64)), ("l", (1, 3, 64, 64)), ("l", (2, 3, 48, 80))],
)
def test_output_and_input_gradient_equal_the_reference(
    published: dict[str, nn.Module], variant: str, shape: tuple[int, ...]
) -> None:
    reference = Reference.read(f"kbnet_{variant}-{'x'.join(map(str, shape))}")
    restored, gradient = reference.restore(published[variant])
    assert relative_error(restored, reference.output) < 1e-5
    assert relative_error(gradient, reference.gradient) < 2e-5
    with torch.no_grad():  # which takes other paths: in place, and in strips
        inferred = published[variant](reference.image())
    assert relative_error(inferred, reference.output) < 1e-5


@pytest.mark.parametrize("variant", ["s", "l"])
def test_spandrel_loads_the_same_weights_and_agrees(published: dict[str, nn.Module], variant: str) -> None:
    spandrel = pytest.importorskip("spandrel", reason="spandrel, which has both networks too, is not installed")
    peer = spandrel.ModelLoader(device="cpu").load_from_state_dict(dict(published[variant].state_dict()))
    x = image("peer", 1, 3, 32, 48)
    with torch.no_grad():
        assert relative_error(published[variant](x), peer.model.eval()(x)) < 1e-5


@pytest.mark.parametrize(
    ("shape", "changes"), [("s", {}), ("s", {"light": True, "ffn_scale": 1.5}), ("l", {})], ids=["s", "light s", "l"]
)
def test_equals_the_plain_network_with_all_gradients(shape: str, changes: dict[str, Any]) -> None:
    """In float64, so that only a difference in the mathematics can show."""
    network, oracle = pair(shape, **changes)
    x = image("plain", 2, 3, 16, 24).double()
    cotangent = probe("plain", tuple(x.shape)).double()
    gradients = []
    for net in (network.double(), oracle.double()):
        restored = net(x)
        (restored * cotangent).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in net.named_parameters()})
    torch.testing.assert_close(network(x), oracle(x))
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("size", [(1, 1), (7, 30), (33, 18)])
def test_s_pads_with_zeros_inside_and_takes_any_size(size: tuple[int, int]) -> None:
    network, oracle = pair("s")
    x = image("odd", 1, 3, *size)
    with torch.no_grad():
        assert relative_error(network(x), oracle(x)) < 1e-5


@pytest.mark.parametrize("variant", ["s", "l", "tiny"])
@pytest.mark.parametrize("size", [(8, 8), (9, 21)])
def test_restorer_takes_any_size(published: dict[str, nn.Module], variant: str, size: tuple[int, int]) -> None:
    network = published.get(variant) or KBNet(**CARD.variants[variant].arguments)
    restorer = Restorer(network, CARD, variant, WeightsInfo("memory", None, None, "foreign", "filled"))
    x = image("any", 1, 3, *size)
    with torch.no_grad():
        restored = restorer(x)
    assert restored.shape == x.shape
    assert restored.isfinite().all()


@pytest.mark.parametrize("shape", ["s", "l"])
def test_images_of_a_batch_do_not_see_each_other(shape: str) -> None:
    network, _ = pair(shape)
    x = image("batch", 3, 3, 32, 24)
    with torch.no_grad():
        together, alone = network(x), torch.cat([network(one) for one in x.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", ["s", "l"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_input_is_left_as_it_was_in_every_layout(shape: str, layout: torch.memory_format) -> None:
    network, oracle = pair(shape)
    x = image("layout", 2, 3, 32, 32).contiguous(memory_format=layout)
    before = x.clone()
    with torch.no_grad():
        assert relative_error(network(x), oracle(x)) < 1e-5
    assert torch.equal(x, before)


@pytest.mark.parametrize("shape", ["s", "l"])
def test_bfloat16_autocast_is_near_float32_in_both_directions(shape: str) -> None:
    network, _ = pair(shape)
    x = image("autocast", 2, 3, 32, 32)
    results = []
    for autocast in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            restored = network(x)
            loss = (restored.float() - x).square().mean()
        loss.backward()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            inferred = network(x)
        gradient = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
        results.append((restored.detach(), inferred, gradient))
    for exact, rough, tolerance in zip(*results, (0.03, 0.03, 0.1), strict=True):
        assert rough.isfinite().all()
        assert relative_error(rough.float(), exact) < tolerance


@pytest.mark.parametrize("shape", ["s", "l"])
def test_every_parameter_learns_from_the_start(shape: str) -> None:
    torch.manual_seed(0)
    network = KBNet(shape, **(S_FEW if shape == "s" else L_FEW))
    network(image("start", 1, 3, 16, 16)).square().mean().backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


def test_checkpoint_of_real_noise_brings_its_light_form(weights_folder: Path) -> None:
    checkpoints = {checkpoint.file_name: checkpoint for checkpoint in get_card("kbnet").checkpoints}
    assert {name for name, checkpoint in checkpoints.items() if checkpoint.overrides} == {
        "sidd.pth",
        "sensenoise_s.pth",
    }
    with torch.device("meta"):
        light = KBNet(**checkpoints["sidd.pth"].overrides)
    local = light.get_submodule("encoders.0.0.conv11.1")
    assert isinstance(local, nn.Conv2d)
    assert (local.kernel_size, local.groups) == ((3, 3), 64)
    assert tuple(light.get_parameter("encoders.0.0.conv5.weight").shape) == (64, 48, 1, 1)
    assert count_gmacs(light, 256) < count_gmacs(build("s"), 256)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": "m"}, "shape must be"),
        ({"encoder_blocks": (1, 1)}, "2 encoder levels, but 4 decoder levels"),
        ({"shape": "l", "light": True}, "no light form"),
        ({"shape": "l", "encoder_blocks": (1, 1), "decoder_blocks": (1, 1)}, "3 encoder levels"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KBNet(**arguments)


FEW_WIDE: dict[str, dict[str, Any]] = {
    "s": {"encoder_blocks": (1, 1), "middle_blocks": 1, "decoder_blocks": (1, 1)},
    "l": L_FEW | {"width": 48, "bases": 32, "encoder_blocks": (1, 1, 1), "refinement_blocks": 0},
}
"""Published widths with few blocks: what is said of time and memory holds block by block."""


@pytest.mark.alone
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("shape", "share"), [("s", 0.5), ("l", 0.4)])
def test_takes_at_most_a_share_of_the_plain_network_s_time(shape: str, share: float) -> None:
    """At 1x3x256x256 in float32."""
    network, oracle = pair(shape, **({"width": 64, "bases": 32} | FEW_WIDE[shape]))
    x = image("time", 1, 3, 256, 256)
    seconds: dict[nn.Module, float] = {}
    with torch.no_grad():
        for net in (network, oracle, network):
            spent = processor_seconds(functools.partial(net, x))
            seconds[net] = min(spent, seconds.get(net, spent))
    assert seconds[network] < share * seconds[oracle]


MEMORY = """
import pathlib, re, sys, torch
sys.path.insert(0, sys.argv[1])
from restorebench.models.networks.kbnet import KBNet
from tests.oracles.kbnet_plain import PlainKBNetL, PlainKBNetS
torch.set_num_threads(1)
shape, arguments = sys.argv[2], eval(sys.argv[3])
def kib(field):
    return int(re.search(field + r":\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
def peak(network):
    before = kib("VmRSS")
    network(torch.rand(1, 3, 128, 128))
    return kib("VmHWM") - before
with torch.no_grad():
    fast = KBNet(shape, **arguments)
    fast(torch.rand(1, 3, 16, 16))
    first = peak(fast)
    plain = (PlainKBNetS if shape == "s" else PlainKBNetL)(**arguments)
    print(first, peak(plain))
"""


@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux counts it")
@pytest.mark.parametrize("shape", ["s", "l"])
def test_peak_memory_is_at_most_half_of_the_plain_network_s(shape: str) -> None:
    """Above the weights, at 1x3x128x128 in float32; ``nox -s perf`` measures the whole networks at 256x256."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(PROJECT), shape, repr(FEW_WIDE[shape])],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    fast, slow = map(int, done.stdout.split())
    assert 0 < fast < 0.5 * slow


@pytest.mark.parametrize(("variant", "zeros"), [("tiny", True), ("s", True), ("l", False)])
def test_the_small_network_pads_itself_by_zeros_and_the_large_one_is_padded_by_reflection(
    variant: str, zeros: bool
) -> None:
    """KBNet-S gets the image as it is; reflection to a multiple of 8 belongs to the protocol that says so."""
    rule = CARD.size_of(variant)
    assert (rule.padded(21), rule.padded(18)) == ((21, 18) if zeros else (24, 24))
    assert rule == CARD.size or zeros


def test_an_odd_size_gives_the_networks_own_padding() -> None:
    network = filled(KBNet(**CARD.variants["tiny"].arguments)).eval()
    restorer = Restorer(network, CARD, "tiny", WeightsInfo("memory", None, None, "foreign", "filled"))
    x = image("odd", 1, 3, 21, 18)
    by_hand = nn.functional.pad(x, (0, 24 - 18, 0, 24 - 21))
    with torch.inference_mode():
        restored, expected = restorer(x), network(by_hand)[..., :21, :18]
    torch.testing.assert_close(restored, expected, rtol=0, atol=1e-6)
