import itertools

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.grid.coarser import to_grid
from fedvox.data.grid.to_grid import (
    Geometry,
    from_ras,
    geometry_of,
    intensity_window,
    prepare_image,
    prepare_label,
    restore_labels,
    to_ras,
)
from fedvox.data.images.nifti import Volume
from fedvox.data.organs import IGNORED
from fedvox.data.settings import DataSettings

ORIENTATIONS = [
    "".join(pair[side] for pair, side in zip(axes, sides))
    for axes in itertools.permutations(("LR", "PA", "IS"))
    for sides in itertools.product((0, 1), repeat=3)
]
SETTINGS = DataSettings(organs=("liver", "spleen"))
shapes = st.tuples(*[st.integers(2, 7)] * 3)
spacings = st.tuples(*[st.floats(0.5, 8.0)] * 3)
orientations = st.sampled_from(ORIENTATIONS)


def volume(data: np.ndarray, spacing=(1.0, 1.0, 1.0), axes="RAS") -> Volume:
    """A volume whose RAS voxels are ``data``, stored along ``axes``."""
    change = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes)
    )
    affine = np.diag([*spacing, 1.0]) @ nib.orientations.inv_ornt_aff(change, data.shape)
    return Volume(nib.apply_orientation(data, change), affine, None)


def numbered(shape) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def ball(shape, spacing, radius_mm) -> np.ndarray:
    """A ball in the middle of the field of view."""
    axes = [(np.arange(n) + 0.5 - n / 2) * s for n, s in zip(shape, spacing)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return (x**2 + y**2 + z**2 < radius_mm**2).astype(np.uint8)


def one_hot(label: torch.Tensor, classes: int) -> torch.Tensor:
    return torch.stack([(label == value).float() for value in range(classes)])


def test_there_are_48_orientations():
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_to_ras_finds_the_ras_voxels_and_from_ras_the_stored_ones(axes):
    data = numbered((2, 3, 4))
    stored = volume(data, axes=axes)
    geometry = geometry_of(stored, (1, 1, 1))
    assert "".join(nib.aff2axcodes(stored.affine)) == axes
    assert np.array_equal(to_ras(stored.data, geometry), data)
    assert np.array_equal(from_ras(data, geometry), stored.data)


@given(shapes, orientations)
def test_from_ras_is_the_inverse_of_to_ras(shape, axes):
    geometry = geometry_of(volume(numbered(shape), axes=axes), (1, 1, 1))
    stored = numbered(geometry.stored_shape)
    assert np.array_equal(from_ras(to_ras(stored, geometry), geometry), stored)


@given(shapes, spacings, orientations, spacings)
def test_grid_covers_the_field_of_view_of_the_stored_one(shape, spacing, axes, wanted):
    geometry = geometry_of(volume(np.zeros(shape), spacing, axes), wanted)
    for n, size, count, actual, asked in zip(
        shape, spacing, geometry.grid_shape, geometry.spacing, wanted
    ):
        assert count * actual == pytest.approx(n * size, rel=1e-9)
        # Half a voxel is lost or won at most, unless a single voxel has to cover the axis.
        assert count == 1 or abs(n * size / asked - count) <= 0.5 + 1e-9


def test_spacing_is_met_where_whole_voxels_fit():
    geometry = geometry_of(volume(np.zeros((10, 12, 6)), (3.0, 2.0, 4.0), "PIR"), (6, 6, 6))
    assert geometry.grid_shape == (5, 4, 4) and geometry.spacing == (6.0, 6.0, 6.0)
    assert geometry.stored_shape == (12, 6, 10)


@given(shapes, spacings, orientations, st.integers(0, 2**32 - 1))
def test_labels_stored_on_the_jobs_spacing_come_back_unchanged(shape, spacing, axes, seed):
    label = np.random.default_rng(seed).integers(0, 3, shape).astype(np.uint8)
    stored = volume(label, spacing, axes)
    geometry = geometry_of(stored, spacing)
    prepared = prepare_label(stored.data, geometry, 2)
    assert np.array_equal(prepared.numpy(), label)
    assert np.array_equal(restore_labels(one_hot(prepared, 3), geometry), stored.data)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SLA"])
def test_resampled_ball_comes_back_with_a_dice_above_95_percent(axes):
    label = ball((44, 40, 30), (2.5, 3.0, 4.0), radius_mm=42)
    stored = volume(label, (2.5, 3.0, 4.0), axes)
    geometry = geometry_of(stored, (6.0, 6.0, 6.0))
    prepared = prepare_label(stored.data, geometry, 1)
    assert prepared.shape == (18, 20, 20)
    restored = restore_labels(one_hot(prepared, 2), geometry)
    assert restored.shape == stored.data.shape and restored.dtype == np.uint8
    overlap = 2 * (restored & stored.data).sum() / (restored.sum() + stored.data.sum())
    assert overlap > 0.95


def test_prepared_ball_has_the_volume_of_the_stored_one():
    label = ball((44, 40, 30), (2.5, 3.0, 4.0), radius_mm=42)
    prepared = prepare_label(label, geometry_of(volume(label, (2.5, 3.0, 4.0)), (6, 6, 6)), 1)
    cell = np.prod(geometry_of(volume(label, (2.5, 3.0, 4.0)), (6, 6, 6)).spacing)
    # A surface voxel is right on average; 3% is a twentieth of a 6 mm voxel on the radius.
    assert float(prepared.sum()) * cell == pytest.approx(4 / 3 * np.pi * 42**3, rel=0.03)


def test_tie_between_two_labels_goes_to_the_smaller_one():
    label = np.zeros((2, 4, 2), np.uint8)
    label[1, :2], label[:, 2:] = 1, np.array([1, 2])[:, None, None]
    geometry = geometry_of(volume(label), (2.0, 2.0, 2.0))
    assert prepare_label(label, geometry, 2).tolist() == [[[0], [1]]]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_linear_ramp_stays_on_its_line_in_millimetres(axis):
    shape, spacing = (20, 20, 20), (3.0, 2.0, 4.0)
    centres = (np.arange(20) + 0.5) * spacing[axis]
    ramp = np.broadcast_to(centres.reshape([-1 if a == axis else 1 for a in range(3)]), shape)
    geometry = geometry_of(volume(ramp, spacing), (5.0, 5.0, 5.0))
    result = to_grid(torch.from_numpy(ramp.copy()), geometry.grid_shape)
    line = result.movedim(axis, 0)[:, 0, 0]
    expected = (torch.arange(len(line)) + 0.5) * geometry.spacing[axis]
    # Cell centres within half a stored voxel of the border have no outer neighbour.
    assert torch.allclose(line[1:-1], expected[1:-1].double(), atol=1e-9)


def test_ct_window_maps_its_limits_to_0_and_1_and_clips_beyond():
    data = np.array([-2000, -160, 40, 240, 3000, 0, 0, 0], np.float32).reshape(2, 2, 2)
    stored = volume(data)
    image = prepare_image(stored, "ct", geometry_of(stored, (1, 1, 1)), SETTINGS)
    assert image.dtype == torch.float32
    assert image.ravel().tolist()[:5] == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-7)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["ct", "mr", "t1", "flair"]), spacings)
