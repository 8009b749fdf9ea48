"""Dead-leaves images: training images without a download.

An image of occluding shapes whose radii follow a power law has the scale invariance, the edges and the occlusions of
photographs; restorers trained on nothing else come near those trained on photographs (Achddou, Gousseau and Ladjal,
"Synthetic images as a regularity prior for image restoration neural networks", SSVM 2021). Here disks, ellipses,
rounded rectangles and convex polygons have colours with the statistics of natural scenes, gradients and textures
inside, and a slight blur. No photograph of the evaluation sets plays any part; three grey close-ups of surfaces in
scikit-image's wheel (bricks, grass, gravel) are among the textures.

Every image is determined by (version, seed, size, index). The arithmetic is floating point: another version of numpy
or another processor may round a pixel differently. Depth for haze is drawn when an image is degraded, smooth and over
the whole image, by `haze.random_depth`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import DataError
from ..streams import rng_for
from .textures import TEXTURE_SIDE, textures

VERSION = 2
"""Raised whenever an image changes."""

MINIMUM_SIZE = 32
_MOST_LEAVES = 900
_OVERSAMPLED = 2  # edges are drawn at twice the size, then averaged

# Log cone responses of natural scenes along their principal axes have the standard deviations 0.353 (achromatic),
# 0.0732 (yellow-blue) and 0.0244 (red-green) in units of log10: Ruderman, Cronin and Chiao, "Statistics of cone
# responses to natural images", JOSA A 1998. The matrix from cone responses to linear RGB is that of Reinhard et al.,
# "Color transfer between images", IEEE CG&A 2001.
_DEVIATIONS = np.array([0.353, 0.0732, 0.0244])
_AXES = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3], [6], [2]])
_CONES_TO_RGB = np.array([[4.4679, -3.5873, 0.1193], [-1.2186, 2.3809, -0.1624], [0.0497, -0.2439, 1.2045]])
_DAYLIGHT = 0.2
"""Red-green that goes with yellow-blue: natural colours lie between orange and sky blue, not yellow and violet."""
_GAMMA = 2.2
_CLIPPED = 0.35
"""Share of the images with burnt highlights and blocked shadows, as photographs have; blurred, their edges ring."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Leaves:
    """The leaves of one image, front ones first; (N,) arrays in pixels of the oversampled image."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    radius: NDArray[np.float64]
    aspect: NDArray[np.float64]
    angle: NDArray[np.float64]
    corners: NDArray[np.int64]
    """0 for an ellipse, 1 for a rounded rectangle, 3 and more for a polygon."""


def dead_leaves(index: int, *, seed: int = 0, size: int = 320) -> NDArray[np.uint8]:
    """Image `index` of the series `seed`: (size, size, 3) uint8, in about 0.1 s at 320 pixels.

    Raises:
        DataError: a size below `MINIMUM_SIZE`.
    """
    if size < MINIMUM_SIZE:
        raise DataError(f"dead-leaves images are at least {MINIMUM_SIZE} pixels wide, not {size}")
    rng = rng_for("leaves", VERSION, seed, size, index)
    side = _OVERSAMPLED * size
    leaves = _scattered(side, rng)
    labels = _occluded(side, leaves)
    light = _painted(labels, leaves, rng)
    light = light.reshape(size, _OVERSAMPLED, size, _OVERSAMPLED, 3).mean(axis=(1, 3))
    softness = rng.uniform(0.0, 0.6)
    light = ndimage.gaussian_filter(light, (softness, softness, 0), truncate=3)
    return _developed(light, rng)


def _scattered(side: int, rng: np.random.Generator) -> _Leaves:
    """Random leaves on and around a square image of that side."""
    exponent = rng.uniform(2.2, 3.1)
    smallest, largest = np.exp(rng.uniform(np.log(3), np.log(14))), side * rng.uniform(0.25, 0.6)
    low, high = smallest ** (1 - exponent), largest ** (1 - exponent)
    radius = (low + rng.random(_MOST_LEAVES) * (high - low)) ** (1 / (1 - exponent))
    margin = largest / 4
    kinds = rng.choice([0, 1, 3, 4, 5, 6], size=_MOST_LEAVES, p=_kind_shares(rng))
    stretched = rng.random(_MOST_LEAVES) < rng.uniform(0.2, 0.9)
    return _Leaves(
        x=rng.uniform(-margin, side + margin, _MOST_LEAVES),
        y=rng.uniform(-margin, side + margin, _MOST_LEAVES),
        radius=radius,
        aspect=np.where(stretched, np.exp(rng.uniform(np.log(0.15), 0, _MOST_LEAVES)), 1.0),
        angle=rng.uniform(0, np.pi, _MOST_LEAVES),
        corners=kinds,
    )


def _kind_shares(rng: np.random.Generator) -> NDArray[np.float64]:
    """Shares of the six kinds of shapes in one image."""
    return rng.dirichlet([1.5, 1.0, 0.5, 1.0, 0.5, 0.5])


def _occluded(side: int, leaves: _Leaves) -> NDArray[np.int16]:
    """Which leaf is seen at each pixel: (side, side), 1 for the first leaf, 0 for the background."""
    labels = np.zeros((side, side), dtype=np.int16)
    axis = np.arange(side, dtype=np.float32)
    for index in range(len(leaves.x)):
        reach = leaves.radius[index]
        top, bottom = max(int(leaves.y[index] - reach), 0), min(int(leaves.y[index] + reach) + 2, side)
        left, right = max(int(leaves.x[index] - reach), 0), min(int(leaves.x[index] + reach) + 2, side)
        if top >= bottom or left >= right:
            continue
        window = labels[top:bottom, left:right]
        free = window == 0
        if free.any():
            inside = _shape(leaves, index, axis[top:bottom, None], axis[None, left:right])
            window[free & inside] = index + 1
    return labels


def _shape(leaves: _Leaves, index: int, rows: Floats, columns: Floats) -> NDArray[np.bool_]:
    """The pixels inside a leaf."""
    radius, aspect = np.float32(leaves.radius[index]), np.float32(leaves.aspect[index])
    cosine, sine = np.float32(np.cos(leaves.angle[index])), np.float32(np.sin(leaves.angle[index]))
    y, x = (rows - np.float32(leaves.y[index])) / radius, (columns - np.float32(leaves.x[index])) / radius
    u, v = x * cosine + y * sine, (y * cosine - x * sine) / aspect
    corners = int(leaves.corners[index])
    if corners == 0:
        return np.asarray(u * u + v * v <= 1)
    if corners == 1:
        # within the unit circle: half-axes of 0.7, so that no corner leaves the window
        u, v = u * u * 2, v * v * 2
        return np.asarray(u * u + v * v <= 1)
    inside = np.ones(u.shape, dtype=bool)
    for corner in range(corners):
        direction = 2 * np.pi * corner / corners
        # sides at the distance of a regular polygon inscribed in the unit circle
        bound = np.cos(np.pi / corners)
        inside &= u * np.float32(np.cos(direction)) + v * np.float32(np.sin(direction)) <= bound
    return inside


def _painted(labels: NDArray[np.int16], leaves: _Leaves, rng: np.random.Generator) -> Floats:
    """Linear light of the leaves: (S, S, 3), not yet exposed."""
    side, count = labels.shape[0], len(leaves.x) + 1
    colours = _colours(count, rng)
    radius = np.concatenate([[side], leaves.radius])
    slope = rng.normal(0, 0.12, count) * (rng.random(count) < 0.6) / radius
    direction = rng.uniform(0, 2 * np.pi, count)
    centre_x, centre_y = np.concatenate([[side / 2], leaves.x]), np.concatenate([[side / 2], leaves.y])
    slope_x, slope_y = slope * np.cos(direction), slope * np.sin(direction)
    start = colours[:, 0] - slope_x * centre_x - slope_y * centre_y

    def at_pixels(values: NDArray[np.float64]) -> Floats:
        picked: Floats = values.astype(np.float32)[labels]
        return picked

    axis = np.arange(side, dtype=np.float32)
    achromatic = at_pixels(start) + at_pixels(slope_x) * axis + at_pixels(slope_y) * axis[:, None]
    texture = _textured(labels, count, rng)
    achromatic += at_pixels(rng.lognormal(np.log(0.07), 0.7, count) * (rng.random(count) < 0.75)) * texture
    achromatic += _shading(side, rng)
    tint = rng.normal(0, 0.1, count)  # textures change the hue a little, too
    axes = (achromatic, at_pixels(colours[:, 1]) + at_pixels(tint * 0.1) * texture, at_pixels(colours[:, 2]))
    cones = np.stack([sum(axes[k] * np.float32(_AXES[k, cone]) for k in range(3)) for cone in range(3)], axis=-1)
    light: Floats = np.exp(cones * np.float32(np.log(10))) @ _CONES_TO_RGB.T.astype(np.float32)
    return np.maximum(light, 0)


def _colours(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Log colours of the leaves along Ruderman's axes, (count, 3): a few clusters, as the things of one scene have."""
    clusters = int(rng.integers(3, 9))
    saturation = rng.lognormal(0.2, 0.4)
    spread = _DEVIATIONS * np.array([rng.uniform(1.1, 1.8), 1.4 * saturation, 0.6 * saturation])
    centres = rng.laplace(0, 1 / np.sqrt(2), (clusters, 3)) * spread + rng.normal(0, 0.5, 3) * spread * [0, 1, 1]
    # things are seldom very dark: what is leaves nothing to learn from
    centres[:, 0] = np.clip(centres[:, 0], -1.0, 0.8)
    chosen = rng.choice(clusters, size=count, p=rng.dirichlet(np.full(clusters, 2.0)))
    within = rng.laplace(0, 1 / np.sqrt(2), (count, 3)) * spread * rng.uniform(0.15, 0.6)
    colours: NDArray[np.float64] = centres[chosen] + within
    colours[:, 0] = np.clip(colours[:, 0], -1.2, 1.0)
    colours[:, 2] += _DAYLIGHT * colours[:, 1]
    return colours


