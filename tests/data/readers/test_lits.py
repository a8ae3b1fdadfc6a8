import pytest

from fedvox.data.readers.lits import read
from fedvox.errors import ConfigError, DataError


def test_pairs_are_made_by_number_across_batches(tmp_path, trees):
    root = trees.lits(tmp_path, 0, 2, 9, 10, 101)
    cases = read(root, ["ct"])
    assert [case.id for case in cases] == [f"volume-{n}" for n in (0, 2, 9, 10, 101)]
    for case in cases:
        number = case.id.removeprefix("volume-")
        assert case.images["ct"].name == f"volume-{number}.nii"
        assert case.labels[0].path.name == f"segmentation-{number}.nii"
        assert case.labels[0].values == {1: "liver", 2: "liver_tumour"}


def test_volume_and_segmentation_may_lie_in_different_folders(tmp_path, trees):
    root = trees.lits(tmp_path, 3)
    (root / "masks").mkdir()
    for path in root.rglob("segmentation-3.nii"):
        path.rename(root / "masks" / "segmentation-3.nii")
    (case,) = read(root, ["ct"])
    assert case.images["ct"].is_file() and case.labels[0].path.is_file()


def test_test_volumes_are_left_out(tmp_path, trees, write_nifti):
    root = trees.lits(tmp_path, 1)
    write_nifti(root / "test-volume-0.nii", trees.image("ct"))
    assert [case.id for case in read(root, ["ct"])] == ["volume-1"]


@pytest.mark.parametrize("kind", ["volume", "segmentation"])
def test_incomplete_pair_stays_a_case_so_that_it_is_counted(tmp_path, trees, kind):
    root = trees.lits(tmp_path, 1, 2)
    (root / "Training Batch 1" / f"{kind}-2.nii").unlink()
    cases = read(root, ["ct"])
    assert [case.id for case in cases] == ["volume-1", "volume-2"]
    paths = cases[1].images["ct"], cases[1].labels[0].path
    assert [path.is_file() for path in paths] == [kind != "volume", kind != "segmentation"]
    assert {path.name for path in paths} == {"volume-2.nii", "segmentation-2.nii"}


def test_number_twice_is_refused(tmp_path, trees):
    root = trees.lits(tmp_path, 1)
    trees.lits(tmp_path / "copy", 1)
    with pytest.raises(DataError, match="1 volume numbers stand twice; keep one of each"):
        read(root, ["ct"])


def test_folder_without_segmentations_is_refused(tmp_path):
    (tmp_path / "volume-1.nii").touch()
    with pytest.raises(DataError, match=r"no segmentation-N\.nii; name the training batches"):
        read(tmp_path, ["ct"])


@pytest.mark.parametrize("modalities", [["mr"], ["ct", "t1"]])
def test_other_modality_is_refused(tmp_path, modalities):
    with pytest.raises(ConfigError, match="LiTS holds ct, the site file lists"):
        read(tmp_path, modalities)
