import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.check.case import CaseReport, examine_case
from fedvox.data.organs import IGNORE
from fedvox.finding import FAIL, WARN

CANARY = "miller_anna_1955"
SHAPE = (16, 18, 20)
AFFINE = np.diag([3.0, 3.0, 4.0, 1.0])


def image_array() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 900, SHAPE).astype(np.int16)


def label_array() -> np.ndarray:
    label = np.zeros(SHAPE, np.uint8)
    label[9:14, 3:9, 4:12] = 1
    label[2:6, 3:9, 4:12] = 2
    return label


@pytest.fixture
def case(tmp_path, write_nifti) -> Case:
    image = write_nifti(tmp_path / "images" / f"{CANARY}.nii.gz", image_array(), AFFINE)
    label = write_nifti(tmp_path / "labels" / f"{CANARY}.nii.gz", label_array(), AFFINE)
    return Case(CANARY, CANARY, {"mr": image}, (LabelFile(label, {1: "liver", 2: "spleen"}),))


@pytest.fixture
def examine(case) -> Callable[..., CaseReport]:
    """Damages image and label with a function, then examines; no name may be told."""

    def run(damage: Callable[[Path, Path], object] | None = None, **more) -> CaseReport:
        if damage:
            damage(case.images["mr"], case.labels[0].path)
        report = examine_case(case, more.get("organs", ()), more.get("pictures", False))
        text = " ".join(f"{problem.message} {problem.remedy}" for problem in report.problems)
        assert CANARY not in text and "/" not in text
        return report

    return run


def test_sound_case_has_no_problem_and_its_measures_are_in_ras(examine):
    report = examine()
    assert report.problems == () and not report.refused
    assert (report.shape, report.spacing, report.orientation) == (SHAPE, (3.0, 3.0, 4.0), "RAS")
    assert report.organs_ml == pytest.approx({"liver": 240 * 0.036, "spleen": 192 * 0.036})
    assert set(report.intensities) == set(report.signatures) == {"mr"}
    assert report.thumbnail is None


def test_measures_do_not_depend_on_how_the_axes_are_stored(case, examine):
    def turn(*paths: Path) -> None:
        for path in paths:
            change = nib.orientations.axcodes2ornt("PIR")
            start = nib.orientations.axcodes2ornt("RAS")
            nib.load(path).as_reoriented(
                nib.orientations.ornt_transform(start, change)
            ).to_filename(path)

    report = examine(turn)
    assert (report.shape, report.spacing, report.orientation) == (SHAPE, (3.0, 3.0, 4.0), "PIR")
    assert report.problems == ()


def test_thumbnail_is_cut_on_demand(examine):
    assert examine(pictures=True).thumbnail.organs.any()


def of_image(change: Callable[[np.ndarray], np.ndarray]):
    return lambda image, label: nib.save(nib.Nifti1Image(change(image_array()), AFFINE), image)


def of_label(change: Callable[[np.ndarray], np.ndarray], affine: np.ndarray = AFFINE):
    return lambda image, label: nib.save(nib.Nifti1Image(change(label_array()), affine), label)


def cut(image: Path, label: Path) -> None:
    image.write_bytes(image.read_bytes()[:-40])


def flipped_bit(image: Path, label: Path) -> None:
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 4
    image.write_bytes(bytes(content))


def without_orientation(image: Path, label: Path) -> None:
    content = bytearray(gzip.decompress(image.read_bytes()))
    content[252:256] = bytes(4)  # qform_code, sform_code
    image.write_bytes(gzip.compress(bytes(content)))


def with_nan(data: np.ndarray) -> np.ndarray:
    data = data.astype(np.float32)
    data[1, 2, 3] = np.nan
    return data


MIRROR = np.diag([-1.0, 1, 1, 1]) @ AFFINE
SHIFT = AFFINE + np.array([[0, 0, 0, 50.0], [0] * 4, [0] * 4, [0] * 4])


@pytest.mark.parametrize(
    ("damage", "check", "words"),
    [
        (cut, "image", "damaged or truncated"),
        (flipped_bit, "image", "damaged or truncated"),
        (lambda image, label: image.write_bytes(b""), "image", "is empty"),
        (lambda image, label: image.write_bytes(b"no volume" * 50), "image", "damaged"),
        (lambda image, label: image.unlink(), "image", "missing"),
        (lambda image, label: label.unlink(), "label", "missing"),
        (of_image(with_nan), "image", "1 voxels that are NaN"),
        (of_image(lambda d: np.stack([d, d], -1)), "image", "shape is"),
        (of_image(np.ones_like), "image", "constant"),
        (without_orientation, "image", "neither sform nor qform"),
        (of_image(lambda d: d - 1000), "modality", "as air in a CT"),
        (of_label(lambda d: d[:, :, 1:]), "grid", "shape"),
        (of_label(lambda d: d, MIRROR), "grid", "mm off its image"),
        (of_label(lambda d: d, SHIFT), "grid", "50.0 mm off its image"),
        (of_label(lambda d: 3 * d), "label", "label values"),
        (of_label(lambda d: 0.5 * d), "label", "fractions"),
    ],
)
def test_fault_is_refused_with_its_reason_and_a_remedy(examine, damage, check, words):
    report = examine(damage)
    (found,) = [problem for problem in report.problems if problem.status == FAIL]
    assert report.refused and found.check == check and words in found.message
    assert found.remedy and found.remedy not in found.message


