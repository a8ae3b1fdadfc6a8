import nibabel as nib
import numpy as np
import pytest

from fedvox.data.check.placement import body_of, label_outside, organs_mirrored
from fedvox.data.images.nifti import Volume, load_image, load_label
from fedvox.data.organs import CANONICAL
from fedvox.finding import WARN

LIVER, SPLEEN = CANONICAL.index("liver") + 1, CANONICAL.index("spleen") + 1
STOMACH, BLADDER = CANONICAL.index("stomach") + 1, CANONICAL.index("bladder") + 1
SHAPE = (40, 40, 30)


def body(modality: str) -> np.ndarray:
    """A box of tissue in air, with a gas bubble."""
    rng = np.random.default_rng(0)
    air, tissue = (-1000, 50) if modality == "ct" else (0, 400)
    image = np.full(SHAPE, air, np.float32)
    image[8:32, 8:32] = tissue
    image[12:16, 12:16, 10:14] = air
    return image + rng.normal(0, 8, SHAPE).astype(np.float32)


def organs_at(*boxes: tuple[int, tuple[slice, ...]]) -> np.ndarray:
    organs = np.zeros(SHAPE, np.uint8)
    for value, box in boxes:
        organs[box] = value
    return organs


def volume(data: np.ndarray, affine: np.ndarray | None = None) -> Volume:
    affine = np.diag([4.0, 4, 4, 1]) if affine is None else affine
    return Volume(data, affine, nib.Nifti1Header())


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_label_outside_the_body_is_noticed_and_inside_is_not(modality):
    image = volume(body(modality))
    inside = organs_at((LIVER, np.s_[20:30, 10:30, 5:20]))
    outside = np.roll(inside, 9, axis=0)
    assert label_outside(image, inside, modality) is None
    found = label_outside(image, outside, modality)
    assert found.status == WARN
    assert "70% of the labelled voxels lie in air" in found.message


def test_gas_in_the_stomach_and_an_empty_label_are_no_reason():
    image = volume(body("ct"))
    assert label_outside(image, organs_at((STOMACH, np.s_[12:16, 12:16, 10:14])), "ct") is None
    assert label_outside(image, organs_at(), "ct") is None


def test_dark_places_inside_the_body_belong_to_it():
    mask = body_of(body("mr"))
    assert mask[12:16, 12:16, 10:14].all()
    assert mask[8:32, 8:32].mean() > 0.99 and mask[:6].mean() < 0.01


def test_an_image_without_air_around_it_is_all_body():
    image = np.random.default_rng(0).normal(500, 30, (20, 20, 20)).astype(np.float32)
    image[5:9] += 2000
    assert body_of(image).all() and body_of(2000 + image).all()
    assert label_outside(volume(image), np.full(image.shape, LIVER, np.uint8), "mr") is None


RIGHT, LEFT = np.s_[28:36, 10:20, 10:20], np.s_[4:12, 10:20, 10:20]


def test_liver_left_of_the_spleen_is_noticed():
    assert organs_mirrored(volume(organs_at((LIVER, RIGHT), (SPLEEN, LEFT)))) is None
    found = organs_mirrored(volume(organs_at((LIVER, LEFT), (SPLEEN, RIGHT))))
    assert (found.status, found.message) == (WARN, "liver does not lie right of spleen")


def test_sides_are_those_of_the_world_not_of_the_array():
    flipped = np.diag([-4.0, 4, 4, 1])
    assert organs_mirrored(volume(organs_at((LIVER, LEFT), (SPLEEN, RIGHT)), flipped)) is None
    found = organs_mirrored(volume(organs_at((LIVER, RIGHT), (SPLEEN, LEFT)), flipped))
    assert "liver does not lie right of spleen" in found.message


def test_bladder_above_the_liver_is_noticed():
    low, high = np.s_[10:20, 10:20, 2:8], np.s_[10:20, 10:20, 20:26]
    assert organs_mirrored(volume(organs_at((LIVER, high), (BLADDER, low)))) is None
    found = organs_mirrored(volume(organs_at((LIVER, low), (BLADDER, high))))
    assert found.message == "liver does not lie above bladder"


def test_a_few_stray_voxels_are_not_judged():
    stray = organs_at((LIVER, np.s_[4:6, 10:12, 10:12]), (SPLEEN, RIGHT))
    assert organs_mirrored(volume(stray)) is None


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_phantoms_give_no_reason_and_mirrored_ones_do(phantom_site, modality):
    root = phantom_site(modality)
    for path in sorted((root / "images").iterdir()):
        image, label = load_image(path), load_label(root / "labels" / path.name)
        organs = label.data.astype(np.uint8)  # the phantoms' values are the first six organs
        assert label_outside(image, organs, modality) is None
        assert organs_mirrored(Volume(organs, label.affine, label.header)) is None
        axis = [int(ras) for ras, _ in nib.io_orientation(label.affine)].index(0)
        mirrored = Volume(np.flip(organs, axis), label.affine, label.header)
        assert organs_mirrored(mirrored) is not None


@pytest.mark.parametrize("value", [-1, -1024, -30000])
def test_padding_makes_no_body_of_the_air(value):
    image = body("mr")
    image[:, :4] = value
    outside = organs_at((LIVER, np.s_[33:39, 10:30, 5:20]))
    found = label_outside(volume(image), outside, "mr")
    assert found is not None and "lie in air or outside the body" in found.message
