import nibabel as nib
import numpy as np
import pytest

from fedvox.data.cases.splits import hash_bucket, split_cases
from fedvox.data.images.nifti import load_image
from fedvox.data.readers.acdc import read
from fedvox.errors import ConfigError, DataError


def test_both_frames_are_cases_of_one_patient(tmp_path, trees):
    root = trees.acdc(tmp_path, training=[1])
    cases = read(root, ["mr"])
    folder = root / "training" / "patient001"
    assert [case.id for case in cases] == ["patient001_frame01", "patient001_frame12"]
    assert {case.patient for case in cases} == {"patient001"}
    assert cases[1].images == {"mr": folder / "patient001_frame12.nii.gz"}
    assert cases[1].labels[0].path == folder / "patient001_frame12_gt.nii.gz"
    assert cases[1].labels[0].values == {
        1: "heart_right_ventricle",
        2: "heart_myocardium",
        3: "heart_left_ventricle",
    }


def test_frames_are_those_of_info_cfg_alone(tmp_path, trees):
    root = trees.acdc(tmp_path, training=[1])
    folder = root / "training" / "patient001"
    for kind in ("", "_gt"):
        source = folder / f"patient001_frame12{kind}.nii.gz"
        source.rename(folder / f"patient001_frame08{kind}.nii.gz")
    (folder / "patient001_frame30.nii.gz").touch()
    (folder / "Info.cfg").write_text("ED: 01\r\nES: 8\r\nGroup: NOR\r\n")
    assert [case.id[-2:] for case in read(root, ["mr"])] == ["01", "08"]


def test_testing_is_the_test_and_a_tenth_of_training_validates(tmp_path, trees):
    numbers = range(1, 31)
    for number in numbers:
        folder = tmp_path / "training" / f"patient{number:03d}"
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text("ED: 1\nES: 12\n")
    cases = read(trees.acdc(tmp_path, testing=[101]), ["mr"])
    split = {
        part: {case.patient for case in found}
        for part, found in split_cases(cases, "dataset").items()
    }
    names = [f"patient{number:03d}" for number in numbers]
    assert split["val"] == {name for name in names if hash_bucket(name) < 10}
    assert split["val"]
    assert split["test"] == {"patient101"}
    assert split["train"] == set(names) - split["val"]


def test_volumes_may_be_uncompressed(tmp_path, trees, write_nifti):
    root = trees.acdc(tmp_path, training=[1])
    folder = root / "training" / "patient001"
    (folder / "patient001_frame01.nii.gz").unlink()
    plain = write_nifti(folder / "patient001_frame01.nii", trees.image("mr"))
    assert read(root, ["mr"])[0].images["mr"] == plain


def test_sform_without_the_voxel_size_does_not_shrink_the_heart(tmp_path, trees):
    root = trees.acdc(tmp_path, training=[1])
    path = read(root, ["mr"])[0].images["mr"]
    image = nib.Nifti1Image(trees.image("mr"), np.diag([-1.4, -1.4, 10.0, 1.0]))
    image.set_qform(np.diag([-1.4, -1.4, 10.0, 1.0]), 1)
    image.header["srow_x"], image.header["srow_y"] = [-1, 0, 0, 0], [0, -1, 0, 0]
    image.header["srow_z"], image.header["sform_code"] = [0, 0, 1, 0], 1
    nib.save(nib.Nifti1Image(image.dataobj, None, image.header), path)
    assert np.allclose(nib.load(path).header.get_sform()[2, 2], 1.0)
    assert load_image(path).spacing == pytest.approx((1.4, 1.4, 10.0), rel=1e-6)


@pytest.mark.parametrize("text", [None, "", "ED: 1\nGroup: DCM\n", "ED: one\nES: 12\n"])
def test_patient_without_frame_numbers_is_refused(tmp_path, trees, text):
    root = trees.acdc(tmp_path, training=[1, 2])
    path = root / "training" / "patient002" / "Info.cfg"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DataError, match=r"1 of 2 patients have no Info\.cfg") as caught:
        read(root, ["mr"])
    assert "patient002" not in str(caught.value)


def test_other_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="no training/patientNNN; name ACDC's top folder"):
        read(tmp_path, ["mr"])


@pytest.mark.parametrize("modalities", [["ct"], ["mr", "t1"]])
def test_other_modality_is_refused(tmp_path, modalities):
    with pytest.raises(ConfigError, match="ACDC holds mr, the site file lists"):
        read(tmp_path, modalities)
