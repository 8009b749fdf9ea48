"""Restorers of the package spandrel: any checkpoint of an image-to-image network that it recognises, scale 1, RGB.

``model=spandrel weights=PATH``. The file is read by `read_checkpoint`, which runs no code of it (spandrel's own
reader also knows TorchScript archives, which hold code); spandrel only gets the tensors, from whose names and shapes it
tells the architecture. The package is optional: this module can be imported without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...messages import one_line
from ..card import ModelCard, SizeRule, Tiling, Variant
from ..checkpoints.reading import without_prefixes
from ..errors import ModelError, imported
from ..registry import register
from ..restorer import pad

CARD = ModelCard(
    name="spandrel",
    title="spandrel",
    variants={"any": Variant(note="the architecture that the checkpoint's keys and shapes say; needs weights=PATH")},
    paper="see the architecture that the checkpoint is of",
    url="https://github.com/chaiNNer-org/spandrel",
    year=2023,
    code_licence="MIT (spandrel); the architectures in it have licences of their own",
    weights_licence="see where the checkpoint comes from",
    dtypes=("float32", "float16", "bfloat16"),
    built_from="checkpoint",
)

OWN_PREFIX = "model."
Call = Callable[[nn.Module, Tensor], Tensor]


@register(CARD)
class SpandrelNetwork(nn.Module):
    """A network of spandrel, (B, 3, H, W) in [0, 1] with sides that its card allows -> the same shape.

    Args:
        model: the network; its keys are those of the file with ``model.`` before them.
        call: how it is called on one image; some take a noise level besides, or give several results.
        square: whether it takes square images only.
    """

    def __init__(self, model: nn.Module, call: Call, *, square: bool) -> None:
        super().__init__()
        self.model = model
        self.call = call
        self.square = square

    def forward(self, x: Tensor) -> Tensor:
        # spandrel promises results for batches of one image only.
        return torch.cat([self._restore(image) for image in torch.split(x, 1)])

    def _restore(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        if self.square:
            image = pad(image, SizeRule(minimum=max(height, width)))
        return self.call(self.model, image)[..., :height, :width]

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Tensor], card: ModelCard, source: Path) -> tuple[nn.Module, ModelCard]:
        """The network that spandrel recognises, and its card with that network's sizes, dtypes and tiling.

        Raises:
            ModelError: spandrel is not installed or does not know the file, or it is no RGB network of scale 1.
        """
        spandrel = imported("spandrel", f"model={CARD.name}", "spandrel")
        descriptor = _recognised(spandrel, state, source)
        name = descriptor.architecture.name
        wanted = f"{card.name} takes networks from 3 to 3 channels at scale 1"
        if not isinstance(descriptor, spandrel.ImageModelDescriptor):
            raise ModelError(f"{source} is of {name}, which needs a mask besides the image: {wanted}")
        if (descriptor.scale, descriptor.input_channels, descriptor.output_channels) != (1, 3, 3):
            raise ModelError(
                f"{source} is of {name} from {descriptor.input_channels} to {descriptor.output_channels} channels at "
                f"scale {descriptor.scale}: {wanted}"
            )
        size = descriptor.size_requirements
        known = replace(
            card,
            title=f"{name} (spandrel)",
            size=SizeRule(multiple=size.multiple_of, minimum=max(1, size.minimum)),
            dtypes=tuple(_dtypes(descriptor)),
            tiling=Tiling(
                allowed=descriptor.tiling is spandrel.ModelTiling.SUPPORTED,
                note=f"spandrel: tiling is {descriptor.tiling.name.lower()}",
            ),
        )
        # The descriptor itself clips to [0, 1] and cuts gradients off, so its call is taken out of it.
        return cls(descriptor.model, descriptor._call_fn, square=size.square), known


def _recognised(spandrel: Any, state: Mapping[str, Tensor], source: Path) -> Any:
    """Descriptor of the first spelling of the keys that spandrel knows: as they are, or with prefixes stripped."""
    spellings = without_prefixes(state)
    if all(key.startswith(OWN_PREFIX) for key in state):  # a file that this adapter's state dict was written to
        spellings.append({key.removeprefix(OWN_PREFIX): value for key, value in state.items()})
    for candidate in spellings:
        try:
            return spandrel.ModelLoader(device="cpu").load_from_state_dict(candidate)
        except spandrel.UnsupportedModelError:
            continue
        except Exception as error:  # an architecture that was recognised wrongly fails in any way
            raise ModelError(f"spandrel recognises {source} but cannot load it ({one_line(error)})") from error
    raise ModelError(f"{source} is of no architecture that spandrel {_version(spandrel)} knows")


def _version(spandrel: Any) -> str:
    return str(getattr(spandrel, "__version__", "here"))


def _dtypes(descriptor: Any) -> list[str]:
    supported = {"float32": True, "float16": descriptor.supports_half, "bfloat16": descriptor.supports_bfloat16}
    return [name for name, can in supported.items() if can]