def _textured(labels: NDArray[np.int16], count: int, rng: np.random.Generator) -> Floats:
    """Texture of zero mean and unit deviation at each pixel, for every leaf another piece, turned and scaled."""
    bank = textures()
    kind = rng.integers(0, len(bank), count)
    turn, scale = rng.uniform(0, 2 * np.pi, count), np.exp(rng.uniform(np.log(0.35), np.log(1.2), count))
    offset = rng.integers(0, TEXTURE_SIDE, (2, count))
    across, along = (scale * np.cos(turn)).astype(np.float32), (scale * np.sin(turn)).astype(np.float32)
    axis = np.arange(labels.shape[0], dtype=np.float32)
    a, b = across[labels], along[labels]
    column = (a * axis + b * axis[:, None]).astype(np.int32) + offset[0].astype(np.int32)[labels]
    row = (a * axis[:, None] - b * axis).astype(np.int32) + offset[1].astype(np.int32)[labels]
    mask = TEXTURE_SIDE - 1
    flat = (kind.astype(np.int32)[labels] * TEXTURE_SIDE + (row & mask)) * TEXTURE_SIDE + (column & mask)
    taken: Floats = np.take(bank.reshape(-1), flat)
    return taken


def _shading(side: int, rng: np.random.Generator) -> Floats:
    """Slow changes of the illumination over the whole image, in log10."""
    coarse = rng.normal(0, rng.uniform(0.0, 0.18), (4, 4))
    return np.asarray(ndimage.zoom(coarse, side / 4, order=3), dtype=np.float32)


