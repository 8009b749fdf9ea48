"""Computed while the documentation is built: the run whose page it shows, and one folder under every protocol."""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

from .lists import table

RUN = (
    "bench run -m model=identity,rbair,anyir,daair,kbnet tasks=5d data=embedded data.size=128 device=cpu progress=false"
)
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
HEIGHT, WIDTH = 141, 187
"""No multiples of 16, so that a protocol's crop counts."""
ROUNDS = ("Gaussian noise of sigma 25, drawn once and kept as 8-bit PNG", "RBaIR's restoration of it")


def bench(line: str) -> str:
    """What a command prints.

    Raises:
        RuntimeError: it did not succeed.
    """
    from restorebench.benchmarks.commands.main import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(shlex.split(line)[1:])
    if code:
        raise RuntimeError(f"{line}: exit code {code}")
    return out.getvalue()


def make_page(folder: Path) -> dict[str, Path]:
    """Run and report in `folder`, where finished images stay; the files of the page by their place below it."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        bench(f"{RUN} results=results")
        bench("bench report page --results results")
    page = folder / "results" / "report"
    return {path.relative_to(page).as_posix(): path for path in sorted(page.rglob("*")) if path.is_file()}


def one_folder_under_all(folder: Path) -> str:
    """PSNR and SSIM of the same files under every protocol that scores pairs."""
    import numpy as np
    from PIL import Image
    from skimage import data

    from restorebench import list_protocols, restore, score

    sides = {name: folder / name for name in ("clean", "noisy", "restored")}
    for side in sides.values():
        side.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for name in PHOTOGRAPHS:
        image = getattr(data, name)()[:HEIGHT, :WIDTH]
        noisy = np.clip(image + generator.normal(0, 25, image.shape), 0, 255).astype(np.uint8)
        for side, pixels in (("clean", image), ("noisy", noisy), ("restored", restore("rbair", noisy, device="cpu"))):
            Image.fromarray(pixels).save(sides[side] / f"{name}.png")
    rows = []
    for protocol in map(str, list_protocols()):
        scores = [score(sides[side], sides["clean"], protocol=protocol) for side in ("noisy", "restored")]
        rows.append([f"`{protocol}`", *(f"{each.psnr:.2f} / {each.ssim:.4f}".replace("nan", "-") for each in scores)])
    return table(["protocol", *(f"{what} (PSNR / SSIM)" for what in ROUNDS)], rows)
