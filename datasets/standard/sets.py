"""The standard test sets: what they are, where they come from, under which terms, and how their folders are called."""

from __future__ import annotations

from ..errors import unknown
from ..tasks import CDD11_TASKS
from .layout import StandardSet

_INPUT_TARGET = ("input", "target")
_CLEAN_ONLY = (("", "target"), ("", ""))  # the folder has the clean images, or its sub-folder `target`

_RAIN_SOURCE = (
    "Yang et al., 'Deep joint rain detection and removal from a single image', CVPR 2017:"
    " https://www.icst.pku.edu.cn/struct/Projects/joint_rain_removal.html"
)
_BSDS_TERMS = "photographs of the Berkeley Segmentation Dataset, for non-commercial research and education"
_NO_TERMS = "no licence stated at the source; used for research"

CBSD68 = StandardSet(
    name="CBSD68",
    tasks=("denoise",),
    images=68,
    folders=("test/denoise/bsd68", "test/denoise/cbsd68"),
    subfolders=_CLEAN_ONLY,
    size="68 colour images of 481x321, 18 MB as PNG (measured)",
    source="BSDS300's test images that Roth and Black chose: https://github.com/clausmichele/CBSD68-dataset",
    licence=_BSDS_TERMS,
    note="noise is keyed by the file name: copies under other names have other noise",
)
KODAK24 = StandardSet(
    name="Kodak24",
    tasks=("denoise",),
    images=24,
    folders=("test/denoise/kodak24", "test/denoise/kodak"),
    subfolders=_CLEAN_ONLY,
    size="24 colour images of 768x512 (Franzen), or 500x500 (denoising papers); about 15 MB",
    source="Kodak Lossless True Color Image Suite: https://r0k.us/graphics/kodak/",
    licence="released by Eastman Kodak for unrestricted use, as the source states",
    note="denoising papers since FFDNet use 500x500 centre crops, a different set of pixels; see the sizes",
)
URBAN100 = StandardSet(
    name="Urban100",
    tasks=("denoise",),
    images=100,
    folders=("test/denoise/urban100",),
    subfolders=_CLEAN_ONLY,
    size="100 colour images, most 1024 pixels wide; about 130 MB",
    source="Huang et al., 'Single image super-resolution from transformed self-exemplars', CVPR 2015:"
    " https://github.com/jbhuang0604/SelfExSR",
    licence="photographs from Flickr under Creative Commons licences, as the paper states",
)
RAIN100L = StandardSet(
    name="Rain100L",
    tasks=("derain",),
    images=100,
    folders=("test/derain/Rain100L",),
    subfolders=(_INPUT_TARGET,),
    size="100 pairs of 481x321 or 480x320; about 55 MB as PNG",
    source=_RAIN_SOURCE,
    licence=f"{_NO_TERMS}; {_BSDS_TERMS}",
)
RAIN100H = StandardSet(
    name="Rain100H",
    tasks=("derain",),
    images=100,
    folders=("test/derain/Rain100H",),
    subfolders=(_INPUT_TARGET,),
    size="100 pairs of 480x320, 54 MB as PNG (measured)",
    source=_RAIN_SOURCE,
    licence=f"{_NO_TERMS}; {_BSDS_TERMS}",
    note="only 91 clean images are distinct, and 25 are also in CBSD68",
)
SOTS_OUTDOOR = StandardSet(
    name="SOTS-Outdoor",
    tasks=("dehaze",),
    images=500,
    folders=("test/dehaze",),
    subfolders=(_INPUT_TARGET,),
    size="500 hazy images of about 550x413 with 492 clean ones; about 250 MB",
    source="Li et al., RESIDE, 'Benchmarking single-image dehazing and beyond', TIP 2019:"
    " https://sites.google.com/view/reside-dehaze-datasets/reside-v0",
    licence=_NO_TERMS,
    note="RESIDE's training set OTS contains scenes of it",
)
GOPRO = StandardSet(
    name="GoPro",
    tasks=("deblur",),
    images=1111,
    folders=("test/deblur/gopro", "test/deblur/GOPRO_Large", "GOPRO_Large"),
    subfolders=(("blur", "sharp"), _INPUT_TARGET),
    size="1111 pairs of 1280x720; about 3 GB",
    source="Nah et al., 'Deep multi-scale convolutional neural network for dynamic scene deblurring', CVPR 2017:"
    " https://seungjunnah.github.io/Datasets/gopro",
    licence="CC BY 4.0",
    note="the test sequences of GOPRO_Large, put into one folder or as released, with `blur` and not `blur_gamma`",
    part="test",
)
HIDE = StandardSet(
    name="HIDE",
    tasks=("deblur",),
    images=2025,
    folders=("test/deblur/hide", "test/deblur/HIDE_dataset", "HIDE_dataset"),
    subfolders=(("blur", "sharp"), _INPUT_TARGET),
    size="2025 pairs of 1280x720; about 5 GB",
    source="Shen et al., 'Human-aware motion deblurring', ICCV 2019: https://github.com/joanshen0508/HA_deblur",
    licence=_NO_TERMS,
    note="as released, `test` has the blurry images of `test-close-ups` and `test-long-shot`, and `GT` all sharp ones",
    part="test",
    clean="GT",
)
LOL_V1 = StandardSet(
    name="LOL-v1",
    tasks=("lowlight",),
    images=15,
    folders=("test/enhance/lolv1", "test/enhance/lol"),
    subfolders=(("low", "high"), _INPUT_TARGET),
    size="15 pairs of 600x400 (eval15); about 10 MB",
    source="Wei et al., 'Deep Retinex decomposition for low-light enhancement', BMVC 2018:"
    " https://daooshee.github.io/BMVC2018website/",
    licence=_NO_TERMS,
    note="15 images: a mean is known to about +-1.9 dB",
)
LOL_V2_REAL = StandardSet(
    name="LOL-v2-real",
    tasks=("lowlight",),
    images=100,
    folders=("test/enhance/lolv2", "test/enhance/lolv2_real", "test/enhance/lolv2-real"),
    subfolders=(("low", "high"), _INPUT_TARGET, ("low", "normal")),
    size="100 pairs of 600x400; about 60 MB",
    source="Yang et al., 'Sparse gradient regularized deep Retinex network', TIP 2021:"
    " https://github.com/flyywh/CVPR-2020-Semi-Low-Light",
    licence=_NO_TERMS,
    note="LOL-v1's training set overlaps it",
)
CDD11 = StandardSet(
    name="CDD-11",
    tasks=CDD11_TASKS,
    images=200,
    folders=("test/cdd11", "test/CDD-11", "test/CDD-11_test", "cdd11/test", "CDD-11_test"),
    subfolders=(),
    size="200 clean images, each in 11 degradations: 2200 pairs; some GB",
    source="Guo et al., 'OneRestore: A universal restoration framework for composite degradation', ECCV 2024:"
    " https://github.com/gy65896/OneRestore",
    licence=_NO_TERMS,
)

ALL_SETS = (CBSD68, KODAK24, URBAN100, RAIN100L, RAIN100H, SOTS_OUTDOOR, GOPRO, HIDE, LOL_V1, LOL_V2_REAL, CDD11)
"""The standard sets, by task."""


def get_set(name: str, task: str | None = None) -> StandardSet:
    """The standard set called `name`, among those of a task if one is given.

    Raises:
        DataError: there is none; near names are suggested.
    """
    sets = {s.name: s for s in ALL_SETS if task is None or task in s.tasks}
    if name not in sets:
        raise unknown("data set" if task is None else f"data set of the task {task}", name, sets)
    return sets[name]
