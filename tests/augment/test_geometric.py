"""Geometric augmentation moves image and label together, rigidly in mm."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fedvox.augment.geometric import (
    GeometricSettings,
    apply_geometric,
    draw_geometric,
    sampling_grid,
)
from fedvox.config import build
from fedvox.errors import ConfigError
from fedvox.seeding import generator

STILL = {
    "rotation_degrees": 0.0,
    "scale_low": 1.0,
    "scale_high": 1.0,
    "shear": 0.0,
    "translation": 0.0,
    "elastic_probability": 0.0,
}
SHAPE = (12, 14, 16)


def only(**ranges: object) -> GeometricSettings:
    """Settings in which only the named ranges move anything."""
    return GeometricSettings(**{**STILL, **ranges})  # type: ignore[arg-type]


def patch(batch: int = 2, shape: tuple[int, int, int] = SHAPE) -> tuple[Tensor, Tensor]:
    source = generator(0, "patch")
    image = torch.rand(batch, 1, *shape, generator=source)
    return image, torch.randint(0, 4, (batch, *shape), generator=source)


def in_mm(affine: Tensor, shape: tuple[int, ...], spacing: tuple[float, ...]) -> Tensor:
    """The linear part of a drawn affine, from mm to mm, along x y z."""
    extent = (torch.tensor(shape) * torch.tensor(spacing)).flip(0)
    return extent[:, None] * affine[:, :, :3] / extent


def test_nothing_to_draw_returns_the_same_tensors():
    image, label = patch()
    draw = draw_geometric(only(), 2, SHAPE, generator(0))
    moved, picked = apply_geometric(image, label, draw)
    assert moved is image
    assert picked is label


def test_probability_zero_returns_the_same_tensors():
    image, label = patch()
    chosen = GeometricSettings(probability=0.0, elastic_probability=0.0)
    moved, picked = apply_geometric(image, label, draw_geometric(chosen, 2, SHAPE, generator(0)))
    assert moved is image
    assert picked is label


@given(seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_invents_no_label_and_no_intensity(seed):
    image, label = patch()
    label[label == 2] = 250
    chosen = GeometricSettings(elastic_probability=1.0, flips=(0, 1, 2))
    draw = draw_geometric(chosen, 2, SHAPE, generator(seed), (3.0, 1.0, 1.0))
    moved, picked = apply_geometric(image, label, draw)
    assert moved.shape == image.shape
    assert picked.shape == label.shape
    assert set(picked.unique().tolist()) <= {0, 1, 3, 250}
    assert moved.min() >= 0
    assert moved.max() <= image.max() + 1e-6


@given(seed=st.integers(0, 2**31), elastic=st.sampled_from([0.0, 1.0]))
@settings(max_examples=15, deadline=None)
def test_image_and_label_move_together(seed, elastic):
    label = torch.zeros(1, 24, 24, 24, dtype=torch.uint8)
    label[:, 6:14, 8:18, 7:17] = 1
    image = label[:, None].float()
    draw = draw_geometric(
        GeometricSettings(elastic_probability=elastic), 1, (24, 24, 24), generator(seed)
    )
    moved, picked = apply_geometric(image, label, draw)
    # trilinear at 0.5 and nearest differ only where the surface runs through a voxel
    inner, outer = moved[:, 0] > 0.875, moved[:, 0] > 0
    assert (picked[inner] == 1).all()
    assert (picked[~outer] == 0).all()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.8, 1.2)])
def test_rotation_is_rigid_in_mm(spacing):
    draw = draw_geometric(only(rotation_degrees=90.0), 20, SHAPE, generator(0), spacing)
    turn = in_mm(draw.affine, SHAPE, spacing)
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).expand(20, 3, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.linalg.det(turn), torch.ones(20), rtol=0, atol=1e-5)
    assert not torch.allclose(turn, torch.eye(3).expand(20, 3, 3), atol=0.1)


def test_sampled_points_keep_their_distances_in_mm():
    spacing = (4.0, 1.0, 2.0)
    draw = draw_geometric(only(rotation_degrees=30.0), 1, SHAPE, generator(1), spacing)
    grid = sampling_grid(draw, torch.Size(SHAPE), torch.device("cpu"))[0]
    half_mm = (torch.tensor(SHAPE) * torch.tensor(spacing) / 2).flip(0)
    points = grid * half_mm
    for axis, step in enumerate(spacing):
        distance = points.diff(dim=axis).norm(dim=-1)
        torch.testing.assert_close(distance, torch.full_like(distance, step), rtol=1e-4, atol=1e-4)


def test_scale_magnifies_by_the_drawn_factor():
    draw = draw_geometric(only(scale_low=2.0, scale_high=2.0), 1, (16, 16, 16), generator(0))
    label = torch.zeros(1, 16, 16, 16, dtype=torch.long)
    label[:, 6:10, 6:10, 6:10] = 1
    _, picked = apply_geometric(label[:, None].float(), label, draw)
    assert picked.sum() == 8**3


def test_translation_shifts_by_the_drawn_share():
    draw = draw_geometric(only(translation=0.5), 50, SHAPE, generator(0))
    shift = draw.affine[:, :, 3] / 2
    assert shift.abs().max() <= 0.5
    assert shift.abs().max() > 0.4
    torch.testing.assert_close(draw.affine[:, :, :3], torch.eye(3).expand(50, 3, 3))


def test_outside_the_patch_is_zero_in_both():
    image, label = torch.ones(1, 1, *SHAPE), torch.ones(1, *SHAPE, dtype=torch.long)
    draw = draw_geometric(only(scale_low=0.5, scale_high=0.5), 1, SHAPE, generator(0))
    moved, picked = apply_geometric(image, label, draw)
    assert moved[0, 0, 0, 0, 0] == 0
    assert picked[0, 0, 0, 0] == 0
    assert picked.sum() == math.prod(SHAPE) // 8


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flip_mirrors_the_named_axis_in_half_of_the_samples(axis):
    image, label = patch(40)
    draw = draw_geometric(only(flips=(axis,)), 40, SHAPE, generator(0))
    moved, picked = apply_geometric(image, label, draw)
    mirrored = 0
    for sample in range(40):
        same = torch.equal(picked[sample], label[sample])
        flipped = torch.equal(picked[sample], label[sample].flip(axis))
        assert same != flipped
        mirrored += flipped
        expected = image[sample].flip(axis + 1) if flipped else image[sample]
        torch.testing.assert_close(moved[sample], expected, rtol=0, atol=1e-4)
    assert 10 <= mirrored <= 30


def test_default_never_mirrors():
    draw = draw_geometric(GeometricSettings(), 100, SHAPE, generator(0))
    assert (torch.linalg.det(draw.affine[:, :, :3]) > 0).all()


def test_elastic_deformation_does_not_fold():
    chosen = only(elastic_probability=1.0)
    draw = draw_geometric(chosen, 2, (24, 24, 24), generator(0))
    grid = sampling_grid(draw, torch.Size((24, 24, 24)), torch.device("cpu"))
    for axis in range(3):
        assert (grid[..., 2 - axis].diff(dim=axis + 1) > 0).all()


def test_drawing_a_part_or_not_leaves_the_rest_alone():
    with_elastic = GeometricSettings(elastic_probability=1.0)
    without = GeometricSettings(elastic_probability=0.0)
    first = draw_geometric(with_elastic, 2, SHAPE, generator(0))
    second = draw_geometric(without, 2, SHAPE, generator(0))
    assert torch.equal(first.affine, second.affine)
    assert first.elastic is not None
    assert second.elastic is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_half_precision_images_keep_dtype_and_place(dtype):
    image, label = patch()
    draw = draw_geometric(GeometricSettings(), 2, SHAPE, generator(0))
    moved, picked = apply_geometric(image.to(dtype), label.to(torch.uint8), draw)
    expected, same = apply_geometric(image, label, draw)
    assert moved.dtype == dtype
    assert picked.dtype == torch.uint8
    assert torch.equal(picked.long(), same)
    torch.testing.assert_close(moved.float(), expected, rtol=0, atol=1e-2)


def test_autocast_does_not_round_coordinates():
    image, label = patch()
    draw = draw_geometric(GeometricSettings(), 2, SHAPE, generator(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        moved, picked = apply_geometric(image, label, draw)
    expected, same = apply_geometric(image, label, draw)
    assert torch.equal(moved, expected)
    assert torch.equal(picked, same)


def test_same_seed_same_draw_and_no_global_state():
    state = torch.random.get_rng_state()
    image, label = patch()
    draws = [draw_geometric(GeometricSettings(), 2, SHAPE, generator(s)) for s in (0, 0, 1)]
    results = [apply_geometric(image, label, draw)[0] for draw in draws]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(state, torch.random.get_rng_state())


def test_host_never_waits_for_a_device():
    # a meta tensor has no values: any question about one raises
    image, label = torch.empty(2, 1, *SHAPE, device="meta"), torch.empty(2, *SHAPE, device="meta")
    draw = draw_geometric(GeometricSettings(elastic_probability=1.0), 2, SHAPE, generator(0))
    assert apply_geometric(image, label, draw)[0].shape == image.shape


def test_refuses_what_does_not_fit_together():
    image, label = patch()
    draw = draw_geometric(GeometricSettings(), 2, SHAPE, generator(0))
    with pytest.raises(ValueError, match="2 samples"):
        apply_geometric(image[:1], label[:1], draw)
    with pytest.raises(ValueError, match="must be"):
        apply_geometric(image, label[:, 1:], draw)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"scale_low": 1.5}, "'scale_low' is 1.5; it must not exceed"),
        ({"flips": [3]}, "'flips' is 3; allowed: 0, 1, 2"),
        ({"rotation_degrees": -1}, "'rotation_degrees' is -1; it must be at least 0"),
    ],
)
def test_settings_errors_name_the_key(mapping, message):
    with pytest.raises(ConfigError, match=f"training.json: {message}"):
        build(GeometricSettings, mapping, "training.json")
