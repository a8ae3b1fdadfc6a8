import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from fedvox.phantoms.brain.anatomy import draw_patient
from fedvox.phantoms.brain.tissue import ORGANS, Tissue
from fedvox.phantoms.grid import oriented_grid
from fedvox.phantoms.layered import LayeredPatient
from fedvox.phantoms.volume import tissue_volume

CORE = (Tissue.NECROTIC, Tissue.ENHANCING)
BRAIN = (Tissue.GREY, Tissue.WHITE, Tissue.GLIOSIS, *CORE, Tissue.OEDEMA)


def whole(seed: int, spacing: float = 5.0) -> np.ndarray:
    grid = oriented_grid([round(200 / spacing)] * 3, [spacing] * 3, [0.0] * 3, "RAS")
    return tissue_volume(draw_patient(seed), grid.shape, grid.affine)


def around_the_core(patient: LayeredPatient) -> np.ndarray:
    """2 mm voxels around the core; the warp moves it by some mm only."""
    _, tumour = patient.layers
    low, high = tumour.rim.bounds()
    turned = patient.warp.turn.T @ ((low + high) / 2)
    lengths = np.ceil((high - low + 24) / 2).astype(int)
    grid = oriented_grid(lengths, [2.0] * 3, turned, "RAS")
    return tissue_volume(patient, grid.shape, grid.affine)


def skin(mask: np.ndarray) -> np.ndarray:
    """The voxels that share a face with a mask."""
    return ndimage.binary_dilation(mask) & ~mask


@settings(max_examples=12)
@given(st.integers(0, 2**40))
def test_the_parts_of_a_tumour_are_nested(seed):
    tissues = around_the_core(draw_patient(seed))
    necrotic, core = tissues == Tissue.NECROTIC, np.isin(tissues, CORE)
    assert necrotic.any() and (tissues == Tissue.ENHANCING).any()
    assert (tissues[skin(necrotic)] == Tissue.ENHANCING).all()
    around = tissues[skin(core)]
    assert np.isin(around, (Tissue.OEDEMA, Tissue.FLUID)).all()
    assert (around == Tissue.OEDEMA).mean() > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_every_tissue_has_a_plausible_volume(seed):
    millilitres = np.bincount(whole(seed).ravel(), minlength=len(Tissue)) * 0.125
    assert 750 < millilitres[list(BRAIN)].sum() < 1600
    assert 0.2 < millilitres[Tissue.GREY] / millilitres[Tissue.WHITE] < 2
    assert 40 < millilitres[Tissue.FLUID] < 500
    assert millilitres[Tissue.NECROTIC] > 0.5 and millilitres[Tissue.ENHANCING] > 3
    assert 10 < millilitres[Tissue.OEDEMA] < 350
    assert min(millilitres[[Tissue.SKULL, Tissue.SCALP]]) > 200


def test_tumours_take_either_side_and_keep_off_the_surface():
    patients = [draw_patient(seed).layers for seed in range(30)]
    centres = np.array([tumour.rim.centre for _, tumour in patients])
    assert 8 < (centres[:, 0] > 0).sum() < 22
    for head, tumour in patients:
        low, high = tumour.rim.bounds()
        corners = np.array([[low[axis], high[axis]] for axis in range(3)], np.float32)
        middle = np.repeat(tumour.rim.centre[:, None], 6, axis=1)
        middle[np.arange(3).repeat(2), np.arange(6)] = corners.ravel()
        assert head.depth(middle).min() > 0


def test_ids_of_the_tumour_follow_the_list_of_organs():
    names = [f"TUMOUR_{tissue.name}".lower() for tissue in list(Tissue)[1:4]]
    assert tuple(names) == ORGANS


def test_equal_seeds_give_equal_patients_and_others_differ():
    assert np.array_equal(whole(1, 10), whole(1, 10))
    assert (whole(1, 10) != whole(2, 10)).mean() > 0.05


def test_a_patient_is_the_same_on_a_flipped_grid():
    expected = whole(5, 10)
    grid = oriented_grid([20] * 3, [10.0] * 3, [0.0] * 3, "LPS")
    flipped = tissue_volume(draw_patient(5), grid.shape, grid.affine)
    assert np.array_equal(flipped[::-1, ::-1], expected)
