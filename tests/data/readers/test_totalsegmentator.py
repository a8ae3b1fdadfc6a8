import shutil
from pathlib import Path

import pytest

from fedvox.data.cases.splits import hash_bucket
from fedvox.data.check.site_problems import strays_of
from fedvox.data.readers.strays import FilesError
from fedvox.data.readers.totalsegmentator import read, strays
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import ConfigError, DataError

SPLITS = {"s0000": "train", "s0001": "val", "s0003": "test"}


def test_case_has_one_binary_mask_per_known_structure(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    cases = read(root, ["ct"])
    assert [case.id for case in cases] == list(SPLITS)
    assert cases[0].images == {"ct": root / "s0000" / "ct.nii.gz"}
    assert [(file.path.name, file.values) for file in cases[0].labels] == [
        ("liver.nii.gz", {1: "liver"}),
        ("spleen.nii.gz", {1: "spleen"}),
        ("urinary_bladder.nii.gz", {1: "bladder"}),
    ]


def test_missing_mask_is_not_annotated(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    (root / "s0001" / "segmentations" / "spleen.nii.gz").unlink()
    assert [case.annotated() for case in read(root, ["ct"])] == [
        {"liver", "spleen", "bladder"},
        {"liver", "bladder"},
        {"liver", "spleen", "bladder"},
    ]


def test_split_is_read_behind_a_byte_order_mark(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    assert (root / "meta.csv").read_bytes().startswith(b"\xef\xbb\xbfimage_id;")
    assert {case.id: case.split for case in read(root, ["ct"])} == SPLITS


def test_mri_release_gets_a_tenth_of_its_training_patients_for_validation(tmp_path):
    names = [f"s{number:04d}" for number in range(60)]
    for name in names:
        (tmp_path / name / "segmentations").mkdir(parents=True)
        (tmp_path / name / "mri.nii.gz").touch()
        (tmp_path / name / "segmentations" / "liver.nii.gz").touch()
    rows = [f"{name};{'test' if name > 's0049' else 'train'}" for name in names]
    (tmp_path / "meta.csv").write_text("\n".join(["image_id;split", *rows]))
    found = {case.id: case.split for case in read(tmp_path, ["mr"])}
    expected = {
        name: "test" if name > "s0049" else "val" if hash_bucket(name) < 10 else "train"
        for name in names
    }
    assert found == expected and "val" in found.values()


def test_release_without_meta_csv_has_no_split(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "mr", SPLITS)
    (root / "meta.csv").unlink()
    assert {case.split for case in read(root, ["mr"])} == {None}


def test_case_without_any_known_mask_is_left_out(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    for path in (root / "s0000" / "segmentations").iterdir():
        if path.name != "rib_left_1.nii.gz":
            path.unlink()
    assert [case.id for case in read(root, ["ct"])] == ["s0001", "s0003"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image_id,split\ns0000,train", "needs the columns image_id and split, separated by ';'"),
        ("image_id;age\ns0000;3", "needs the columns"),
        ("", "needs the columns"),
        ("image_id;split\ns0000;train", "does not list 2 of the 3 cases"),
        ("image_id;split\ns0000;train\ns0001;trial\ns0003;", "not train, val or test in 2 rows"),
    ],
)
def test_damaged_meta_csv_is_refused(tmp_path, trees, text, words):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    (root / "meta.csv").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read(root, ["ct"])
    assert "s000" not in str(caught.value)


def test_meta_csv_that_is_no_text_is_refused(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    (root / "meta.csv").write_bytes(b"image_id;split\ns0000;\xff\xfe")
    with pytest.raises(DataError, match="no table in UTF-8"):
        read(root, ["ct"])


def test_other_release_is_named(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "mr", SPLITS)
    with pytest.raises(DataError, match=r"no sNNNN/ct\.nii\.gz; it holds mr: correct"):
        read(root, ["ct"])


def test_other_folder_is_refused(tmp_path, trees):
    with pytest.raises(DataError, match=r"no sNNNN/mri\.nii\.gz; name the release's top"):
        read(tmp_path, ["mr"])
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    for name in SPLITS:
        (root / name / "segmentations").rename(root / name / "masks")
    with pytest.raises(DataError, match="no case has a mask"):
        read(root, ["ct"])


@pytest.mark.parametrize("modalities", [["t1"], ["ct", "mr"]])
def test_other_modality_or_both_are_refused(tmp_path, modalities):
    with pytest.raises(ConfigError):
        read(tmp_path, modalities)


def test_folders_that_are_no_cases_are_counted_whatever_they_are_called(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    assert strays(root, ["ct"]) == []
    for name in SPLITS:
        (root / name).rename(root / f"anna_{name}")
    (root / "anna_s0000" / "ct.nii.gz").unlink()
    shutil.rmtree(root / "anna_s0001" / "segmentations")
    (root / "anna_s0003" / "ct.nii.gz").rename(root / "anna_s0003" / "mri.nii.gz")
    (root / "scripts").mkdir()
    (root / ".hidden").mkdir()
    assert [(stray.kind, stray.paths) for stray in strays(root, ["ct"])] == [
        (
            "folders without ct.nii.gz or mri.nii.gz that this user may read",
            (root / "anna_s0000", root / "scripts"),
        ),
        ("folders with mri.nii.gz and without ct.nii.gz", (root / "anna_s0003",)),
        ("folders without a mask of a structure that FedVox knows", (root / "anna_s0001",)),
    ]


def test_unknown_masks_of_a_folder_that_is_no_case_are_told_without_their_names(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    folder = root / "s0000" / "segmentations"
    for path in folder.iterdir():
        path.unlink() if path.name != "liver.nii.gz" else path.rename(folder / "Leber.nii.gz")
    bare, unknown = strays(root, ["ct"])
    assert bare.paths == (root / "s0000",)
    assert unknown.paths == (folder / "Leber.nii.gz",)
    assert unknown.kind.endswith("(perhaps liver)") and "Leber" not in unknown.kind
    assert "rename" in unknown.remedy
    for name in ("s0001", "s0003"):
        shutil.rmtree(root / name)
    with pytest.raises(FilesError, match=r"segmentations \(perhaps liver\); ") as caught:
        read(root, ["ct"])
    assert caught.value.paths == unknown.paths
    unknown.paths[0].rename(folder / "liver.nii.gz")  # as the remedy says
    assert strays(root, ["ct"]) == [] and len(read(root, ["ct"])) == 1


def test_an_image_may_lie_there_without_compression(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    there = (root / "s0000" / "ct.nii.gz").rename(root / "s0000" / "ct.nii")
    assert read(root, ["ct"])[0].images == {"ct": there} and strays(root, ["ct"]) == []


def test_a_neighbour_that_nobody_may_read_is_no_case(tmp_path, trees, monkeypatch):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    (root / "lost+found").mkdir()
    exists = Path.exists

    def refuse(path):
        if path.parent.name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", refuse)
    assert len(read(root, ["ct"])) == 3
    assert [stray.paths for stray in strays(root, ["ct"])] == [(root / "lost+found",)]


def test_a_mask_of_what_nobody_annotated_is_part_of_a_case_and_alone_no_case(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    folder = root / "s0000" / "segmentations"
    shutil.copy(folder / "liver.nii.gz", folder / "ignore.nii.gz")
    alone = root / "s0001" / "segmentations"
    shutil.copytree(folder, root / "kept")
    for path in alone.iterdir():
        path.unlink()
    shutil.copy(root / "kept" / "ignore.nii.gz", alone)
    cases = {case.id: case for case in read(root, ["ct"])}
    assert cases["s0000"].ignores and "ignore" not in cases["s0000"].annotated()
    assert "s0001" not in cases


def test_masks_of_names_that_nobody_knows_are_kept_for_the_check(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    folder = root / "s0000" / "segmentations"
    shutil.copy(folder / "liver.nii.gz", folder / "splen.nii.gz")
    assert "splen" in next(case for case in read(root, ["ct"]) if case.id == "s0000").others


def test_the_cache_of_the_site_itself_beside_its_cases_is_no_stray(tmp_path, trees):
    root = trees.totalsegmentator(tmp_path, "ct", SPLITS)
    (root / "cache").mkdir()
    (root / "logs").mkdir()
    settings = {"dataset": "totalsegmentator", "root": str(root), "modalities": ("ct",)}
    own, other = (SiteSettings(**settings, cache=str(root / name)) for name in ("cache", "x"))
    assert [stray.paths for stray in strays_of(own)] == [(root / "logs",)]
    assert [stray.paths for stray in strays_of(other)] == [(root / "cache", root / "logs")]
