"""LPIPS through the ``lpips`` package, with backbone weights that are on this machine: no run downloads anything.

The package brings its linear layers; the backbone (torchvision's AlexNet or VGG-16 trained on ImageNet) is looked for
in torch's cache, where torchvision and ``bench data fetch lpips`` put it, or is given with ``lpips.weights=PATH``.
"""

from __future__ import annotations

import hashlib
import math
import pickle
import sys
import threading
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ...messages import nearest, one_line
from ..errors import UserError

Backbone = Literal["alex", "vgg"]
METRICS = ("psnr", "ssim", "lpips")
LEAST_SIDE = 32
"""Pixels below which a backbone has no deepest feature; LPIPS of such an image is not available."""


SITE = "https://download.pytorch.org/models"


@dataclass(frozen=True)
class _Origin:
    """torchvision's name of a backbone, and the file that its cache holds."""

    title: str
    file: str

    @property
    def url(self) -> str:
        """Where PyTorch offers it."""
        return f"{SITE}/{self.file}"

    @property
    def pattern(self) -> str:
        """The file's name whatever the version's hash."""
        return f"{self.file.rpartition('-')[0]}-*.pth"


ORIGINS: dict[Backbone, _Origin] = {
    "alex": _Origin("AlexNet", "alexnet-owt-7be5be79.pth"),
    "vgg": _Origin("VGG-16", "vgg16-397923af.pth"),
}


@dataclass(frozen=True)
class LpipsChoice:
    """Which LPIPS a run computes.

    Attributes:
        backbone: named in every column that shows it.
        path: file with the backbone's weights; None if there is none and LPIPS is not available.
        sha256: of that file.
        insisted: asked for by name; a cell without it is then computed again.
    """

    backbone: Backbone
    path: Path | None
    sha256: str | None
    insisted: bool

    @property
    def label(self) -> str:
        """Backbone and the beginning of its weights' hash: what a row says its value was computed by."""
        return "" if self.sha256 is None else f"{self.backbone}-{self.sha256[:12]}"

    @property
    def notice(self) -> str:
        """One line where it is not available; "" otherwise."""
        return lpips_notice([self])


def lpips_notice(choices: Iterable[LpipsChoice | None]) -> str:
    """One line for all LPIPS that are wanted and not available, with what to type; "" where none is lacking."""
    lacking = list(dict.fromkeys(each.backbone for each in choices if each is not None and each.path is None))
    if not lacking:
        return ""
    return f"{' and '.join(f'lpips_{name}' for name in lacking)} will be n/a: {_remedy(*lacking)}"


def choose_lpips(metrics: object, weights: str | None, backbone: Backbone) -> LpipsChoice | None:
    """The LPIPS that ``metrics=`` asks for; None if it is left out.

    Args:
        metrics: ``auto`` (PSNR and SSIM, and LPIPS where its weights are here), or a list of names; PSNR and SSIM are
            always computed.
        weights: file of the backbone's weights, ``lpips.weights=``; None looks into torch's cache.
        backbone: that of the protocol.

    Raises:
        UserError: an unknown metric, a file that is not there, or LPIPS asked for by name and not available.
    """
    names = [metrics] if isinstance(metrics, str) else list(metrics) if isinstance(metrics, Sequence) else None
    if names is None or not names:
        raise UserError(f"metrics={metrics}: use auto, or a list of {', '.join(METRICS)}")
    for name in names:
        if name not in (*METRICS, "auto"):
            raise UserError(f"unknown metric {name!r}{nearest(name, METRICS)}; use auto, {', '.join(METRICS)}")
    insisted = "lpips" in names
    if not insisted and "auto" not in names:
        return None
    path = find_weights(backbone, weights)
    if path is None and insisted:
        raise UserError(f"metrics=[lpips]: {_remedy(backbone)}")
    digest = None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    return LpipsChoice(backbone, path, digest, insisted)


