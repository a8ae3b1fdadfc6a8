import errno
import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile_files import safetensors_of
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors import safe_open

from fedvox.tensors import LONGEST_HEADER, read_arrays, write_arrays, write_tensors

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
EIGHT = '{"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'
"""A tensor in the first eight bytes."""
NEXT = EIGHT.replace("[0, 8]", "[8, 16]")
HOSTILE = {
    "nothing": b"",
    "an archive": b"PK\x03\x04" + bytes(64),
    "a longer header than file": struct.pack("<Q", 1000) + b"{}",
    "a header of 2^64 - 1 bytes": b"\xff" * 8 + b"{}",
    "no text": struct.pack("<Q", 2) + b"\xff\xfe",
    "brackets": safetensors_of("[" * 100_000),
    "shared bytes": safetensors_of(f'{{"a": {EIGHT}, "b": {EIGHT}}}', 8),
    "overlapping bytes": safetensors_of(
        f'{{"a": {EIGHT}, "b": {EIGHT.replace("[0, 8]", "[4, 12]")}}}', 12
    ),
    "one name for two": safetensors_of(f'{{"a": {EIGHT}, "a": {NEXT}}}', 16),
    "bytes beyond the end": safetensors_of(f'{{"a": {NEXT}}}', 8),
    "a terabyte": safetensors_of(f'{{"a": {EIGHT.replace("8]", f"{2**40}]")}}}', 8),
    "a shape beyond 64 bits": safetensors_of(
        f'{{"a": {EIGHT.replace("[2]", "[2, 4611686018427387904, 4]")}}}', 8
    ),
    "a negative shape": safetensors_of(f'{{"a": {EIGHT.replace("[2]", "[-2]")}}}', 8),
    "numbers of no kind": safetensors_of(f'{{"a": {EIGHT.replace("F32", "F31")}}}', 8),
    "numbers that numpy lacks": safetensors_of(
        '{"a": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}', 8
    ),
}


@contextmanager
def no_more_memory(spare: int) -> Iterator[None]:
    """This process may map this many bytes more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_tensors_and_arrays_come_back_with_their_metadata(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    view = torch.from_numpy(values).permute(2, 0, 1)  # safetensors itself refuses such a view
    write_tensors(tmp_path / "t.safetensors", {"w": view}, {"round": "3"})
    write_arrays(tmp_path / "a.safetensors", {"w": values.transpose(2, 0, 1)}, {"round": "3"})
    for name in ("t", "a"):
        with safe_open(str(tmp_path / f"{name}.safetensors"), "np") as file:
            assert np.array_equal(file.get_tensor("w"), values.transpose(2, 0, 1))
            assert file.metadata() == {"round": "3"}


@given(st.dictionaries(TEXT, TEXT, max_size=6), st.lists(st.integers(0, 3), max_size=3))
@example({"b": '"\\ \x00\x1f\x7f\u2028\U0001f9e0é', "a": "/\b\f\n\r\t"}, [2])
@pytest.mark.parametrize("write", [write_tensors, write_arrays])
def test_equal_content_is_an_equal_file(tmp_path_factory, write, metadata, shape):
    folder = tmp_path_factory.mktemp("equal")
    values = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    content = values if write is write_arrays else torch.from_numpy(values)
    backwards = dict(reversed(metadata.items()))
    for name, told in (("a", metadata), ("b", backwards), ("c", metadata)):
        write(folder / name, {"w": content, "é": content + 1}, told)
    assert len({(folder / name).read_bytes() for name in "abc"}) == 1
    with safe_open(str(folder / "a"), "np") as file:
        assert np.array_equal(file.get_tensor("w"), values)
        assert np.array_equal(file.get_tensor("é"), values + 1)
        assert (file.metadata() or {}) == metadata


@pytest.mark.parametrize("metadata", [None, {}, {"round": "3"}])
@pytest.mark.parametrize("write", [write_tensors, write_arrays])
def test_a_file_of_nothing_can_be_read(tmp_path, write, metadata):
    write(tmp_path / "a.safetensors", {}, metadata)
    with safe_open(str(tmp_path / "a.safetensors"), "np") as file:
        assert not file.keys() and (file.metadata() or {}) == (metadata or {})


def test_array_without_axes_keeps_its_shape(tmp_path):
    write_arrays(tmp_path / "a.safetensors", {"steps": np.array(7)})
    with safe_open(str(tmp_path / "a.safetensors"), "np") as file:
        assert file.get_tensor("steps").shape == () and file.get_tensor("steps") == 7


def test_tensors_that_cannot_be_written_leave_nothing(tmp_path):
    shared = torch.zeros(4)
    with pytest.raises(RuntimeError):
        write_tensors(tmp_path / "t.safetensors", {"a": shared, "b": shared})
    assert list(tmp_path.iterdir()) == []


def test_tensors_on_a_full_disk_say_that_no_space_is_left(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def fail(*args, **kwargs):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(1)})
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_tensors_that_the_disk_refuses_are_an_os_error(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def fail(*args, **kwargs):
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        write_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(1)})
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(7)}
    write_arrays(tmp_path / "a.safetensors", arrays)
    found = read_arrays(tmp_path / "a.safetensors")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_that_is_not_what_it_says_is_no_arrays(tmp_path, kind):
    (tmp_path / "a.safetensors").write_bytes(HOSTILE[kind])
    with pytest.raises(ValueError), no_more_memory(2**28):
        read_arrays(tmp_path / "a.safetensors")


@pytest.mark.parametrize("length", [LONGEST_HEADER + 1, 99_000_000])
def test_a_long_header_is_refused_before_it_takes_memory(tmp_path, length):
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length))
    with path.open("r+b") as file:
        file.truncate(8 + length)  # zeros that take no disk
    with pytest.raises(ValueError, match="the header is too long"), no_more_memory(2**21):
        read_arrays(path)
