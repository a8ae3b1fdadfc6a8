import errno

import numpy as np
import pytest
import torch
from safetensors import safe_open

from fedvox.tensors import write_arrays, write_tensors


def test_tensors_and_arrays_come_back_with_their_metadata(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    view = torch.from_numpy(values).permute(2, 0, 1)  # safetensors itself refuses such a view
    write_tensors(tmp_path / "t.safetensors", {"w": view}, {"round": "3"})
    write_arrays(tmp_path / "a.safetensors", {"w": values.transpose(2, 0, 1)}, {"round": "3"})
    for name in ("t", "a"):
        with safe_open(str(tmp_path / f"{name}.safetensors"), "np") as file:
            assert np.array_equal(file.get_tensor("w"), values.transpose(2, 0, 1))
            assert file.metadata() == {"round": "3"}


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
