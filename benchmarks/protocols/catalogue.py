"""The named protocols: a new one is added here, as data, and to `PROTOCOLS`.

A protocol is never changed, only followed by a new version. PROTOCOLS.md says where each rule comes from.
"""

from __future__ import annotations

from dataclasses import replace

from ...messages import nearest
from ..errors import UserError
from .noise import KeyedNoise, ReseededNoise
from .protocol import Protocol
from .ssim import Ssim

PROMPTIR = Protocol(
    name="promptir",
    version=1,
    crop_multiple=16,
    noise=KeyedNoise(),
    pairs=True,
    pad_multiple=None,
    rounded=False,
    colour="rgb",
    data_range=1,
    ssim=Ssim(window="uniform7", sample_covariance=True),
    lpips=None,
)

MOCEIR = replace(PROMPTIR, name="moceir", ssim=Ssim(window="gaussian11", sample_covariance=True), lpips="vgg")

KBNET_GAUSS = Protocol(
    name="kbnet-gauss",
    version=1,
    crop_multiple=None,
    noise=ReseededNoise(),
    pairs=False,
    pad_multiple=8,
    rounded=True,
    colour="rgb",
    data_range=255,
    ssim=None,
    lpips=None,
)

RESTORMER_Y = Protocol(
    name="restormer-y",
    version=1,
    crop_multiple=None,
    noise=None,
    pairs=True,
    pad_multiple=None,
    rounded=True,
    colour="y",
    data_range=255,
    ssim=Ssim(window="gaussian11", sample_covariance=False),
    lpips=None,
)

BASICSR_RGB = replace(RESTORMER_Y, name="basicsr-rgb", colour="rgb")

PROTOCOLS = {str(protocol): protocol for protocol in (PROMPTIR, MOCEIR, KBNET_GAUSS, RESTORMER_Y, BASICSR_RGB)}
"""By name with version, the default first."""


USED_BY = {
    "promptir": "AirNet, PromptIR, AdaIR, RBaIR",
    "moceir": "MoCE-IR, whose SSIM has another window",
    "kbnet-gauss": "KBNet, Restormer: Gaussian colour denoising",
    "restormer-y": "deraining papers of the Restormer line",
    "basicsr-rgb": "papers scored by BasicSR in RGB",
}
"""Whose tables are made by which protocol, by its name without the version; see PROTOCOLS.md."""


def used_by(protocol: Protocol) -> str:
    """Whose tables are made by a protocol; "" where nothing is known."""
    return USED_BY.get(protocol.name, "")


def list_protocols() -> tuple[str, ...]:
    """Names with versions, the default first."""
    return tuple(PROTOCOLS)


def get_protocol(name: str, *, seed: int = 0) -> Protocol:
    """The protocol of that name and version, such as ``promptir@1``; `seed` is that of its noise.

    Raises:
        UserError: if there is none, with the nearest names; if a bare name lacks its version, with the versions.
    """
    protocol = PROTOCOLS.get(name)
    if protocol is None:
        versions = [known for known in PROTOCOLS if known.partition("@")[0] == name]
        hint = f" (did you mean {' or '.join(map(repr, versions))}?)" if versions else nearest(name, PROTOCOLS)
        raise UserError(f"unknown protocol {name!r}{hint}; use {', '.join(PROTOCOLS)}")
    return protocol if protocol.noise is None else replace(protocol, noise=replace(protocol.noise, seed=seed))