def test_image_and_label_are_both_blamed(examine):
    def both(image: Path, label: Path) -> None:
        image.write_bytes(b"")
        label.unlink()

    assert [problem.check for problem in examine(both).problems] == ["label", "image"]


def test_label_without_any_known_organ_is_a_hint_not_a_refusal(examine):
    report = examine(of_label(np.zeros_like))
    (found,) = report.problems
    assert (found.check, found.status) == ("organs", WARN) and not report.refused
    assert "none of FedVox's organs" in found.message


def test_label_without_an_organ_of_the_job_is_a_hint(examine):
    (found,) = examine(organs=("pancreas",)).problems
    assert (found.status, found.message) == (WARN, "the label holds none of the job's organs")
    assert examine(organs=("pancreas", "liver")).problems == ()


def test_mirrored_label_on_the_right_grid_is_a_hint(examine):
    report = examine(of_label(lambda data: data[::-1]))
    assert [(p.check, p.status) for p in report.problems] == [("placement", WARN)]


def test_a_label_is_not_said_to_lie_in_air_of_an_image_without_units(tmp_path, write_nifti):
    rng = np.random.default_rng(0)
    data = np.where(label_array(), 45, -1000) + rng.normal(0, 15, SHAPE)
    data[7:9] = rng.normal(-100, 15, data[7:9].shape)
    image = write_nifti(tmp_path / "image.nii.gz", (data - 1024).astype(np.int16), AFFINE)
    label = write_nifti(tmp_path / "label.nii.gz", label_array(), AFFINE)
    case = Case("a", "a", {"ct": image}, (LabelFile(label, {1: "liver", 2: "spleen"}),))
    (found,) = examine_case(case, (), False).problems
    assert found.message.startswith("rescale intercept applied twice")


def test_an_error_of_another_library_is_a_refusal_without_its_message(case, monkeypatch):
    def fail(path: Path) -> None:
        raise RuntimeError(f"cannot decode {CANARY}")

    monkeypatch.setattr("fedvox.data.check.case.load_image", fail)
    (found,) = examine_case(case, (), False).problems
    assert found.status == FAIL and CANARY not in found.message
    assert "RuntimeError at " in found.message


def test_want_of_memory_is_not_the_cases_fault(case, monkeypatch):
    def fail(path: Path) -> None:
        raise MemoryError

    monkeypatch.setattr("fedvox.data.check.case.load_image", fail)
    with pytest.raises(MemoryError):
        examine_case(case, (), False)


def test_images_of_one_case_lie_on_one_grid(case, tmp_path, write_nifti):
    second = write_nifti(tmp_path / "t2.nii.gz", image_array()[:, :, 1:], AFFINE)
    both = Case("a", "a", {"t1": case.images["mr"], "t2": second}, case.labels)
    report = examine_case(both, (), False)
    (problem,) = report.problems
    assert problem.check == "grid" and problem.message.startswith("the t2 image's shape (")
    assert " is not the t1 image's (" in problem.message
    assert problem.remedy == "resample the t2 image onto the t1 image"
    assert set(report.signatures) == {"t1", "t2"}


def test_a_series_that_cannot_be_read_is_not_charged_to_its_label(
    tmp_path, write_series, write_nifti, checks
):
    series = write_series(tmp_path / "series", image_array(), AFFINE)
    for slices in list(series.iterdir())[2:]:
        slices.write_bytes(b"")
    label = write_nifti(tmp_path / "l.nii.gz", label_array(), AFFINE)
    file = LabelFile(label, {1: "liver", 2: "spleen"})
    report = examine_case(Case("a", "a", {"mr": series}, (file,)), (), False)
    assert checks(report) == [("image", FAIL)]


def test_a_series_with_a_label_of_other_axes_is_read_and_its_loss_is_noticed(
    tmp_path, write_series, write_nifti, checks
):
    def measured(dataset, place):
        dataset.Modality = "MR"

    def once_lossy(dataset, place):
        dataset.Modality, dataset.LossyImageCompression = "MR", "01"

    label = write_nifti(tmp_path / "l.nii.gz", label_array(), AFFINE)
    for name, change in (("plain", measured), ("lossy", once_lossy)):
        series = write_series(tmp_path / name, image_array(), AFFINE, change=change)
        file = LabelFile(label, {1: "liver", 2: "spleen"})
        report = examine_case(Case(name, name, {"mr": series}, (file,)), (), False)
        assert (("compression", WARN) in checks(report)) == (name == "lossy")
        assert not report.refused