def test_prepared_image_lies_in_0_to_1(seed, modality, spacing):
    rng = np.random.default_rng(seed)
    data = rng.normal(rng.uniform(-500, 500), rng.uniform(1, 1000), (6, 5, 4))
    stored = volume(data.astype(np.float32), spacing)
    image = prepare_image(stored, modality, geometry_of(stored, (3, 3, 3)), SETTINGS)
    # The eight weights of a trilinear mean add up to 1 only within float32 rounding.
    assert float(image.min()) >= 0 and float(image.max()) <= 1 + 4 * 2**-23


@pytest.mark.parametrize("modality", ["ct", "mr"])
@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR"])
def test_preparing_an_image_leaves_the_stored_one_as_it_was(axes, modality):
    stored = volume(
        np.random.default_rng(0).normal(0, 300, (6, 5, 4)).astype(np.float32), axes=axes
    )
    before = stored.data.copy()
    prepare_image(stored, modality, geometry_of(stored, (1, 1, 1)), SETTINGS)
    assert np.array_equal(stored.data, before)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["ct", "mr"]), orientations)
def test_scaling_in_place_gives_the_values_of_the_formula(seed, modality, axes):
    data = np.random.default_rng(seed).normal(0, 300, (6, 5, 4)).astype(np.float32)
    stored = volume(data, axes=axes)
    low, high = intensity_window(torch.from_numpy(data), modality, SETTINGS)
    expected = (torch.from_numpy(data).clamp(low, high) - low) / (high - low)
    image = prepare_image(stored, modality, geometry_of(stored, (1, 1, 1)), SETTINGS)
    assert torch.equal(image, expected)


