import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from fedvox.data.images.nifti import check_same_grid
from fedvox.data.images.volumes import load_image, load_label, source_files
from fedvox.errors import DataError

SHAPE = (6, 5, 4)
ARRAY = np.arange(120, dtype=np.int16).reshape(SHAPE)


def test_file_is_read_as_nifti_and_folder_as_dicom(tmp_path, write_nifti, write_series):
    nifti = load_image(write_nifti(tmp_path / "a.nii.gz", ARRAY))
    dicom = load_image(write_series(tmp_path / "series", ARRAY))
    assert np.array_equal(nifti.data, ARRAY) and nifti.slices == ()
    assert sorted(dicom.data.ravel()) == sorted(ARRAY.ravel()) and len(dicom.slices) == 4


def test_constant_series_is_refused_as_a_constant_file_is(tmp_path, write_series):
    with pytest.raises(DataError, match="constant"):
        load_image(write_series(tmp_path, np.zeros(SHAPE, np.int16)))


def test_label_is_a_file_or_a_stack_of_png(tmp_path, write_nifti, write_series):
    label = (ARRAY % 3).astype(np.uint8)
    (tmp_path / "png").mkdir()
    for place in range(SHAPE[2]):
        Image.fromarray(label[:, :, place].T.copy()).save(tmp_path / "png" / f"{place}.png")
    image = load_image(write_series(tmp_path / "series", label.astype(np.int16)))
    assert np.array_equal(load_label(tmp_path / "png", image).data, image.data)
    file = load_label(write_nifti(tmp_path / "a.nii.gz", label), image)
    assert np.array_equal(file.data, image.data)  # with the axes of the series
    assert np.allclose(file.affine, image.affine, atol=1e-4)


@pytest.mark.parametrize("axes", ["RAS", "LAS", "LPI", "SRP"])
def test_label_of_a_series_may_have_its_axes_in_any_direction(
    tmp_path, write_nifti, write_series, axes
):
    series = load_image(write_series(tmp_path / "series", ARRAY))
    label = nib.Nifti1Image(series.data.astype(np.int16), series.affine)
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(label.affine), nib.orientations.axcodes2ornt(axes)
    )
    turned = label.as_reoriented(turn)
    path = write_nifti(tmp_path / "l.nii.gz", np.asarray(turned.dataobj), turned.affine)
    read = load_label(path, series)
    assert np.array_equal(read.data, series.data)
    check_same_grid(series, read)


def test_files_of_a_volume_are_itself_or_what_lies_in_its_folder(tmp_path):
    for name in ("b.dcm", "a.dcm"):
        (tmp_path / name).touch()
    assert source_files(tmp_path) == [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    assert source_files(tmp_path / "a.dcm") == [tmp_path / "a.dcm"]