def test_share_of_ignored_voxels_is_told_and_a_label_of_nothing_else_is_a_hint(case):
    labels = (LabelFile(case.labels[0].path, {1: "liver", 2: IGNORE}),)
    report = examine_case(replace(case, labels=labels), (), False)
    assert report.ignored == pytest.approx(192 / np.prod(SHAPE)) and report.problems == ()
    nib.save(nib.Nifti1Image(np.full(SHAPE, 2, np.uint8), AFFINE), case.labels[0].path)
    (problem,) = examine_case(replace(case, labels=labels), (), False).problems
    assert problem.status == WARN and "nobody annotated it" in problem.message


def test_overlap_is_a_share_of_the_smaller_mask(case, tmp_path, write_nifti):
    liver, spleen = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    liver[:8, :8, :8], spleen[6:10, :8, :8] = 1, 1
    files = [
        LabelFile(write_nifti(tmp_path / f"{name}.nii.gz", mask, AFFINE), {1: name})
        for name, mask in (("liver", liver), ("spleen", spleen))
    ]
    report = examine_case(replace(case, labels=tuple(files)), (), False)
    assert report.overlaps == {("liver", "spleen"): 0.5} and report.label_read


def mask_case(tmp_path, write_nifti, label: np.ndarray) -> Case:
    """One mask per organ, as TotalSegmentator has them: liver as given, the prostate's is empty."""
    image = write_nifti(tmp_path / "i.nii.gz", image_array(), AFFINE)
    masks = {"liver": label, "prostate_uterus": np.zeros(SHAPE, np.uint8)}
    files = [
        LabelFile(write_nifti(tmp_path / f"{organ}.nii.gz", mask, AFFINE), {1: organ})
        for organ, mask in masks.items()
    ]
    return Case("a", "a", {"mr": image}, tuple(files))


@pytest.mark.parametrize("organs", [(), ("prostate_uterus",), ("liver", "prostate_uterus")])
def test_an_empty_mask_beside_others_draws_no_word(tmp_path, write_nifti, organs):
    """The organ lies outside the field of view: there is nothing to mend."""
    liver = (label_array() == 1).astype(np.uint8)
    assert examine_case(mask_case(tmp_path, write_nifti, liver), organs, False).problems == ()


@pytest.mark.parametrize("organs", [(), ("prostate_uterus",)])
def test_masks_that_are_all_empty_do(tmp_path, write_nifti, organs):
    empty = np.zeros(SHAPE, np.uint8)
    (found,) = examine_case(mask_case(tmp_path, write_nifti, empty), organs, False).problems
    assert found.status == WARN and "look whether the segmentation got lost" in found.remedy


def test_images_of_one_case_may_have_other_axes(case, tmp_path):
    change = np.array([[2, -1], [0, 1], [1, -1]])
    first = nib.load(case.images["mr"])
    other = nib.Nifti1Image(np.asanyarray(first.dataobj)[:, :, ::-1], first.affine)
    both = Case("a", "a", {"t1": case.images["mr"], "t2": tmp_path / "t2.nii.gz"}, case.labels)
    nib.save(other.as_reoriented(change), tmp_path / "t2.nii.gz")
    assert examine_case(both, (), False).problems == ()
    nib.save(first.as_reoriented(change), tmp_path / "t2.nii.gz")
    (copy,) = examine_case(both, (), False).problems
    assert "the t2 image: it holds the voxels of the t1 image" in copy.message


def test_a_ct_series_whose_intercept_was_taken_away_is_told(tmp_path, write_series, write_nifti):
    rng = np.random.default_rng(0)
    scan = rng.normal(-1000, 15, SHAPE)
    scan[3:14] = rng.normal(40, 15, (11, *SHAPE[1:]))
    scan[3:5] = rng.normal(-100, 15, (2, *SHAPE[1:]))
    label = write_nifti(tmp_path / "l.nii.gz", label_array(), AFFINE)

    def without_intercept(dataset, place):
        del dataset.RescaleIntercept

    for name, change in (("sound", lambda dataset, place: None), ("lost", without_intercept)):
        series = write_series(tmp_path / name, scan.clip(-1024), AFFINE, change=change)
        file = LabelFile(label, {1: "liver", 2: "spleen"})
        report = examine_case(Case(name, name, {"ct": series}, (file,)), (), False)
        words = [problem.message for problem in report.problems if problem.status == FAIL]
        assert [word.split(":")[0] for word in words] == ["rescale intercept lost"] * (
            name == "lost"
        )
