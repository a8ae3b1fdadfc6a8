"""Averaging onto a coarser grid, against weights worked out by hand and by integration."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.grid.coarser import to_grid

counts = st.integers(1, 40)


def weights(count: int, wanted: int) -> np.ndarray:
    """``(wanted, count)``: what each stored voxel gives to each new one, read off indicators."""
    lines = torch.eye(count, dtype=torch.float64)[:, :, None]  # each line along axis 1 has one 1
    return to_grid(lines, (count, wanted, 1))[:, :, 0].T.numpy()


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [
        (2, 2, [[1, 0], [0, 1]]),
        (4, 2, [[1 / 2, 1 / 2, 0, 0], [0, 0, 1 / 2, 1 / 2]]),
        (3, 1, [[1 / 4, 1 / 2, 1 / 4]]),
        (4, 1, [[1 / 6, 1 / 3, 1 / 3, 1 / 6]]),
        # From voxel centre 0 to 0.5 and from 1.5 to 2.
        (3, 2, [[3 / 4, 1 / 4, 0], [0, 1 / 4, 3 / 4]]),
        # Finer: plain linear interpolation.
        (2, 4, [[1, 0], [3 / 4, 1 / 4], [1 / 4, 3 / 4], [0, 1]]),
    ],
)
def test_weights_are_those_worked_out_by_hand(count, wanted, expected):
    np.testing.assert_allclose(weights(count, wanted), expected, rtol=0, atol=1e-12)


@given(counts, counts)
def test_a_coarser_voxel_is_the_mean_of_the_linear_interpolant(count, wanted):
    count, wanted = max(count, wanted), min(count, wanted)
    if count == wanted:
        return
    ratio, line = count / wanted, np.random.default_rng(count).random(count)
    places = np.arange(4001) / 4000 * (ratio - 1)
    expected = [
        np.trapezoid(np.interp(i * ratio + places, np.arange(count), line), places) / (ratio - 1)
        for i in range(wanted)
    ]
    np.testing.assert_allclose(weights(count, wanted) @ line, expected, rtol=0, atol=1e-4)


@given(st.tuples(counts, counts, counts), st.tuples(counts, counts, counts))
def test_axes_are_resampled_one_by_one_and_a_constant_stays(stored, grid):
    volume = torch.from_numpy(np.random.default_rng(0).random(stored))
    by_axis = volume.numpy()
    for axis in range(3):
        by_axis = np.moveaxis(
            np.tensordot(weights(stored[axis], grid[axis]), by_axis, (1, axis)), 0, axis
        )
    np.testing.assert_allclose(to_grid(volume, grid).numpy(), by_axis, rtol=0, atol=1e-6)
    constant = to_grid(torch.full(stored, 0.7), grid)
    torch.testing.assert_close(constant, torch.full(grid, 0.7), rtol=0, atol=1e-6)


def test_noise_falls_with_every_voxel_that_is_averaged():
    """Linear values at ratios 2, 3, 4, 5 keep 0.5, 1, 0.5 and 1 of the variance along an axis."""
    kept = [(weights(ratio * 6, 6) ** 2).sum(1).max() for ratio in (1, 2, 3, 4, 5)]
    np.testing.assert_allclose(kept, [1, 1 / 2, 3 / 8, 5 / 18, 7 / 32], rtol=0, atol=1e-12)


def test_the_number_of_threads_does_not_matter():
    volume, before = torch.rand(40, 150, 130), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(to_grid(volume, (21, 60, 140)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