def test_mr_window_spans_the_percentiles_of_the_body():
    # Noise up to 90 is air, 200, 209, ..., 1100 is body: a tenth of the range lies between them.
    air = np.linspace(0, 90, 899)
    data = np.concatenate([air, np.arange(200, 1101, 9)]).astype(np.float32)
    low, high = intensity_window(torch.from_numpy(data.reshape(10, 10, 10)), "mr", SETTINGS)
    assert (low, high) == pytest.approx((204.5, 1095.5))


def scanned(kind: str) -> np.ndarray:
    """A body of 20 to 100 gray values above its surroundings, which ``kind`` describes."""
    rng = np.random.default_rng(0)
    body = np.zeros((30, 24, 18), bool)
    body[4:26, 4:20, :] = True
    image = np.where(body, rng.integers(200, 1000, body.shape), 0)
    if kind == "noisy air":
        image += np.where(body, 0, rng.integers(0, 40, body.shape))
    if kind == "no air":
        image = rng.integers(200, 1000, body.shape)
    return image.astype(np.float32)


@pytest.mark.parametrize("kind", ["empty air", "noisy air", "no air"])
@pytest.mark.parametrize("fill", [0.0, -1024.0])
@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_an_empty_margin_leaves_the_tissue_as_it_was(kind, fill, modality):
    data = scanned(kind)
    padded = np.pad(data, ((30, 30), (0, 12), (18, 0)), constant_values=fill)
    own, other = (
        prepare_image(stored, modality, geometry_of(stored, (1, 1, 1)), SETTINGS)
        for stored in (volume(data), volume(padded))
    )
    assert torch.equal(other[30:-30, :-12, 18:], own)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_mr_window_does_not_depend_on_how_much_noisy_air_a_scan_shows(share):
    rng = np.random.default_rng(1)
    body = rng.integers(300, 1000, round(40000 * (1 - share)))
    air = rng.integers(0, 50, 40000 - body.size)
    data = torch.from_numpy(np.concatenate([air, body]).astype(np.float32)).reshape(20, 40, 50)
    # 0.5 and 99.5% of 300 to 999, of 2000 voxels at the least
    assert intensity_window(data, "mr", SETTINGS) == pytest.approx((303.5, 995.5), abs=3)


def test_a_large_scan_is_sampled_at_the_same_voxels_with_and_without_a_margin(monkeypatch):
    monkeypatch.setattr("fedvox.data.grid.to_grid.SAMPLE", 1000)
    data = torch.from_numpy(scanned("no air"))
    padded = torch.nn.functional.pad(data, [7, 5, 3, 2, 1, 9])
    assert intensity_window(padded, "mr", SETTINGS) == intensity_window(data, "mr", SETTINGS)


