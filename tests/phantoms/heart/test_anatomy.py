import numpy as np
import pytest
from scipy import ndimage

from fedvox.data.organs import HEART
from fedvox.data.readers.mmwhs import VALUES
from fedvox.phantoms.grid import oriented_grid
from fedvox.phantoms.heart import BODY
from fedvox.phantoms.heart.anatomy import draw_patient
from fedvox.phantoms.heart.tissue import ORGANS, Tissue
from fedvox.phantoms.volume import tissue_volume

SPACING = 5.0


def volume(seed: int, spacing: float = SPACING) -> np.ndarray:
    grid = oriented_grid([round(240 / spacing)] * 3, [spacing] * 3, [0.0] * 3, "RAS")
    return tissue_volume(draw_patient(seed), grid.shape, grid.affine)


def middle(tissues: np.ndarray, tissue: Tissue) -> np.ndarray:
    """Mean world position: right, anterior, superior, mm."""
    return np.argwhere(tissues == tissue).mean(axis=0) * SPACING - 120


@pytest.mark.parametrize("seed", range(6))
def test_every_structure_has_a_plausible_volume(seed):
    counts = np.bincount(volume(seed).ravel(), minlength=len(Tissue))
    millilitres = dict(zip(ORGANS, counts[1:] * SPACING**3 / 1000))
    assert 40 < millilitres["heart_left_ventricle"] < 160
    assert 50 < millilitres["heart_right_ventricle"] < 230
    assert 25 < millilitres["heart_left_atrium"] < 120
    assert 30 < millilitres["heart_right_atrium"] < 130
    assert 70 < millilitres["heart_myocardium"] < 240
    assert 15 < millilitres["ascending_aorta"] < 90
    assert 12 < millilitres["pulmonary_artery"] < 70


@pytest.mark.parametrize("seed", range(4))
def test_chambers_lie_where_they_do_in_a_chest(seed):
    tissues = volume(seed)
    left = middle(tissues, Tissue.LEFT_VENTRICLE)
    assert left[0] < middle(tissues, Tissue.RIGHT_VENTRICLE)[0]
    assert left[1] < middle(tissues, Tissue.RIGHT_VENTRICLE)[1]
    assert middle(tissues, Tissue.RIGHT_ATRIUM)[0] > 20
    assert middle(tissues, Tissue.LEFT_ATRIUM)[1] < left[1] - 10
    assert middle(tissues, Tissue.ASCENDING_AORTA)[2] > left[2] + 20
    assert middle(tissues, Tissue.BONE)[1] < 0


@pytest.mark.parametrize("seed", range(4))
def test_muscle_holds_the_left_ventricle_off_the_lungs(seed):
    tissues = volume(seed, 3.0)
    cavity = tissues == Tissue.LEFT_VENTRICLE
    around = tissues[ndimage.binary_dilation(cavity) & ~cavity]
    assert (around == Tissue.MYOCARDIUM).mean() > 0.6
    assert not np.isin(around, (Tissue.LUNG, Tissue.AIR)).any()


def test_equal_seeds_give_equal_patients_and_others_differ():
    assert np.array_equal(volume(1), volume(1))
    assert (volume(1) != volume(2)).mean() > 0.05


def test_structures_are_those_of_mm_whs_and_their_ids_follow_the_list():
    assert set(ORGANS) == set(VALUES.values()) == set(HEART)
    names = [name.removeprefix("heart_").upper() for name in ORGANS]
    assert [Tissue[name] for name in names] == list(range(1, len(ORGANS) + 1))
    assert BODY.organs == ORGANS


def test_no_monotone_map_turns_one_modality_into_the_other():
    ct, mr = (BODY.contrast(name).signals(np.random.default_rng(0), 0) for name in ("ct", "mr"))
    assert ct[Tissue.FAT] < ct[Tissue.MYOCARDIUM] and mr[Tissue.FAT] > mr[Tissue.MYOCARDIUM]
    assert ct[Tissue.LEFT_VENTRICLE] > ct[Tissue.RIGHT_VENTRICLE] > ct[Tissue.MYOCARDIUM]
