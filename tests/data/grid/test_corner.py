import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedvox.data.grid.coarser import to_grid
from fedvox.data.grid.corner import corner_of
from fedvox.data.grid.to_grid import Geometry, prepare_label

AXES = ((0, 1), (1, 1), (2, 1))
small = st.tuples(*[st.integers(2, 40)] * 3)
large = st.tuples(*[st.integers(70, 110)] * 3)
"""As job's grid: above and below the size at which PyTorch changes its kernel."""
seeds = st.integers(0, 2**32 - 1)


def blobs(shape, organs: int, seed: int) -> np.ndarray:
    """Boxes of random place and size, later ones over earlier ones."""
    rng = np.random.default_rng(seed)
    label = np.zeros(shape, np.uint8)
    for value in range(1, organs + 1):
        low = [int(rng.integers(0, n)) for n in shape]
        high = [int(rng.integers(a, n + 1)) for a, n in zip(low, shape)]
        label[tuple(map(slice, low, high))] = value
    return label


def whole_volumes(label: np.ndarray, grid, organs: int) -> torch.Tensor:
    """The definition: every class resampled over the whole volume, the largest share wins."""
    data = torch.from_numpy(label)
    shares = [to_grid((data == v).float(), grid) for v in range(organs + 1)]
    result, best = torch.zeros(grid, dtype=torch.uint8), shares[0]
    for value, share in enumerate(shares[1:], start=1):
        wins = share > best
        result[wins] = value
        best = torch.where(wins, share, best)
    return result


@settings(max_examples=20)
@given(st.tuples(*[st.integers(2, 60)] * 3), st.one_of(small, large), st.integers(1, 3), seeds)
@example((49, 109, 31), (51, 22, 34), 3, 1)
@example((103, 117, 69), (122, 108, 73), 2, 2)
def test_labels_are_those_of_whole_resampled_volumes_bit_by_bit(stored, grid, organs, seed):
    label = blobs(stored, organs, seed)
    geometry = Geometry(stored, AXES, grid, (1.0, 1.0, 1.0))
    assert torch.equal(prepare_label(label, geometry, organs), whole_volumes(label, grid, organs))


@settings(max_examples=30)
@given(st.tuples(*[st.integers(2, 60)] * 3), st.one_of(small, large), seeds)
def test_share_of_a_corner_is_that_of_the_whole_volume_and_0_beyond(stored, grid, seed):
    mask = blobs(stored, 1, seed) > 0
    corner = corner_of(mask, stored, grid)
    if corner is None:
        assert not mask.any()
        return
    inner = tuple(map(slice, corner.grid))
    expected = to_grid(torch.from_numpy(mask).float(), grid)
    share = corner.resample(torch.from_numpy(mask[tuple(map(slice, corner.stored))]))
    overlap = tuple(slice(min(a, b)) for a, b in zip(corner.grid, grid))
    assert torch.equal(share[overlap], expected[inner])
    expected[inner] = 0
    assert not expected.any()


def test_an_empty_mask_has_no_corner():
    assert corner_of(np.zeros((4, 4, 4), bool), (4, 4, 4), (2, 2, 2)) is None


def test_a_small_organ_is_resampled_in_a_small_corner():
    mask = np.zeros((200, 200, 200), bool)
    mask[60:70, 50:60, 40:50] = True
    corner = corner_of(mask, (200, 200, 200), (160, 160, 160))
    assert corner is not None
    # The edges of the result add up to the least that the large kernel computes.
    assert corner.grid == (160, 55, 42) and sum(corner.grid) == 257


@given(st.tuples(*[st.integers(70, 300)] * 3), large, seeds)
def test_a_corner_of_a_large_result_is_computed_by_the_large_kernel(stored, grid, seed):
    corner = corner_of(blobs((20, 20, 20), 1, seed) > 0, stored, grid)
    assert corner is None or sum(grid) <= 256 or sum(corner.grid) > 256