@given(st.floats(0.1, 50.0), st.floats(-500.0, 500.0))
def test_mr_scale_and_offset_of_the_scanner_do_not_matter(scale, offset):
    data = 200 * np.random.default_rng(0).random((8, 8, 8)).astype(np.float32) ** 2
    images = []
    for values in (data, (scale * data + offset).astype(np.float32)):
        stored = volume(values)
        images.append(prepare_image(stored, "mr", geometry_of(stored, (2, 2, 2)), SETTINGS))
    # float32 keeps 500 to 3e-5, which is 1.5e-6 of the smallest range here, 20.
    assert torch.allclose(images[0], images[1], atol=2e-5)


@pytest.mark.parametrize("modality", ["ct", "mr"])
@pytest.mark.parametrize("axes", ["LPS", "PIR", "SRP", "IAL"])
def test_same_anatomy_stored_flipped_and_permuted_gives_the_same_tensors(axes, modality):
    rng = np.random.default_rng(0)
    image = rng.normal(0, 300, (9, 8, 7)).astype(np.float32)
    label = rng.integers(0, 3, (9, 8, 7)).astype(np.uint8)
    results = []
    for orientation in ("RAS", axes):
        stored = volume(image, (2.0, 3.0, 4.0), orientation)
        geometry = geometry_of(stored, (5.0, 5.0, 5.0))
        stored_label = volume(label, (2.0, 3.0, 4.0), orientation).data
        results.append(
            (
                prepare_image(stored, modality, geometry, SETTINGS),
                prepare_label(stored_label, geometry, 2),
            )
        )
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_a_resampled_voxel_is_ignored_where_most_of_it_is():
    stored = np.zeros((8, 2, 2), np.uint8)
    stored[:4] = 1
    stored[3:] = IGNORED  # of the second pair, of 2 voxels each, half is annotated
    geometry = geometry_of(volume(stored, (1.0, 1.0, 1.0)), (2.0, 2.0, 2.0))
    label = prepare_label(stored, geometry, 1, ignores=True)
    assert label[:, 0, 0].tolist() == [1, 1, IGNORED, IGNORED]


def test_ignored_voxels_stay_what_they_are_on_the_same_grid():
    stored = np.random.default_rng(0).choice([0, 1, IGNORED], (4, 5, 6)).astype(np.uint8)
    geometry = geometry_of(volume(stored, (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0))
    assert np.array_equal(prepare_label(stored, geometry, 1, ignores=True).numpy(), stored)


def test_restored_class_is_the_one_with_the_largest_interpolated_score():
    geometry = Geometry((4, 2, 2), ((0, 1), (1, 1), (2, 1)), (2, 1, 1), (2.0, 2.0, 2.0))
    scores = torch.tensor([[1.0, 0.0], [0.0, 0.9]]).reshape(2, 2, 1, 1)
    # Along x the scores at the four stored voxels are 1, .75, .25, 0 and 0, .225, .675, .9.
    assert restore_labels(scores, geometry)[:, 0, 0].tolist() == [0, 0, 1, 1]


def test_tie_between_two_restored_scores_goes_to_the_smaller_label():
    geometry = Geometry((2, 2, 2), ((0, 1), (1, 1), (2, 1)), (2, 2, 2), (1.0, 1.0, 1.0))
    scores = torch.full((3, 2, 2, 2), 0.25)
    scores[1:, 0] = 0.5
    assert restore_labels(scores, geometry)[:, 0, 0].tolist() == [1, 0]


@pytest.mark.parametrize("padding", [-1, -1000, -30000])
def test_padding_does_not_move_the_window_of_an_mri(padding):
    rng = np.random.default_rng(0)
    scan = np.abs(rng.normal(0, 5, (20, 20, 20)))
    scan[5:15] = rng.uniform(200, 400, (10, 20, 20))
    padded = np.concatenate([np.full((8, 20, 20), padding), scan])
    windows = [
        intensity_window(torch.from_numpy(data.astype(np.float32)), "mr", SETTINGS)
        for data in (scan, padded)
    ]
    assert windows[0] == pytest.approx(windows[1], rel=1e-6)
