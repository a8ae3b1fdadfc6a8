import numpy as np
import pytest
from safetensors import SafetensorError

from fedvox.aggregation.store import UpdateStore

ARRAYS = {
    "scalar": np.asarray(0.5, np.float32),
    "strided": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    "vector": np.float32([1, 2, 3]),
}


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_tensor_comes_back_as_it_was(tmp_path, name):
    store = UpdateStore(tmp_path)
    store.put(3, "site-1", ARRAYS)
    found = store.read(3, "site-1", name)
    assert (found.shape, found.dtype) == (ARRAYS[name].shape, ARRAYS[name].dtype)
    np.testing.assert_array_equal(found, ARRAYS[name])


def test_rounds_and_sites_do_not_mix(tmp_path):
    store = UpdateStore(tmp_path)
    for value, (index, site) in enumerate([(0, "a"), (0, "b"), (1, "a")]):
        store.put(index, site, {"w": np.float32([value])})
    assert [store.read(i, s, "w")[0] for i, s in [(0, "a"), (0, "b"), (1, "a")]] == [0, 1, 2]


def test_dropping_a_round_leaves_the_others(tmp_path):
    store = UpdateStore(tmp_path)
    store.put(0, "a", {"w": np.float32([0])})
    store.put(1, "a", {"w": np.float32([1])})
    store.drop(0)
    assert [path.name for path in tmp_path.iterdir()] == ["00001"]
    assert store.read(1, "a", "w")[0] == 1


def test_dropping_a_round_that_nobody_answered_is_no_error(tmp_path):
    UpdateStore(tmp_path / "incoming").drop(7)
    assert not (tmp_path / "incoming").exists()


def test_only_whole_files_lie_in_the_folder(tmp_path):
    store = UpdateStore(tmp_path)
    with pytest.raises(SafetensorError):
        store.put(0, "a", {"w": np.ones(2, object)})
    assert list((tmp_path / "00000").iterdir()) == []
