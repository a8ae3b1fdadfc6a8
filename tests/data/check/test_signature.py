import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from fedvox.data.check.signature import SIMILAR, candidate_pairs, same_voxels, signature


def scan(seed: int, shape: tuple[int, ...] = (20, 24, 18)) -> np.ndarray:
    """Blobs and noise, as float32."""
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.normal(size=shape), 3)
    return (1000 * blobs / blobs.std() + rng.normal(0, 20, shape)).astype(np.float32)


def found(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether the two are recognised as the same voxels."""
    pairs = candidate_pairs([signature(first), signature(second)])
    return any(same_voxels(first, second, turn) for _, _, turn in pairs)


permutations = st.permutations(range(3))
flips = st.lists(st.integers(0, 2), unique=True)
shapes = st.tuples(*[st.sampled_from((16, 17, 24))] * 3)


@settings(max_examples=25)
@given(shapes, permutations, flips, st.floats(0.01, 50), st.floats(-500, 500))
def test_flips_permutations_scale_and_offset_hide_nothing(shape, order, axes, scale, offset):
    image = scan(1, shape)
    assert found(image, np.flip(scale * image.transpose(order) + offset, axes))


def test_every_turn_of_a_cube_is_recognised():
    image = scan(2, (16, 16, 16))
    for order in itertools.permutations(range(3)):
        for count in range(4):
            for axes in itertools.combinations(range(3), count):
                assert found(image, np.flip(image.transpose(order), axes))


@pytest.mark.parametrize("levels", [255, 65535])
def test_rounding_to_8_or_16_bits_hides_nothing(levels):
    image = scan(3)
    low, high = image.min(), image.max()
    rounded = np.rint((image - low) / (high - low) * levels)
    assert found(image, rounded[::-1])


def test_other_scans_are_others():
    scans = [scan(seed) for seed in range(40)]
    assert candidate_pairs([signature(image) for image in scans]) == []


def test_a_second_scan_of_the_same_anatomy_is_another():
    rng = np.random.default_rng(0)
    image = scan(4)
    assert not found(image, image + rng.normal(0, 40, image.shape).astype(np.float32))


def test_a_marker_burnt_into_two_scans_does_not_make_them_one():
    """Its brightness rules the signature, so the voxels decide."""
    first, second = scan(5), scan(6)
    for image in (first, second):
        image[:2, :2, :2] = 1e8
    assert float(np.vdot(signature(first).boxes, signature(second).boxes)) > SIMILAR
    assert not found(first, second)


def test_a_cropped_copy_is_not_found():
    image = scan(7)
    assert not found(image, image[1:])


def test_nearly_constant_images_are_not_confirmed():
    first, second = (np.zeros((16, 16, 16), np.float32) for _ in range(2))
    first[3, 3, 3] = second[3, 3, 3] = 1
    (pair,) = candidate_pairs([signature(first), signature(second)])
    places = np.zeros_like(first)
    assert not same_voxels(first, places, pair[2])


def test_pairs_are_found_among_many_in_the_order_of_the_list():
    images = [scan(seed, (16, 18, 20)) for seed in range(6)]
    images += [images[1][:, ::-1], images[4].transpose(2, 0, 1), images[1] + 3]
    pairs = [(i, j) for i, j, _ in candidate_pairs([signature(image) for image in images])]
    assert pairs == [(1, 6), (1, 8), (4, 7), (6, 8)]


GRID = np.indices((40, 36, 24))


def phase(enhancement: float, seed: int, padding: float = -2000) -> np.ndarray:
    """A CT of one patient: body in air, a circle of padding, organs that take up contrast agent."""
    x, y, z = GRID
    rng = np.random.default_rng(seed)
    image = np.full(x.shape, -1000.0)
    body = ((x - 19.5) / 16) ** 2 + ((y - 17.5) / 13) ** 2 < 1
    image[body] = -100
    image[((x - 19.5) / 14) ** 2 + ((y - 17.5) / 11) ** 2 < 1] = 50
    for place, size, share in ((12, 5, 1.0), (27, 3, 1.6), (20, 2, 2.5)):
        organ = ((x - place) / size) ** 2 + ((y - 17) / size) ** 2 + ((z - 12) / 8) ** 2 < 1
        image[organ] = 60 + share * enhancement
    image += rng.normal(0, 12, x.shape)
    image[((x - 19.5) / 19.5) ** 2 + ((y - 17.5) / 17.5) ** 2 > 1] = padding
    return np.rint(image).astype(np.float32)


@pytest.mark.parametrize("padding", [-1024, -2000, -3024, -30000])
def test_two_contrast_phases_with_equal_padding_are_two_scans(padding):
    assert not found(phase(0, 1, padding), phase(60, 2, padding))
    assert not found(phase(60, 1, padding), phase(60, 2, padding))  # nor a second scan
    assert not found(phase(20, 1, padding), phase(60, 1, padding))  # nor with the same noise


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_much_padding_makes_no_twins_of_two_patients(share):
    first, second = scan(1, (32, 30, 28)), scan(2, (32, 30, 28))
    for image in (first, second):
        image[: int(share * 32)] = -20000
    assert not found(first, second)


@pytest.mark.parametrize("padding", [-1024, -3024])
@pytest.mark.parametrize(
    "change",
    [
        lambda image: image[::-1, :, ::-1],
        lambda image: image.transpose(2, 0, 1),
        lambda image: np.rint(0.25 * image),
        lambda image: np.rint((image.clip(-1024, 1024) + 1024) / 2048 * 255),
        lambda image: image + 1024,
        lambda image: np.where(image < -1001, -5000, image),  # padded with another number
    ],
)
def test_real_twins_are_found_in_any_form(change, padding):
    image = phase(60, 3, padding)
    assert found(image, change(image))
