from __future__ import annotations

import hashlib
import os
import shutil
import time
import types
from pathlib import Path

import pytest

from restorebench.datasets.files import hashes
from restorebench.datasets.files.hashes import cache_file, file_hashes, set_hash


def old_file(path: Path, content: bytes) -> Path:
    """A file with a modification time of an hour ago."""
    path.write_bytes(content)
    os.utime(path, ns=(path.stat().st_mtime_ns - 3600 * 10**9,) * 2)
    return path


@pytest.fixture
def later(monkeypatch):
    """Makes it an hour later: a file's change time cannot be set, so the clock is."""

    def use() -> None:
        clock = types.SimpleNamespace(time_ns=lambda: time.time_ns() + 3600 * 10**9)
        monkeypatch.setattr(hashes, "time", clock)

    return use


@pytest.fixture
def unread(monkeypatch):
    """Makes reading any file an error."""

    def use() -> None:
        def fail(path: Path, max_pixels: float | None = None) -> bytes:
            raise AssertionError(f"{path} was read again")

        monkeypatch.setattr(hashes, "read_bytes", fail)

    return use


def test_hashes_are_sha256_of_the_bytes(tmp_path):
    path = old_file(tmp_path / "a.png", b"abc")
    assert file_hashes([path, path]) == {path: hashlib.sha256(b"abc").hexdigest()}


def test_an_unchanged_file_is_not_read_again(tmp_path, unread, later):
    later()
    path = old_file(tmp_path / "a.png", b"abc")
    before = file_hashes([path])
    assert cache_file().is_file()
    unread()
    assert file_hashes([path]) == before


@pytest.mark.parametrize("change", [b"abcd", b"xyz"])
def test_a_file_with_another_size_or_time_is_read_again(tmp_path, later, change):
    later()
    path = old_file(tmp_path / "a.png", b"abc")
    file_hashes([path])
    path.write_bytes(change)
    assert file_hashes([path]) == {path: hashlib.sha256(change).hexdigest()}


@pytest.mark.parametrize("replace", [shutil.copyfile, lambda new, path: new.replace(path)], ids=["write", "move"])
def test_other_content_of_the_same_size_and_time_is_read_again(tmp_path, later, replace):
    """What ``cp -p`` and ``mv`` of a file with the same times do."""
    later()
    path, new = old_file(tmp_path / "a.png", b"abc"), old_file(tmp_path / "b.png", b"xyz")
    times = path.stat()
    assert file_hashes([path]) == {path: hashlib.sha256(b"abc").hexdigest()}
    replace(new, path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert file_hashes([path]) == {path: hashlib.sha256(b"xyz").hexdigest()}


def test_a_file_whose_times_alone_are_old_is_not_remembered(tmp_path):
    file_hashes([old_file(tmp_path / "a.png", b"abc")])
    assert not cache_file().exists()


def test_verify_reads_what_is_remembered_and_mends_it(tmp_path, later, unread):
    later()
    path = old_file(tmp_path / "a.png", b"abc")
    true = file_hashes([path])
    cache_file().write_text(cache_file().read_text().replace(true[path], "0" * 64))
    assert file_hashes([path]) == {path: "0" * 64}
    assert file_hashes([path], verify=True) == true
    unread()
    assert file_hashes([path]) == true


def test_what_is_forgotten_is_read_again(tmp_path, later):
    later()
    path = old_file(tmp_path / "a.png", b"abc")
    true = file_hashes([path])
    cache_file().write_text(cache_file().read_text().replace(true[path], "0" * 64))
    hashes.forget(path)
    assert file_hashes([path]) == true


def test_a_file_written_just_now_is_not_remembered(tmp_path):
    (tmp_path / "a.png").write_bytes(b"abc")
    file_hashes([tmp_path / "a.png"])
    assert not cache_file().exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 3}', b"\xff\xfe"])
def test_a_damaged_cache_counts_as_empty_and_is_replaced(tmp_path, unread, later, content):
    later()
    cache_file().parent.mkdir(parents=True)
    cache_file().write_bytes(content)
    path = old_file(tmp_path / "a.png", b"abc")
    first = file_hashes([path])
    assert first == {path: hashlib.sha256(b"abc").hexdigest()}
    unread()
    assert file_hashes([path]) == first


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, home):
    (home / ".cache").write_bytes(b"a file where a folder should be")
    path = old_file(tmp_path / "a.png", b"abc")
    assert file_hashes([path]) == {path: hashlib.sha256(b"abc").hexdigest()}


def test_what_cannot_be_read_gives_the_reason_and_is_not_remembered(tmp_path):
    (tmp_path / "1.png").mkdir()
    old_file(tmp_path / "2.png", b"")
    digests = file_hashes([tmp_path / "1.png", tmp_path / "2.png", tmp_path / "3.png"])
    assert [reason.split(": ", 2)[2] for reason in digests.values()] == [
        "a folder, not a file",
        "zero bytes long",
        "cannot be read: No such file or directory",
    ]
    assert not cache_file().exists()


def test_the_hash_of_a_set_depends_on_names_and_contents_and_not_on_order():
    members = [("clean/1.png", "a"), ("degraded/1.png", "b")]
    assert set_hash(members) == set_hash(members[::-1])
    swapped = [("clean/1.png", "b"), ("degraded/1.png", "a")]
    assert len({set_hash(members), set_hash(swapped), set_hash(members[:1])}) == 3
