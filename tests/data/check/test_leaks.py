import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fedvox.data.cases.case import Case
from fedvox.data.check.case import CaseReport
from fedvox.data.check.leaks import equal_images, ordered, refuse_shared_patients
from fedvox.data.check.signature import Reorientation
from fedvox.data.check.site import check_site

NEW = "schmidt_otto"


def images(site) -> Path:
    return Path(site.root) / "images"


def plant(site, source: str, change) -> None:
    """Adds a case under validation whose image is a changed copy of another's."""
    volume = change(nib.load(images(site) / f"{source}.nii.gz"))
    nib.save(volume, images(site) / f"{NEW}.nii.gz")
    label = np.ones(volume.shape, np.uint8)
    nib.save(nib.Nifti1Image(label, volume.affine), Path(site.root) / f"labels/{NEW}.nii.gz")
    split = json.loads(Path(site.split).read_text())
    split["val"].append(NEW)
    Path(site.split).write_text(json.dumps(split))


def saved_anew(volume, data=None, affine=None):
    data = np.asarray(volume.dataobj) if data is None else data
    return nib.Nifti1Image(data, volume.affine if affine is None else affine)


def through_8_bits(volume):
    result = saved_anew(volume, np.asarray(volume.dataobj, np.float64))
    result.set_data_dtype(np.uint8)  # nibabel chooses slope and intercept
    return result


def reoriented(volume):
    return volume.as_reoriented(nib.io_orientation(np.diag([-1.0, 1, -1, 1])[[1, 2, 0, 3]]))


@pytest.mark.parametrize(
    "change",
    [
        saved_anew,
        lambda v: saved_anew(v, affine=np.diag([2.0, -2, 5, 1])),
        lambda v: saved_anew(v, np.asarray(v.dataobj).astype(np.float32)),
        lambda v: saved_anew(v, 2.5 * np.asarray(v.dataobj) - 40),
        lambda v: saved_anew(v, np.asarray(v.dataobj)[::-1, :, ::-1]),
        reoriented,
        through_8_bits,
    ],
)
def test_the_same_voxels_under_another_name_are_refused(site, report_of, change):
    plant(site, "miller_anna_1", change)
    report = check_site(site)
    (found,) = [p for p in report_of(site, report, NEW).problems if p.check == "twin"]
    first = report_of(site, report, "miller_anna_1")
    assert found.message == (
        f"its voxels are those of case {first.code} under 'train', it stands under 'val'"
    )
    assert not first.refused and report.failed
    assert sum(case.refused for case in report.cases) == 1


def test_a_compressed_copy_is_found_too(site, report_of):
    plant(site, "miller_anna_0", saved_anew)
    for part in ("images", "labels"):
        path = Path(site.root) / part / f"{NEW}.nii.gz"
        nib.load(path).to_filename(path.with_suffix(""))
        path.unlink()
    assert report_of(site, check_site(site), NEW).refused


def test_of_three_equal_cases_the_first_is_kept(site, checks):
    for name in ("miller_anna_1", "miller_anna_4"):
        for part in ("images", "labels"):
            folder = Path(site.root) / part
            shutil.copy(folder / "miller_anna_0.nii.gz", folder / f"{name}.nii.gz")
    report = check_site(site)
    assert [checks(case) for case in report.cases] == [
        [],
        [("twin", "FAIL")],
        [],
        [],
        [("twin", "FAIL")],
    ]
    first = report.cases[0].code
    assert report.cases[1].problems[0].message.endswith(f"of case {first} under 'train'")


def test_a_case_that_is_refused_anyway_gives_no_twin(site):
    folder = Path(site.root)
    for part in ("images", "labels"):
        name = folder / part / "miller_anna_4.nii.gz"
        shutil.copy(folder / part / "miller_anna_0.nii.gz", name)
    (folder / "labels/miller_anna_0.nii.gz").unlink()
    report = check_site(site)
    assert [case.refused for case in report.cases] == [True, False, False, False, False]


def test_a_file_that_is_gone_meanwhile_is_no_twin(tmp_path):
    assert not equal_images(tmp_path / "a.nii", tmp_path / "b.nii", Reorientation((0, 1, 2), ()))


def cases_of(*entries: tuple[str, str]) -> dict[str, list[Case]]:
    split: dict[str, list[Case]] = {"train": [], "val": [], "test": []}
    for number, (patient, part) in enumerate(entries):
        split[part].append(Case(f"{number}", patient, {}, (), part))
    return split


def test_a_patient_in_two_parts_of_the_data_sets_own_split_is_refused_in_the_later():
    placed = ordered(cases_of(("a", "train"), ("a", "train"), ("b", "val"), ("a", "test")))
    reports = [CaseReport(case.id, parts, "mr") for case, parts in placed]
    judged = refuse_shared_patients([case for case, _ in placed], reports)
    assert [report.refused for report in judged] == [False, False, False, True]
    message = judged[-1].problems[0].message
    assert message == "its patient stands under 'train' as well, it under 'test'"


def test_a_case_in_two_parts_is_read_once():
    case = Case("x", "x", {}, ())
    split = {"train": [case], "val": [], "test": [case]}
    assert ordered(split) == [(case, ("train", "test"))]