def _developed(light: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """From linear light to 8 bits: exposure, contrast and black point of photographs, a soft shoulder, gamma 2.2.

    Contrast and black point matter as much as colours: they are what tells a clean image from a hazy or a dark one.
    """
    grey = np.maximum(light, 1e-6) ** np.float32(1 / _GAMMA)
    log_level = np.log(grey.mean(axis=2, keepdims=True))
    contrast = np.float32(np.clip(rng.uniform(0.35, 0.7) / max(float(log_level.std()), 1e-3), 0.8, 2.5))
    # a power of the level alone, so that more contrast does not mean more colour
    grey *= np.exp((contrast - 1) * (log_level - log_level.mean()) - log_level.mean())
    black = np.quantile(grey.min(axis=2), 0.005) * np.float32(rng.uniform(0.6, 1.0))
    grey = np.maximum(grey - black, 0)
    grey *= np.float32(rng.uniform(0.36, 0.62) / max(float(grey.mean()), 1e-6))  # the mean grey level
    shoulder = grey / (1 + grey**6) ** np.float32(1 / 6)
    if rng.random() < _CLIPPED:
        low, high = np.quantile(shoulder, [rng.uniform(0.0, 0.08), 1 - rng.uniform(0.0, 0.08)]).astype(np.float32)
        shoulder = (shoulder - low) / max(high - low, np.float32(0.25))
    return np.asarray(np.clip(np.rint(shoulder * 255), 0, 255), dtype=np.uint8)
