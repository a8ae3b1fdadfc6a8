import pytest

from fedvox.data.cases.channels import in_job_order
from fedvox.data.readers.brats import read, strays
from fedvox.errors import ConfigError, DataError

ALL = ["t1", "t1ce", "t2", "flair"]
OLD = {1: "tumour_necrotic", 2: "tumour_oedema", 4: "tumour_enhancing"}
NEW = {1: "tumour_necrotic", 2: "tumour_oedema", 3: "tumour_enhancing", 4: "resection_cavity"}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("place", ["", "HGG", "MICCAI_BraTS2020_TrainingData"])
def test_old_names_are_found_at_any_depth(tmp_path, trees, ending, place):
    folder = trees.brats(tmp_path / place / "BraTS20_Training_001", ending=ending)
    (case,) = read(tmp_path, ALL)
    assert (case.id, case.patient) == ("BraTS20_Training_001", "BraTS20_Training_001")
    assert case.images == {name: folder / f"{folder.name}_{name}{ending}" for name in ALL}
    assert case.labels[0].path == folder / f"{folder.name}_seg{ending}"
    assert case.labels[0].values == OLD


def test_high_and_low_grade_cases_are_one_set(tmp_path, trees):
    trees.brats(tmp_path / "HGG" / "Brats18_CBICA_AAB_1")
    trees.brats(tmp_path / "LGG" / "Brats18_TCIA09_141_1")
    assert [case.id for case in read(tmp_path, ["t2"])] == [
        "Brats18_CBICA_AAB_1",
        "Brats18_TCIA09_141_1",
    ]


def test_new_names_have_their_own_suffixes_and_values(tmp_path, trees):
    folder = trees.brats(tmp_path / "BraTS-GLI-00000-001", separator="-")
    (case,) = read(tmp_path, ALL)
    assert [path.name for path in case.images.values()] == [
        f"BraTS-GLI-00000-001-{suffix}.nii.gz" for suffix in ("t1n", "t1c", "t2w", "t2f")
    ]
    assert case.labels[0].path.parent == folder and case.labels[0].values == NEW


def test_values_follow_the_names_and_not_the_voxels(tmp_path, trees, write_nifti):
    folder = trees.brats(tmp_path / "BraTS2021_00000")
    write_nifti(folder / "BraTS2021_00000_seg.nii.gz", trees.label([1, 2, 3]))
    assert read(tmp_path, ["t1"])[0].labels[0].values == OLD


def test_time_points_of_one_person_share_the_patient(tmp_path, trees):
    for point in ("000", "001"):
        trees.brats(tmp_path / f"BraTS-GLI-00005-{point}", separator="-")
    cases = read(tmp_path, ["flair"])
    assert {case.patient for case in cases} == {"BraTS-GLI-00005"} and len(cases) == 2


@pytest.mark.parametrize("modalities", [["flair"], ["t2", "t1"], ALL[::-1]])
def test_channels_stand_in_the_order_of_the_site_file(tmp_path, trees, modalities):
    trees.brats(tmp_path / "BraTS2021_00000")
    (case,) = read(tmp_path, modalities)
    assert list(case.images) == modalities and case.modality == "+".join(modalities)


def test_odd_mask_of_case_355_is_found(tmp_path, trees):
    folder = trees.brats(tmp_path / "BraTS20_Training_355", ending=".nii")
    (folder / "BraTS20_Training_355_seg.nii").rename(folder / "W39_1998.09.19_Segm.nii")
    (case,) = read(tmp_path, ["t1"])
    assert case.labels[0].path == folder / "W39_1998.09.19_Segm.nii"


def test_cases_without_a_mask_are_left_out(tmp_path, trees):
    trees.brats(tmp_path / "BraTS2021_00000")
    trees.brats(tmp_path / "BraTS2021_00001", seg="")
    assert [case.id for case in read(tmp_path, ["t1"])] == ["BraTS2021_00000"]


def test_case_that_lacks_a_modality_stays_so_that_it_is_counted(tmp_path, trees):
    folder = trees.brats(tmp_path / "BraTS2021_00000")
    (folder / "BraTS2021_00000_t2.nii.gz").unlink()
    (case,) = read(tmp_path, ["t2"])
    assert case.images["t2"] == folder / "BraTS2021_00000_t2.nii.gz"