def find_weights(backbone: Backbone, given: str | None) -> Path | None:
    """The file with a backbone's weights: the given one, else the newest in torch's cache, else None.

    Raises:
        UserError: if the given file is not there.
    """
    if given is not None:
        path = Path(given).expanduser()
        if not path.is_file():
            raise UserError(f"lpips.weights={given}: there is no such file")
        return path
    files = [path for path in cache_folder().glob(ORIGINS[backbone].pattern) if path.is_file()]
    return max(files, key=lambda path: path.stat().st_mtime, default=None)


def cache_folder() -> Path:
    """Where torch keeps downloaded checkpoints."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def _remedy(*backbones: Backbone) -> str:
    titles = " and ".join(ORIGINS[name].title for name in backbones)
    return (
        f"no {titles} weights on this machine; `bench data fetch lpips` downloads them into {cache_folder()}, or give "
        "lpips.weights=PATH"
    )


def fetch_weights(backbone: Backbone) -> tuple[Path, bool]:
    """A backbone's weights in torch's cache, downloaded from PyTorch's site if they are not there.

    Returns:
        The file, and whether it was downloaded now.

    Raises:
        UserError: it cannot be downloaded, or is not the file that its name says by the beginning of its SHA-256.
    """
    known = find_weights(backbone, None)
    if known is not None:
        return known, False
    origin = ORIGINS[backbone]
    path = cache_folder() / origin.file
    prefix = path.stem.rpartition("-")[2]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(origin.url, str(path), hash_prefix=prefix, progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as error:  # no network, no such page; a file with another hash
        reason = one_line(error)
        raise UserError(f"{origin.url}: {reason}; put the file into {path.parent} by hand") from error
    return path, True


class Lpips:
    """LPIPS (version 0.1) with one backbone; safe to call from several threads."""

    def __init__(self, choice: LpipsChoice, device: str = "cpu") -> None:
        """Load the backbone.

        Raises:
            UserError: if the file is no state dict of that backbone.
        """
        assert choice.path is not None
        self.choice = choice
        self.network = _build(choice.backbone)
        _load_backbone(self.network, choice.path, choice.backbone)
        self.network.to(device).eval()
        self._lock = threading.Lock()

    @property
    def label(self) -> str:
        """What rows say their values were computed by."""
        return self.choice.label

    def __call__(self, restored: Tensor, clean: Tensor) -> float:
        """LPIPS of two images (3, H, W) in [0, 1], on the network's device; NaN where they are too small for it."""
        return float(self.value(restored, clean).item())

    def value(self, restored: Tensor, clean: Tensor) -> Tensor:
        """The same as a scalar on that device, which is not waited for."""
        if min(clean.shape[-2:]) < LEAST_SIDE:
            return torch.full((), math.nan, device=clean.device)
        with self._lock, torch.inference_mode(), torch.autocast(clean.device.type, enabled=False):
            x, y = (image[None].to(torch.float32) * 2 - 1 for image in (restored, clean))
            distance: Tensor = self.network(x, y)
            return distance.reshape(())


def _build(backbone: Backbone) -> Any:
    """The package's module with its linear layers and an untrained backbone, leaving the global generator alone."""
    import lpips

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # The package calls torchvision with arguments that are deprecated there.
        warnings.simplefilter("ignore", UserWarning)
        return lpips.LPIPS(net=backbone, version="0.1", pretrained=True, pnet_rand=True, verbose=False)


def _load_backbone(network: Any, path: Path, backbone: Backbone) -> None:
    """Put torchvision's ``features.N.*`` where the package keeps layer N."""
    title = ORIGINS[backbone].title
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be read as weights of {title} ({reason}); see lpips.weights") from error
    wanted = {key: f"features.{key.partition('.')[2]}" for key in network.net.state_dict()}
    missing = [name for name in wanted.values() if not isinstance(state, dict) or name not in state]
    if missing:
        raise UserError(f"{path}: no {missing[0]}, so not torchvision's {title}, which lpips_{backbone} needs")
    try:
        network.net.load_state_dict({key: state[name] for key, name in wanted.items()})
    except RuntimeError as error:
        raise UserError(f"{path}: not torchvision's {title}: {str(error).splitlines()[-1].strip()}") from error
