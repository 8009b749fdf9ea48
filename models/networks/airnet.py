"""AirNet, all-in-one image restoration for unknown corruption (Li et al., CVPR 2022): restorer and card."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..card import Checkpoint, ModelCard, PublishedFigure, Tiling, Variant
from ..layers import row_strips as strips
from ..layers.deformable import TAPS, deformable_convolution, sampled_rows
from ..layers.layout import add_product_, channels_last, product
from ..layers.nafnet import Pointwise
from ..registry import register
from .airnet_encoder import SLOPE, ContrastiveEncoder

REPOSITORY = "https://github.com/XLearning-SCU/2022-CVPR-AirNet"
NO_LICENCE = f"none stated: {REPOSITORY} has no licence file, all rights are reserved"
CONTRAST_WEIGHT = 0.1
"""Weight of the contrastive loss in the published training."""

CARD = ModelCard(
    name="airnet",
    title="AirNet",
    variants={
        "paper": Variant(
            parameters=7_610_377,
            macs_256_g=414.46,
            note="as published, whose 8,930,313 parameters count the key encoder's 1,319,936, not trained by gradient. "
            "317.32 G multiply-adds at 224x224; 323.08 and 421.98 with the part of the encoder that restores nothing",
        ),
        "tiny": Variant(
            arguments={"width": 16, "groups": 2, "blocks": 1, "queue_size": 256},
            parameters=145_103,
            macs_256_g=4.21,
            note="every mechanism of the published network, for a laptop",
        ),
    },
    paper="Li et al., All-In-One Image Restoration for Unknown Corruption, CVPR 2022",
    url="https://openaccess.thecvf.com/content/CVPR2022/html/Li_All-in-One_Image_Restoration_for_Unknown_Corruption_"
    "CVPR_2022_paper.html",
    year=2022,
    code_licence=NO_LICENCE,
    weights_licence=NO_LICENCE,
    tiling=Tiling(
        allowed=False,
        tile=512,
        loss_db=0.24,
        note="all of it is convolution, but learnt offsets reach beyond the rims of tiles: "
        "tiles of 256, 512 and 768 pixels changed the PSNR of photographs of 1024x768 "
        "by up to 0.54, 0.24 and 0.02 dB (tiny, float32)",
    ),
    training_sets=("BSD400", "WED", "Rain100L", "RESIDE outdoor"),
    published=(
        PublishedFigure(
            variant="paper",
            parameters_m=8.93,
            macs_g=301.0,
            input_size="1x3x256x256",
            source="tables of later papers",
            note="421.98 without the deformable convolutions (120.80), which hooks on modules do not see",
        ),
    ),
    checkpoints=(
        Checkpoint(
            variant="paper",
            file_name="All.pth",
            url=REPOSITORY,
            licence=NO_LICENCE,
            trained_for="noise (sigma 15, 25, 50), rain, haze: 3D",
        ),
    ),
    notes=(
        "In evaluation the degradation map is all that the encoder gives: its lower part, its head and the key encoder "
        "are not run, and not counted; the published code runs the former.",
        "The deformable convolution is torchvision's operator, or the same sum; the published code takes mmcv's.",
        "In training the key of the contrastive loss is a part of the same patch (ours): the published one is another "
        "patch of the same image.",
    ),
)


class DeformableConvolution(nn.Module):
    """Convolution of x at places, and with a mask, that x and the degradation map give.

    Keys ``weight``, ``conv_offset_mask``, which starts at zero.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, width, 3, 3))
        nn.init.uniform_(self.weight, -((TAPS * width) ** -0.5), (TAPS * width) ** -0.5)
        self.conv_offset_mask = nn.Conv2d(2 * width, 3 * TAPS, 3, padding=1)
        for parameter in self.conv_offset_mask.parameters():
            nn.init.zeros_(parameter)

    def places(self, x: Tensor, degradation: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets (B, 18, H, W) and mask (B, 9, H, W)."""
        conv = self.conv_offset_mask
        own, other = conv.weight.chunk(2, dim=1)
        # In two halves: the concatenated map would be the largest of all.
        found = F.conv2d(x, own, conv.bias, padding=1) + F.conv2d(degradation, other, padding=1)
        return found[:, : 2 * TAPS], torch.sigmoid(found[:, 2 * TAPS :])

    def forward(self, x: Tensor, degradation: Tensor) -> Tensor:
        return deformable_convolution(x, *self.places(x, degradation), self.weight)


class FeatureTransform(nn.Module):
    """x * gamma + beta, both from the degradation map. Keys ``conv_gamma``, ``conv_beta``."""

    def __init__(self, width: int) -> None:
        super().__init__()

        def branch() -> nn.Sequential:
            return nn.Sequential(
                Pointwise(width, width, bias=False), nn.LeakyReLU(SLOPE), Pointwise(width, width, bias=False)
            )

        self.conv_gamma = branch()
        self.conv_beta = branch()

    def forward(self, x: Tensor, degradation: Tensor) -> Tensor:
        return torch.addcmul(self.conv_beta(degradation), x, self.conv_gamma(degradation))


class GuidedModule(nn.Module):
    """Degradation-guided module with the rectifier behind it: lrelu(x + DCN(x, D) + SFT(x, D)).

    Keys ``dcn``, ``sft``.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dcn = DeformableConvolution(width)
        self.sft = FeatureTransform(width)

    def forward(self, x: Tensor, degradation: Tensor) -> Tensor:
        if strips.strips_pay(x, TAPS * x.shape[1]):
            return self._in_strips(x, degradation)
        guided = x + self.dcn(x, degradation) + self.sft(x, degradation)
        return F.leaky_relu(guided, SLOPE)

    def _in_strips(self, x: Tensor, degradation: Tensor) -> Tensor:
        """The same a strip of rows at a time, for inference on a CPU (see `row_strips`)."""
        channels, width = x.shape[1], x.shape[3]
        offsets, mask = (channels_last(t) for t in self.dcn.places(x, degradation))
        x, images = strips.as_images(x)
        _, maps = strips.as_images(degradation)
        guided = torch.empty_like(x)
        matrix = self.dcn.weight.permute(0, 2, 3, 1).reshape(channels, TAPS * channels)
        rows = strips.rows_of_strip(width, TAPS * channels)
        for index, (image, out) in enumerate(zip(images, channels_last(guided), strict=True)):
            for first in range(0, image.shape[0], rows):
                strip = slice(first, first + rows)
                sampled = sampled_rows(image, offsets[index, strip], mask[index, strip], first)
                own = image[strip].reshape(-1, channels)
                gamma, beta = self._transform(maps[index, strip].reshape(-1, channels))
                add_product_(beta, sampled, matrix).addcmul_(own, gamma.add_(1))
                out[strip].view(-1, channels).copy_(F.leaky_relu_(beta, SLOPE))
        return guided

    def _transform(self, degradation: Tensor) -> tuple[Tensor, Tensor]:
        """gamma and beta of pixels (P, C), both new."""
        gamma, beta = (
            product(F.leaky_relu_(product(degradation, enter.flatten(1)), SLOPE), leave.flatten(1))
            for enter, leave in (self.sft.conv_gamma.parameters(), self.sft.conv_beta.parameters())
        )
        return gamma, beta


class GuidedBlock(nn.Module):
    """Two guided modules with a convolution behind each, plus x. Keys ``dgm1``, ``conv1``, ``dgm2``, ``conv2``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dgm1 = GuidedModule(width)
        self.dgm2 = GuidedModule(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, degradation: Tensor) -> Tensor:
        hidden = F.leaky_relu(self.conv1(self.dgm1(x, degradation)), SLOPE)
        restored: Tensor = x + self.conv2(self.dgm2(hidden, degradation))
        return restored


class GuidedGroup(nn.Module):
    """Blocks and a convolution, plus x; all under the key ``body``."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.ModuleList((*(GuidedBlock(width) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1)))

    def forward(self, x: Tensor, degradation: Tensor) -> Tensor:
        hidden = x
        *blocks, last = self.body
        for block in blocks:
            hidden = block(hidden, degradation)
        restored: Tensor = x + last(hidden)
        return restored


class GuidedRestorer(nn.Module):
    """The restorer, at full resolution throughout. Keys ``head``, ``body``, ``tail``."""

    def __init__(self, width: int, groups: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, width, 3, padding=1))
        self.body = nn.ModuleList(
            (*(GuidedGroup(width, blocks) for _ in range(groups)), nn.Conv2d(width, width, 3, padding=1))
        )
        self.tail = nn.Sequential(nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, image: Tensor, degradation: Tensor) -> Tensor:
        x = self.head(image)
        hidden = x
        *groups, last = self.body
        for group in groups:
            hidden = group(hidden, degradation)
        restored: Tensor = self.tail(x + last(hidden))
        return restored


