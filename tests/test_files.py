import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from fedvox.files import (
    PRIVATE,
    atomic_path,
    private_folder,
    remove_unfinished,
    write_json,
    write_once,
    write_text,
)
from fedvox.tensors import write_arrays, write_tensors


def test_text_is_written_whole_in_utf8_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "note.txt"
    write_text(path, "Öse\n")
    assert path.read_bytes() == "Öse\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["note.txt"]


def mode(path) -> int:
    return int(path.stat().st_mode & 0o777)


def test_folders_made_for_a_private_file_are_private(tmp_path):
    write_tensors(tmp_path / "a/b/t.safetensors", {"x": torch.zeros(1)}, mode=PRIVATE)
    write_arrays(tmp_path / "a/c/t.safetensors", {"x": np.zeros(1)}, mode=PRIVATE)
    made = [tmp_path / "a", tmp_path / "a/b", tmp_path / "a/c"]
    assert [mode(folder) for folder in made] == [0o700] * 3
    assert mode(tmp_path / "a/b/t.safetensors") == mode(tmp_path / "a/c/t.safetensors") == 0o600
    write_text(tmp_path / "open/note.txt", "x")
    assert mode(tmp_path / "open") & 0o055 == 0o055


def test_a_private_folder_is_closed_and_those_above_it_stay(tmp_path):
    (tmp_path / "cache/old").mkdir(parents=True)
    for folder in (tmp_path / "cache", tmp_path / "cache/old"):
        folder.chmod(0o755)
    private_folder(tmp_path / "cache/old")
    private_folder(tmp_path / "cache/new/deep")
    assert mode(tmp_path / "cache") == 0o755
    for name in ("old", "new", "new/deep"):
        assert mode(tmp_path / "cache" / name) == 0o700


def test_of_several_writers_the_first_ones_content_stays(tmp_path):
    path = tmp_path / "folder" / "key"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write_once(path, b"%d" % number, PRIVATE), range(8)))
    first = path.read_bytes()
    write_once(path, b"late")
    assert path.read_bytes() == first and mode(path) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_written_once_without_hard_links_too(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    for content in (b"first", b"late"):
        write_once(tmp_path / "key", content)
    assert (tmp_path / "key").read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_process_left_is_removed_once_it_is_old(tmp_path):
    old, young, whole = (tmp_path / name for name in (".writing-a", ".writing-b", "c"))
    for path in (old, young, whole):
        path.touch()
    for path in (old, whole):
        os.utime(path, (0, 0))
    remove_unfinished(tmp_path)
    assert sorted(tmp_path.iterdir()) == [young, whole]


def test_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_error_while_writing_a_new_file_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "new.bin") as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "state.txt"
    write_text(path, "old")
    with atomic_path(path) as temporary:
        temporary.write_text("ne")
        assert path.read_text() == "old"
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_temporary_lies_beside_the_target_and_keeps_its_suffix(tmp_path):
    with atomic_path(tmp_path / "volume.png") as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".png"
        assert temporary.name.startswith(".")


def test_written_file_is_readable_by_others(tmp_path):
    write_text(tmp_path / "page.html", "x")
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o644


def test_json_is_indented_and_ends_with_a_newline(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, 2]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"b": [1, 2]}
    assert text.startswith('{\n  "b"') and text.endswith("}\n")


def test_unwritable_json_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"b": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("umask", "mode", "expected"),
    [
        (0o077, 0o644, 0o600),
        (0o027, 0o644, 0o640),
        (0o000, 0o644, 0o644),
        (0o000, 0o600, 0o600),
    ],
)
def test_a_file_has_its_mode_less_what_the_umask_takes(tmp_path, umask, mode, expected):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a/x.txt", "x", mode)
        write_once(tmp_path / "b/x.txt", b"x", mode)
    finally:
        os.umask(before)
    for path in (tmp_path / "a/x.txt", tmp_path / "b/x.txt"):
        assert stat.S_IMODE(path.stat().st_mode) == expected
        assert path.parent.stat().st_mode & 0o022 == 0
