"""What the kernels are run on: the shapes of the networks at small sizes, odd ones, both layouts, all dtypes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One call of a kernel.

    Attributes:
        shape: kernel_basis: (B, C, group channels, N, H, W); channel_products: (B, C, heads, H, W);
            gated_depthwise: (B, hidden, with bias, H, W).
        dtype: of the maps.
        other_dtype: of the coefficients, where it is another one.
        channels_last: memory of the maps.
        programs: programs that sums may be cut into; few, so that each goes over several tiles.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    other_dtype: str | None = None
    channels_last: bool = True
    programs: int = 1024

    def __str__(self) -> str:
        layout = "channels-last" if self.channels_last else "contiguous"
        parts = ["x".join(map(str, self.shape)), self.dtype, self.other_dtype, layout, f"{self.programs} programs"]
        return " ".join(part for part in parts if part)


def _dtypes(shape: tuple[int, ...]) -> list[Case]:
    return [Case(shape, "bfloat16"), Case(shape, "float16"), Case(shape, "bfloat16", channels_last=False)]


CASES = {
    "kernel_basis": [
        Case((1, 64, 4, 32, 5, 7)),  # KBNet-S
        Case((2, 16, 4, 16, 8, 9), channels_last=False),  # its tiny form
        Case((1, 72, 2, 32, 3, 7)),  # KBNet-L
        Case((3, 8, 4, 16, 7, 5), programs=1),
        Case((1, 4, 2, 16, 1, 1)),
        Case((1, 4, 4, 32, 1, 70), programs=6),
        *_dtypes((2, 16, 4, 32, 6, 9)),
        Case((1, 12, 2, 16, 9, 5), "bfloat16"),
        Case((2, 8, 4, 32, 9, 9), "bfloat16", "float32", programs=1),
        Case((1, 8, 4, 16, 9, 9), "float16", "float32"),
    ],
    "channel_products": [
        Case((1, 48, 1, 9, 11)),  # Restormer and its kin, full width and below
        Case((2, 96, 2, 5, 7), programs=1),
        Case((1, 64, 8, 8, 8)),
        Case((2, 15, 3, 7, 6), channels_last=False),
        Case((1, 64, 1, 1, 1)),
        *_dtypes((2, 32, 2, 7, 9)),
    ],
    "gated_depthwise": [
        Case((1, 127, 0, 5, 7)),  # Restormer
        Case((2, 64, 1, 4, 9)),
        Case((1, 5, 1, 6, 3), channels_last=False),
        Case((3, 8, 0, 1, 1)),
        *_dtypes((2, 32, 1, 3, 5)),
    ],
}