def test_only_what_the_site_file_lists_is_read_and_each_case_has_what_lies_there(tmp_path, trees):
    """Other files do not matter: a site need not hold what it does not list."""
    for number, lost in enumerate((("t1ce", "t2"), ("t1ce", "t2", "flair"), ("t1",))):
        folder = trees.brats(tmp_path / f"BraTS2021_0000{number}")
        for kind in lost:
            (folder / f"{folder.name}_{kind}.nii.gz").unlink()
    arranged = [in_job_order(case, ALL) for case in read(tmp_path, ["flair", "t1"])]
    assert [case.modality for case in arranged] == ["t1+flair", "t1", "flair"]


def test_linked_cases_are_found(tmp_path, trees):
    trees.brats(tmp_path / "elsewhere" / "BraTS2021_00000")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "BraTS2021_00000").symlink_to(tmp_path / "elsewhere" / "BraTS2021_00000")
    assert len(read(tmp_path / "root", ["t1"])) == 1


def test_case_twice_is_refused_without_its_name(tmp_path, trees):
    for place in ("HGG", "LGG"):
        trees.brats(tmp_path / place / "BraTS20_Training_001")
    with pytest.raises(DataError, match="1 cases repeat another's name") as caught:
        read(tmp_path, ["t1"])
    assert "Training_001" not in str(caught.value)


def test_volume_with_both_endings_is_refused(tmp_path, trees):
    for ending in (".nii", ".nii.gz"):
        trees.brats(tmp_path / "BraTS20_Training_001", ending=ending)
    with pytest.raises(DataError, match=r"5 volumes lie there as \.nii and as \.nii\.gz"):
        read(tmp_path, ["t1"])


def test_paediatric_set_is_refused_since_its_values_are_others(tmp_path, trees):
    trees.brats(tmp_path / "BraTS-PED-00001-000", separator="-")
    with pytest.raises(DataError, match=r'BraTS-PED gives the values other meanings.*"plain"'):
        read(tmp_path, ["t1"])


def test_folder_without_cases_or_masks_is_refused(tmp_path, trees):
    with pytest.raises(DataError, match=r"no NAME_t1\.nii or NAME-t1n\.nii at any depth"):
        read(tmp_path, ["t1"])
    trees.brats(tmp_path / "BraTS2021_00001", seg="")
    with pytest.raises(DataError, match="none of 1 cases has a mask; name the training folder"):
        read(tmp_path, ["t1"])


@pytest.mark.parametrize("modalities", [["ct"], ["t1", "mr"], []])
def test_other_modality_is_refused(tmp_path, modalities):
    with pytest.raises(ConfigError, match="BraTS holds t1, t1ce, t2, flair"):
        read(tmp_path, modalities)


@pytest.mark.parametrize(
    "odd",
    [
        "BraTS-GLI-00001-000-t1.nii.gz",
        "BraTS-GLI-00001-000_t1.nii.gz",
        "BraTS-GLI-00001-000-T1N.nii.gz",
        "BraTS-GLI-00002-000-t1n.nii.gz",
        "t1n.nii.gz",
    ],
)
def test_an_image_of_another_name_is_told_and_not_only_missing(tmp_path, trees, odd):
    trees.brats(tmp_path / "BraTS-GLI-00000-000", separator="-")
    folder = trees.brats(tmp_path / "BraTS-GLI-00001-000", separator="-")
    assert strays(tmp_path) == []
    (folder / "BraTS-GLI-00001-000-t1n.nii.gz").rename(folder / odd)
    (stray,) = strays(tmp_path)
    assert stray.paths == (folder / odd,) and "NAME-{t2f,t1n,t1c,t2w,seg}" in stray.remedy
    case = read(tmp_path, ALL)[1]
    assert not case.images["t1"].exists()


def test_folders_of_cases_without_a_mask_are_told_apart_from_odd_volumes(tmp_path, trees):
    trees.brats(tmp_path / "BraTS2021_00000")
    bare = trees.brats(tmp_path / "BraTS2021_00001")
    (bare / "BraTS2021_00001_seg.nii.gz").unlink()
    (bare / "BraTS2021_00001_t1.nii.gz").rename(bare / "BraTS2021_00001_pd.nii.gz")
    alone, odd = strays(tmp_path)
    assert alone.paths == (bare,) and odd.paths == (bare / "BraTS2021_00001_pd.nii.gz",)
