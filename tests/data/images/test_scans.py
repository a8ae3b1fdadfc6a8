from pathlib import Path

import pytest

from fedvox.data.images.scans import Scan, find_scans, is_series
from fedvox.errors import ConfigError

DICOM = bytes(128) + b"DICM"


def fill(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_nifti_files_and_series_are_listed_by_name(tmp_path):
    fill(tmp_path, **{"b.nii": b"", "a.x.nii.gz": b"", "notes.txt": b"", ".hidden.nii": b""})
    fill(tmp_path / "c.1", image=DICOM)
    fill(tmp_path / "empty")
    scans, others = find_scans(tmp_path)
    assert scans == [
        Scan("a.x", tmp_path / "a.x.nii.gz"),
        Scan("b", tmp_path / "b.nii"),
        Scan("c.1", tmp_path / "c.1"),
    ]
    assert others == [tmp_path / "empty", tmp_path / "notes.txt"]


def test_an_ending_in_capitals_makes_a_scan_too(tmp_path):
    fill(tmp_path, **{"A.NII": b"", "b.nii.GZ": b""})
    scans, others = find_scans(tmp_path)
    assert [scan.name for scan in scans] == ["A", "b"] and not others


def test_a_folder_called_like_a_file_is_no_scan(tmp_path):
    fill(tmp_path / "a.nii.gz")
    fill(tmp_path, **{"b.nii": b""})
    scans, others = find_scans(tmp_path)
    assert [scan.name for scan in scans] == ["b"]
    assert others == [tmp_path / "a.nii.gz"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"IM0001": DICOM}, True),
        ({"IM0001.dcm": DICOM, "readme.txt": b"x" * 200}, True),
        ({"DICOMDIR": DICOM}, False),
        ({".IM0001": DICOM}, False),
        ({"scan.nii.gz": b"x" * 200}, False),
        ({}, False),
    ],
)
def test_a_series_is_a_folder_with_dicom_files_of_its_own(tmp_path, files, expected):
    assert is_series(fill(tmp_path, **files)) is expected


def test_dicom_files_further_down_make_no_series(tmp_path):
    fill(tmp_path / "below", image=DICOM)
    assert not is_series(tmp_path)
    assert not is_series(tmp_path / "below" / "image")


def test_a_folder_without_scans_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="neither NIfTI files nor folders of DICOM series"):
        find_scans(tmp_path)


def test_two_scans_of_one_name_are_an_error(tmp_path):
    fill(tmp_path, **{"a.nii": b"", "a.nii.gz": b""})
    with pytest.raises(ConfigError, match="two scans are called a; rename or move one"):
        find_scans(tmp_path)
