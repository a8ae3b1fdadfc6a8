"""A manifest finds every changed, missing and added file."""

import subprocess

import pytest

from fedvox.errors import ConfigError
from fedvox.manifest import MANIFEST, differences, read_manifest, write_manifest


@pytest.fixture
def folder(tmp_path):
    for name in ("a.txt", "sub/b.txt", "other/c.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    write_manifest(tmp_path, tmp_path / MANIFEST)
    return tmp_path


def test_an_untouched_folder_has_no_difference(folder):
    assert differences(folder, folder / MANIFEST) == []
    assert list(read_manifest(folder / MANIFEST)) == ["a.txt", "other/c.txt", "sub/b.txt"]


def test_every_kind_of_change_is_named(folder):
    (folder / "a.txt").write_text("b.txt")
    (folder / "sub/b.txt").unlink()
    (folder / "new.txt").write_text("")
    assert differences(folder, folder / MANIFEST) == [
        "a.txt: changed",
        "new.txt: added",
        "sub/b.txt: missing",
    ]


def test_only_the_named_parts_count(folder):
    write_manifest(folder, folder / MANIFEST, ("sub",))
    (folder / "a.txt").write_text("changed")
    assert differences(folder, folder / MANIFEST, ("sub",)) == []


def test_sha256sum_accepts_it(folder):
    done = subprocess.run(["sha256sum", "--check", "--quiet", MANIFEST], cwd=folder)
    assert done.returncode == 0


def test_a_missing_or_damaged_manifest_is_an_error(folder):
    with pytest.raises(ConfigError, match="missing or unreadable"):
        read_manifest(folder / "none")
    (folder / MANIFEST).write_text("abc  a.txt\n")
    with pytest.raises(ConfigError, match="line 1"):
        read_manifest(folder / MANIFEST)
