"""``bench data``: what is on disk, what is missing by name, where it comes from, what two sets share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.benchmarks.commands.data import main
from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.evaluation.pipeline import loaded
from restorebench.benchmarks.protocols.catalogue import get_protocol
from restorebench.datasets import DataError, resolve

from ...datasets.roots import arrange, pixels, save


@pytest.fixture(autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data root of the user's, and another home folder."""
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def real(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return arrange(test_data, tmp_path_factory.mktemp("real"))


@pytest.fixture
def lol(tmp_path: Path) -> Path:
    """A data root with a whole LOL-v1 of small images."""
    for i in range(15):
        save(tmp_path / "test/enhance/lolv1/low" / f"{i}.png", pixels(i))
        save(tmp_path / "test/enhance/lolv1/high" / f"{i}.png", pixels(99 + i))
    return tmp_path


def rows(text: str) -> dict[str, list[str]]:
    """The table of ``check``: cells of each set's row."""
    lines = text.split("\n\n")[0].splitlines()[2:]
    return {cells[0]: cells[1:] for cells in ([c.strip() for c in line.split("  ") if c.strip()] for line in lines)}


def test_check_reports_the_real_sets_by_exact_counts(real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--root", str(real)]) == 1
    out = capsys.readouterr().out
    entries = {name: cells[:2] for name, cells in rows(out).items()}
    assert entries == {
        "CBSD68": ["whole", "68 of 68"],
        "Kodak24": ["absent", "0 of 24"],
        "Urban100": ["absent", "0 of 100"],
        "Rain100L": ["incomplete", "4 of 100, 3 usable"],
        "Rain100H": ["whole", "100 of 100"],
        "SOTS-Outdoor": ["incomplete", "2 of 500"],
        "GoPro": ["absent", "0 of 1111"],
        "HIDE": ["absent", "0 of 2025"],
        "LOL-v1": ["incomplete", "1 of 15"],
        "LOL-v2-real": ["absent", "0 of 100"],
        "CDD-11": ["absent", "0 of 200"],
    }
    assert "Rain100L: unpaired: input/rain-020.png: no clean image for it in target" in out
    assert "Rain100L: unpaired: target/norain2.png: no degraded image for it" in out
    assert "HIDE: absent, goes in test/deblur/hide/{blur,sharp}/*" in out


def test_check_is_0_only_if_all_that_was_asked_for_is_whole(
    lol: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTOREBENCH_DATA", str(lol))
    assert main(["check", "LOL-v1"]) == 0
    assert main(["check", "lowlight"]) == 0
    assert main(["check", "LOL-v1", "GoPro"]) == 1
    assert main(["check", "5d"]) == 1
    (lol / "test/enhance/lolv1/low/3.png").write_bytes(b"")
    capsys.readouterr()
    assert main(["check", "LOL-v1"]) == 1
    out = capsys.readouterr().out
    assert rows(out)["LOL-v1"][:2] == ["damaged", "15 of 15, 14 usable"]
    assert "LOL-v1: unreadable: low/3.png: zero bytes long" in out


def test_check_as_json_says_the_same(lol: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(lol / "test/enhance/lolv1/low/3.png", pixels(3, 10, 10))
    assert main(["check", "LOL-v1", "--root", str(lol), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    (entries,) = report["sets"]
    assert report["whole"] is False
    assert entries["state"] == "damaged"
    assert entries["mismatched"] == ["3.png: 10x10 pixels, but its clean image 3.png has 32x24"]
    assert entries["sha256"] == resolve("lowlight", source="standard", root=lol).data[0].fingerprint()


def test_check_of_cdd11_names_the_degradation_that_is_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "test/cdd11/clear/1.png", pixels(1))
    save(tmp_path / "test/cdd11/haze/1.png", pixels(2))
    assert main(["check", "CDD-11", "--root", str(tmp_path)]) == 1
    entries = rows(capsys.readouterr().out)
    assert len(entries) == 11
    assert entries["CDD-11 haze"][:2] == ["incomplete", "1 of 200"]
    assert entries["CDD-11 low_haze_snow"][:2] == ["absent", "0 of 200"]


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        (["check"], UserError, "no data root: give --root DIR or set RESTOREBENCH_DATA"),
        (["check", "--root", "nowhere"], DataError, "data.root=nowhere is not a folder"),
        (["check", "Urban10", "--root", "."], DataError, "did you mean 'Urban100'"),
        (["where", "Kodak"], DataError, "did you mean 'Kodak24'"),
        (["leakage", "CBSD68", "GoPro", "--root", "."], DataError, "CBSD68 is not under data.root=."),
        (
            ["leakage", "CBSD86", "."],
            UserError,
            "CBSD86 is no folder, and unknown data set 'CBSD86' (did you mean 'CBSD68'",
        ),
    ],
)
def test_mistakes_of_the_user_are_named(
    arguments: list[str], error: type[Exception], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        main(arguments)
    assert reason in str(caught.value)


def test_where_says_source_terms_size_and_folder_of_every_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["where", "--json"]) == 0
    facts = {fact["set"]: fact for fact in json.loads(capsys.readouterr().out)}
    assert len(facts) == 11
    assert all(fact["source"] and fact["licence"] and fact["size"] and fact["goes in"] for fact in facts.values())
    assert facts["GoPro"]["licence"] == "CC BY 4.0"
    assert facts["SOTS-Outdoor"]["goes in"] == "test/dehaze/{input,target}/*"
    assert main(["where", "LOL-v1"]) == 0
    out = capsys.readouterr().out
    assert "https://daooshee.github.io/BMVC2018website/" in out
    assert "goes in: test/enhance/lolv1/{low,high}/* or test/enhance/lolv1/{input,target}/*" in out


@pytest.mark.parametrize("word", ["leakage", "leaks"])
def test_leakage_counts_and_names_what_two_folders_share(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(3):
        save(tmp_path / "a" / f"{i}.png", pixels(i))
    save(tmp_path / "b/copy.png", pixels(1))
    save(tmp_path / "b/own.png", pixels(77))
    arguments = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert main([word, *arguments]) == 0
    out = capsys.readouterr().out
    assert "1 of the 3 images of" in out
    assert any(line.split()[:2] == ["1.png", "copy.png"] for line in out.splitlines())
    (tmp_path / "b/own.png").write_bytes(b"")
    assert main([word, *arguments, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["leaked_a"] == 1
    assert report["leaks"] == [{"a": "1.png", "b": "copy.png", "kind": "same pixels", "distance": 0}]
    assert report["unreadable"] == ["b/own.png: zero bytes long"]
    assert main([word, arguments[0], arguments[0]]) == 0
    assert "3 of the 3 images of" in capsys.readouterr().out


def test_leakage_of_rain100h_in_cbsd68(real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leakage", "Rain100H", "CBSD68", "--root", str(real)]) == 0
    assert "25 of the 100 images of Rain100H are also in CBSD68 (24 of its 68)" in capsys.readouterr().out


def test_damaged_files_come_to_the_evaluation_by_name_and_the_rest_as_images(lol: Path) -> None:
    low = lol / "test/enhance/lolv1/low"
    (low / "1.png").write_bytes((low / "1.png").read_bytes()[:-40])
    (low / "2.png").write_bytes(b"")
    Image.fromarray(np.zeros((24, 32), np.uint16)).save(low / "3.png")
    Image.fromarray(pixels(4)).convert("CMYK").save(low / "4.png", "TIFF")
    (low / "5.png").unlink()
    (low / "5.png").symlink_to("nowhere")
    save(low / "6.png", pixels(6, 50, 50))
    (lol / "test/enhance/lolv1/high/7.png").unlink()
    data = resolve("lowlight", source="standard", root=lol).data[0]
    entries = dict(loaded(data, range(len(data)), get_protocol("promptir@1")))
    failed = {data.names[index]: str(pair) for index, pair in entries.items() if isinstance(pair, Exception)}
    assert sorted(failed) == [f"{i}.png" for i in range(1, 8)]
    assert all(name in message for name, message in failed.items())
    assert len(entries) == 15
