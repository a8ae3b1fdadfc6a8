from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedvox.data.grid.planes import SMALL_OUTPUT, exact_by_planes, label_planes, plan_steps
from fedvox.data.grid.to_grid import Geometry, from_ras, resample, restore_labels, restore_slabs

sizes = st.integers(1, 12)


def scores(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def cut(volume: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """A volume in slabs of random thickness along X."""
    rng, depth = np.random.default_rng(seed), volume.shape[1]
    places = sorted({0, depth, *rng.integers(0, depth + 1, 3).tolist()})
    return [volume[:, a:b] for a, b in pairwise(places)]


@settings(max_examples=80)
@given(
    st.tuples(st.integers(1, 40), sizes, sizes),
    st.tuples(st.integers(1, 80), st.integers(1, 12), st.integers(0, 60)),
    st.integers(0, 1000),
)
def test_labels_by_planes_are_those_of_the_whole_volume(grid, size, seed):
    wanted = (size[0], size[1], SMALL_OUTPUT - size[1] + size[2])
    assert exact_by_planes(wanted)
    volume = scores((3, *grid), seed)
    planes = (volume[:, x] for x in range(grid[0]))
    whole = resample(volume, wanted).argmax(0)
    assert torch.equal(label_planes(planes, grid[0], wanted).long(), whole)


@given(st.integers(1, 300), st.integers(1, 300))
def test_every_output_plane_is_made_once_and_in_order(count, wanted):
    steps = [step for steps in plan_steps(count, wanted) for step in steps]
    made = [index for step in steps for index in range(step.first, step.first + step.count)]
    assert made == list(range(wanted))


@given(st.integers(1, 300), st.integers(1, 300))
def test_every_output_plane_lies_between_its_neighbours(count, wanted):
    for lower, steps in enumerate(plan_steps(count, wanted)):
        for step in steps:
            for index in range(step.first, step.first + step.count):
                place = max((index + 0.5) * count / wanted - 0.5, 0)
                # float32 keeps places up to 300 to 3e-5
                assert lower - 1e-4 <= place <= lower + 1 + 1e-4


def test_first_class_wins_a_tie():
    planes = [torch.ones(3, 2, 2), torch.ones(3, 2, 2)]
    assert not label_planes(planes, 2, (5, 2, SMALL_OUTPUT)).any()


@settings(max_examples=40)
@given(
    st.tuples(st.integers(1, 12), sizes, sizes),
    st.sampled_from([(5, 4, 6), (20, 30, 40), (3, 150, 120), (40, 90, 130), (2, 270, 3)]),
    st.sampled_from(
        [((0, 1), (1, 1), (2, 1)), ((2, -1), (0, 1), (1, -1)), ((1, -1), (0, -1), (2, 1))]
    ),
    st.integers(0, 1000),
)
def test_slabs_give_the_labels_of_the_whole_volume_on_any_stored_grid(grid, stored, axes, seed):
    geometry = Geometry(stored, axes, grid, (1.0, 1.0, 1.0))
    volume = scores((4, *grid), seed)
    labels = restore_slabs(cut(volume, seed), geometry)
    assert labels.shape == stored and labels.dtype == np.uint8
    assert np.array_equal(labels, restore_labels(volume, geometry))


def test_stored_grid_equal_to_the_jobs_keeps_the_winning_class():
    volume = scores((3, 5, 140, 130), 0)
    geometry = Geometry((5, 140, 130), ((0, 1), (1, 1), (2, 1)), (5, 140, 130), (1.0, 1.0, 1.0))
    labels = restore_slabs(cut(volume, 0), geometry)
    assert np.array_equal(labels, from_ras(volume.argmax(0).to(torch.uint8).numpy(), geometry))


@pytest.mark.parametrize(("shape", "exact"), [((600, 128, 127), False), ((2, 128, 128), True)])
def test_small_planes_are_left_to_the_whole_volume(shape, exact):
    assert exact_by_planes(shape) is exact
