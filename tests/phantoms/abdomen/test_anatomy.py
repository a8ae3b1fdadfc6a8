import time

import numpy as np
import pytest

from fedvox.phantoms.abdomen import BODY
from fedvox.phantoms.abdomen.anatomy import draw_anatomy
from fedvox.phantoms.abdomen.tissue import ORGANS, Tissue
from fedvox.phantoms.volume import tissue_volume

SHAPE = (48, 48, 48)
AFFINE = np.diag([6.0, 6.0, 6.0, 1.0])
AFFINE[:3, 3] = -141.0


def volume(seed: int) -> np.ndarray:
    return tissue_volume(draw_anatomy(seed), SHAPE, AFFINE)


def centre_of_mass(tissues: np.ndarray, tissue: Tissue) -> np.ndarray:
    """Mean world position, mm."""
    return np.argwhere(tissues == tissue).mean(axis=0) * 6.0 - 141.0


def test_equal_seeds_give_equal_patients():
    assert np.array_equal(volume(3), volume(3))


def test_another_seed_gives_another_patient():
    assert (volume(3) != volume(4)).mean() > 0.05


@pytest.mark.parametrize("seed", range(12))
def test_every_organ_has_40_voxels_at_6_mm(seed):
    counts = np.bincount(volume(seed).ravel(), minlength=len(Tissue))
    assert counts[1 : len(ORGANS) + 1].min() >= 40


@pytest.mark.parametrize("seed", range(4))
def test_organs_lie_on_their_side_of_the_body(seed):
    tissues = volume(seed)
    # RAS: +x is the patient's right, so these hold in world coordinates whatever the array's order.
    assert centre_of_mass(tissues, Tissue.KIDNEY_RIGHT)[0] > 20
    assert centre_of_mass(tissues, Tissue.KIDNEY_LEFT)[0] < -20
    assert centre_of_mass(tissues, Tissue.LIVER)[0] > 15
    assert centre_of_mass(tissues, Tissue.SPLEEN)[0] < -40
    assert centre_of_mass(tissues, Tissue.BONE)[1] < 0
    assert centre_of_mass(tissues, Tissue.GALLBLADDER)[2] < centre_of_mass(tissues, Tissue.LIVER)[2]


def test_label_values_follow_the_organ_list():
    labels = BODY.labels(volume(0))
    assert labels.dtype == np.uint8
    assert sorted(np.unique(labels)) == list(range(len(ORGANS) + 1))
    assert [Tissue[organ.upper()] for organ in ORGANS] == list(range(1, len(ORGANS) + 1))


def test_patient_is_the_same_on_a_flipped_and_permuted_grid():
    flipped = AFFINE.copy()
    flipped[0] = (-6.0, 0.0, 0.0, 141.0)
    swapped = flipped[:, [2, 0, 1, 3]]
    expected = volume(5)[::-1].transpose(2, 0, 1)
    assert np.array_equal(tissue_volume(draw_anatomy(5), SHAPE, swapped), expected)


def test_organ_volume_does_not_depend_on_spacing():
    fine = AFFINE.copy()
    fine[:3, :3] /= 2
    fine[:3, 3] -= 1.5
    doubled = tissue_volume(draw_anatomy(6), (96, 96, 96), fine)
    for tissue in (Tissue.LIVER, Tissue.SPLEEN, Tissue.KIDNEY_LEFT):
        coarse_mm3 = (volume(6) == tissue).sum() * 6.0**3
        # A smooth solid of 400 voxels is counted to within a few percent.
        assert (doubled == tissue).sum() * 3.0**3 == pytest.approx(coarse_mm3, rel=0.05)


def test_64_cubed_volume_is_fast():
    anatomy = draw_anatomy(1)
    start = time.process_time()
    tissue_volume(anatomy, (64, 64, 64), AFFINE)
    # About 0.16 s of processor time; the bound leaves room for a busy machine.
    assert time.process_time() - start < 2.0
