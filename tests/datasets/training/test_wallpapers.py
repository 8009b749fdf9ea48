"""Training photographs from Debian's wallpapers: reduced, complete or refused by name, and none of the test images."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.datasets.errors import DataError
from restorebench.datasets.training.wallpapers import (
    LOMIRI,
    MATE,
    PACKAGES,
    PALAPELI,
    PLASMA,
    VALIDATION,
    fetch,
    main,
    reduce_all,
    sources,
)

PARTS = ("training", "validation")
WIDE = next(name for name in LOMIRI if name not in VALIDATION)


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """Packages as dpkg leaves them, with small pictures of one large one."""
    folder = tmp_path / "unpacked"
    paths = [f"backgrounds/{name}.jpg" for name in LOMIRI]
    paths += [f"backgrounds/mate/nature/{name}.jpg" for name in MATE]
    paths += [f"palapeli/collection/{name}.jpg" for name in PALAPELI]
    paths += [f"wallpapers/{name}/contents/images/2560x1600.jpg" for name in PLASMA]
    for index, place in enumerate(paths):
        path = folder / "usr/share" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (1600, 400) if place.endswith(f"/{WIDE}.jpg") else (60, 40)
        Image.new("RGB", size, (5 * index, 100, 200)).save(path, quality=95)
    return folder


def test_training_photographs_are_written_in_two_sizes_and_large_ones_are_reduced(
    unpacked: Path, tmp_path: Path
) -> None:
    written = reduce_all(unpacked, tmp_path / "out")
    everything = (*LOMIRI, *MATE, *PALAPELI, *PLASMA)
    assert len(written) == 2 * len(everything) - len(VALIDATION) == 70
    written = [path for path in written if path.parent.name == "training"]
    assert len(written) == 2 * (len(everything) - len(VALIDATION))
    sizes = {path.stem: Image.open(path).size for path in written}
    assert sizes.pop(f"{WIDE}-1024") == (1024, 256)
    assert sizes.pop(f"{WIDE}-400") == (400, 100)
    assert set(sizes.values()) == {(60, 40)}
    middle = np.asarray(Image.open(tmp_path / "out" / "training" / f"{PLASMA[0]}-400.png"))[20, 30]
    assert np.abs(middle.astype(int) - (5 * len((*LOMIRI, *MATE, *PALAPELI)), 100, 200)).max() <= 3


def test_validation_scenes_are_set_apart(unpacked: Path, tmp_path: Path) -> None:
    reduce_all(unpacked, tmp_path / "out")
    names = {part: {path.stem.rpartition("-")[0] for path in (tmp_path / "out" / part).iterdir()} for part in PARTS}
    assert names["validation"] == set(VALIDATION)
    assert not names["validation"] & names["training"]


def test_what_is_missing_is_named(unpacked: Path) -> None:
    (unpacked / "usr/share/backgrounds" / f"{LOMIRI[3]}.jpg").unlink()
    with pytest.raises(DataError, match=LOMIRI[3]):
        sources(unpacked)


def test_the_module_is_a_command(unpacked: Path, tmp_path: Path) -> None:
    main([str(tmp_path / "out"), "--unpacked", str(unpacked)])
    assert len(list((tmp_path / "out").rglob("*.png"))) == 70


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "out"), "--unpacked", str(tmp_path)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path} lacks ")


def programs(folder: Path, scripts: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for Debian's programs, the only ones on the path."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!{shutil.which('sh')}\nPATH={os.environ['PATH']}\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_packages_are_downloaded_and_unpacked_without_being_installed(
    unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = {
        "apt-get": f'test "$1" = download && echo "$@" > {tmp_path}/asked && touch a.deb b.deb',
        "dpkg-deb": f'test "$1" = --extract && test -f "$2" && cp -r {unpacked} "$3"',
    }
    programs(tmp_path / "bin", scripts, monkeypatch)
    main([str(tmp_path / "out")])
    assert len(list((tmp_path / "out").rglob("*.png"))) == 70
    assert set(PACKAGES) < set((tmp_path / "asked").read_text().split())


def test_a_machine_without_debian_and_a_failed_download_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = {"apt-get": 'echo "E: Unable to locate package x" >&2; exit 100', "dpkg-deb": "exit 0"}
    programs(tmp_path / "bin", failing, monkeypatch)
    with pytest.raises(DataError, match="apt-get download failed: E: Unable to locate package x"):
        fetch(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="apt-get is missing"):
        fetch(tmp_path)