class DegradationEncoder(nn.Module):
    """The contrastive encoder under the key ``E``."""

    def __init__(self, width: int, queue_size: int) -> None:
        super().__init__()
        self.E = ContrastiveEncoder(width, queue_size)


@register(CARD)
class AirNet(nn.Module):
    """AirNet, (B, 3, H, W) in [0, 1] of any size -> the same shape.

    It offers both hooks of `models.hooks`: the contrastive loss, and the update of key encoder and queue.

    Args:
        width: channels of the degradation map and of the restorer.
        groups: of the restorer.
        blocks: of each group.
        queue_size: keys that the contrastive loss compares with; 256 for each degradation of the published training.
    """

    def __init__(self, width: int = 64, groups: int = 5, blocks: int = 5, queue_size: int = 1280) -> None:
        super().__init__()
        self.R = GuidedRestorer(width, groups, blocks)
        self.E = DegradationEncoder(width, queue_size)

    def forward(self, image: Tensor) -> Tensor:
        """Degraded images (B, 3, H, W) -> restored ones, the same shape."""
        image = image.contiguous(memory_format=torch.channels_last)
        restored: Tensor = self.R(image, self.E.E(image))
        return restored

    def auxiliary_loss(self) -> Tensor:
        """Contrastive loss of the last forward in training mode, weight 0.1 included; a scalar.

        Raises:
            RuntimeError: there was no forward in training mode yet.
        """
        contrast = self.E.E.contrast
        if contrast is None:
            raise RuntimeError("AirNet has no auxiliary loss before a forward pass in training mode")
        return CONTRAST_WEIGHT * contrast

    def after_step(self) -> None:
        """The key encoder follows the query encoder, and the keys of the last batch enter the queue."""
        self.E.E.follow()
