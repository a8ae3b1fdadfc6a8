import nibabel as nib
import numpy as np
import pytest

from fedvox.data.check.thumbnail import PIXELS, thumbnail
from fedvox.data.images.nifti import Volume

SHAPE = (30, 20, 10)


def volume(axes: str) -> tuple[Volume, np.ndarray]:
    """A scan whose values rise to the right, with a box labelled in slice 7, stored as ``axes``."""
    image = np.broadcast_to(np.arange(30.0, dtype=np.float32)[:, None, None], SHAPE)
    organs = np.zeros(SHAPE, np.uint8)
    organs[20:25, 5:10, 7] = 3
    affine = np.diag([2.0, 3.0, 5.0, 1.0])
    change = nib.orientations.axcodes2ornt(axes)
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), change)
    stored = nib.apply_orientation(image, turn)
    affine = affine @ nib.orientations.inv_ornt_aff(turn, SHAPE)
    return Volume(stored, affine, nib.Nifti1Header()), nib.apply_orientation(organs, turn)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAR", "PIR"])
def test_slice_shows_the_label_in_ras_with_square_pixels(axes):
    image, organs = volume(axes)
    small = thumbnail(image, organs, "mr")
    assert small.grey.shape == small.organs.shape == (PIXELS, PIXELS)  # 60 mm along both axes
    assert small.grey.dtype == small.organs.dtype == np.uint8
    assert (np.diff(small.grey[:, 0].astype(int)) >= 0).all()
    rows, columns = np.nonzero(small.organs)
    assert set(np.unique(small.organs)) == {0, 3}
    assert rows.min() / PIXELS == pytest.approx(20 / 30, abs=0.02)
    assert columns.max() / PIXELS == pytest.approx(10 / 20, abs=0.02)


def test_without_a_label_the_middle_is_shown():
    image, _ = volume("RAS")
    marked = np.array(image.data)
    marked[:, :, 5] += 1000
    small = thumbnail(Volume(marked, image.affine, image.header), None, "ct")
    assert (small.grey == 255).all() and not small.organs.any()


def test_ct_is_windowed_in_hu():
    data = np.zeros((4, 4, 4), np.float32)
    data[0], data[1], data[2] = -1000, 40, 1000
    small = thumbnail(Volume(data, np.eye(4), nib.Nifti1Header()), None, "ct")
    steps = small.grey[:: PIXELS // 4, 0][:3].tolist()
    assert steps == [0, 127, 255]
