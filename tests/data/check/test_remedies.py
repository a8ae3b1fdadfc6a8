"""Each fault of an image's file is planted, named with its reason, and mended as the remedy says.

A fault is a function on the paths of image and label; so is its remedy, taken literally. Afterwards
nothing is left to say of the case.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fedvox.data.check.problem import FAIL, WARN
from fedvox.data.check.site import SiteReport, check_site
from fedvox.data.site import SiteSettings

Change = Callable[[Path, Path], object]


@dataclass(frozen=True)
class Fault:
    """What is planted, what the check says, and what is done about it."""

    plant: Change
    check: str
    words: str
    remedy: str
    mend: Change
    status: str = FAIL


def stored(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nib.load(path)
    return np.asarray(image.dataobj).astype(np.float64), image.affine


def save(path: Path, data: np.ndarray, affine: np.ndarray, kind: type = np.float32) -> None:
    nib.save(nib.Nifti1Image(data.astype(kind), affine), path)


def voxels(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def plant(image: Path, label: Path) -> None:
        data, affine = stored(image)
        save(image, change(data), affine)

    return plant


def circle(data: np.ndarray, value: float) -> np.ndarray:
    """Pads what lies outside a circle in plane."""
    x, y, _ = np.indices(data.shape)
    middle = (np.array(data.shape[:2]) - 1) / 2
    far = ((x - middle[0]) / middle[0]) ** 2 + ((y - middle[1]) / middle[1]) ** 2 > 1
    return np.where(far, value, data)


def fields(both: bool = True, **values: object) -> Change:
    """Raw fields of the header, of image and label or of the image alone."""

    def plant(image: Path, label: Path) -> None:
        for path in (image, label):
            volume = nib.load(path)
            content = nib.Nifti1Image(np.asarray(volume.dataobj), None, volume.header).to_bytes()
            header = nib.Nifti1Header(content[:348], check=False)
            for name, value in values.items() if both or path == image else ():
                header.structarr[name] = value
            plain = path.with_name(path.name.removesuffix(".gz"))
            plain.write_bytes(header.binaryblock + content[348:])
            path.unlink()

    return plant


def plain(path: Path) -> Path:
    return path if path.exists() else path.with_name(path.name.removesuffix(".gz"))


def again(image: Path, label: Path) -> None:
    """Exports both again: the copies beside the site are what the scanner's archive holds."""
    for path in (image, label):
        plain(path).unlink()
        shutil.copy(path.parents[2] / "archive" / path.parent.name / path.name, path)


def set_fields(**values: object) -> Change:
    def mend(image: Path, label: Path) -> None:
        for path in (plain(image), plain(label)):
            content = path.read_bytes()
            header = nib.Nifti1Header(content[:348], check=False)
            for name, value in values.items():
                header.structarr[name] = value
            path.write_bytes(header.binaryblock + content[348:])

    return mend


def qform(change: Callable[[np.ndarray], np.ndarray], both: bool = True) -> Change:
    def plant(image: Path, label: Path) -> None:
        for path in (image, label) if both else (label,):
            volume = nib.load(path)
            volume = nib.Nifti1Image(np.asarray(volume.dataobj), volume.affine)
            volume.set_qform(change(volume.affine), 1)
            volume.set_sform(volume.affine, 1)
            nib.save(volume, path)

    return plant


def one_form(image: Path, label: Path) -> None:
    """Stores the sform as both."""
    for path in (image, label):
        volume = nib.load(path)
        volume = nib.Nifti1Image(np.asarray(volume.dataobj), volume.affine)
        volume.set_sform(volume.affine, 1)
        volume.set_qform(volume.affine, 1)
        nib.save(volume, path)


def shifted(affine: np.ndarray) -> np.ndarray:
    moved = affine.copy()
    moved[2, 3] += 100
    return moved


def mirrored(affine: np.ndarray) -> np.ndarray:
    return np.diag([-1.0, 1, 1, 1]) @ affine


def rotated(affine: np.ndarray) -> np.ndarray:
    return nib.affines.from_matvec(nib.eulerangles.euler2mat(z=0.5)) @ affine


def label_affine(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def plant(image: Path, label: Path) -> None:
        data, affine = stored(label)
        save(label, data, change(affine), np.uint8)

    return plant


def not_compressed(image: Path, label: Path) -> None:
    volume = nib.load(image)
    image.write_bytes(nib.Nifti1Image(np.asarray(volume.dataobj), volume.affine).to_bytes())


def renamed(image: Path, label: Path) -> None:
    """To .nii; the label is found by its image's name."""
    image.rename(image.with_suffix(""))
    volume = nib.load(label)
    nib.save(volume, label.with_suffix(""))


def coloured(image: Path, label: Path) -> None:
    data, affine = stored(image)
    colours = np.zeros(data.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, affine), image)


EXPORT = "export"
SAME = "store the form that shows the patient rightly as both"
UNITS = "so they are no HU but were scaled"
FAULTS: dict[str, Fault] = {
    "intercept lost, circle at -2000": Fault(
        voxels(lambda d: circle((d + 1024).clip(0), -2000)),
        "modality",
        "rescale intercept lost: tissue lies around 1024",
        "subtract 1024",
        voxels(lambda d: d - 1024),
    ),
    "intercept lost": Fault(
        voxels(lambda d: (d + 1024).clip(0)),
        "modality",
        "rescale intercept lost",
        "subtract 1024",
        voxels(lambda d: d - 1024),
    ),
    "intercept applied twice": Fault(
        voxels(lambda d: circle(d - 1024, -3024)),
        "modality",
        "rescale intercept applied twice",
        "add 1024",
        voxels(lambda d: d + 1024),
    ),
    "-1 to 1": Fault(
        voxels(lambda d: circle(d.clip(-1000, 1000) / 1000, -1000)),
        "modality",
        UNITS,
        "export the scan in HU",
        again,
    ),
    "z-scores": Fault(
        voxels(lambda d: circle((d - d.mean()) / d.std(), -9)),
        "modality",
        UNITS,
        "export the scan in HU",
        again,
    ),
    "8 bits": Fault(
        voxels(lambda d: circle(np.rint((d.clip(-160, 240) + 160) / 400 * 255), -1)),
        "modality",
        "grey values from 0 to 255",
        "export it in HU",
        again,
    ),
    "voxel size 0": Fault(
        fields(pixdim=[1, 12, 12, 0, 1, 1, 1, 1], sform_code=0, qform_code=1),
        "image",
        "voxel size [12.0, 12.0, 0.0] mm is not plausible",
        "export the scan again",
        again,
    ),
    "metres that are mm": Fault(
        fields(xyzt_units=1),
        "image",
        "is not plausible",
        "set xyzt_units to mm",
        set_fields(xyzt_units=2),
    ),
    "slope 0 with an intercept": Fault(
        fields(both=False, scl_slope=0, scl_inter=-3),
        "image",
        "an intercept of -3 and a slope of 0",
        "set scl_slope to 1",
        set_fields(scl_slope=1),
    ),
    "mirrored qform": Fault(
        qform(mirrored), "orientation", "mirrored", SAME, one_form, status=WARN
    ),
    "rotated qform": Fault(
        qform(rotated), "orientation", "rotated by 29 degrees", SAME, one_form, status=WARN
    ),
    "qform 100 mm apart": Fault(
        qform(shifted), "orientation", "shifted by 100.0 mm", SAME, one_form, status=WARN
    ),
    "qform of the label mirrored": Fault(
        qform(mirrored, both=False), "orientation", "of the label", SAME, one_form, status=WARN
    ),
    "label 100 mm off": Fault(
        label_affine(shifted), "grid", "100.0 mm off its image", "export it again", again
    ),
    "not compressed": Fault(
        not_compressed, "image", "not compressed, as .gz in its name says", "rename", renamed
    ),
    "coloured": Fault(coloured, "image", "colour or complex", "save the grey values", again),
}


@pytest.fixture
def folder(tmp_path: Path, phantom_site: Callable[[str], Path]) -> SiteSettings:
    """One case of a CT phantom, and a copy as the archive has it."""
    source = phantom_site("ct")
    name = min((source / "images").iterdir()).name
    for root in (tmp_path / "site", tmp_path / "archive"):
        for part in ("images", "labels"):
            (root / part).mkdir(parents=True)
            shutil.copy(source / part / name, root / part / "a.nii.gz")
    shutil.copy(source / "labels.json", tmp_path / "site")
    return SiteSettings("plain", str(tmp_path / "site"), ("ct",), max_bad_fraction=1.0)


def problems(report: SiteReport) -> list[tuple[str, str, str, str]]:
    (case,) = report.cases
    return [(p.check, p.status, p.message, p.remedy) for p in case.problems]


@pytest.mark.parametrize("kind", FAULTS)
def test_the_fault_is_named_and_its_remedy_leads_to_a_sound_case(folder, kind):
    fault = FAULTS[kind]
    paths = [Path(folder.root) / part / "a.nii.gz" for part in ("images", "labels")]
    assert problems(check_site(folder)) == []
    fault.plant(*paths)
    found = [entry for entry in problems(check_site(folder)) if entry[0] == fault.check]
    assert len(found) == 1, problems(check_site(folder))
    assert found[0][1] == fault.status
    assert fault.words in found[0][2] and fault.remedy in found[0][3]
    fault.mend(*paths)
    assert problems(check_site(folder)) == []


def other_axes(image: Path, label: Path) -> None:
    nib.save(nib.load(label).as_reoriented(np.array([[2, -1], [0, 1], [1, -1]])), label)


def as_nifti_2(image: Path, label: Path) -> None:
    for path in (image, label):
        volume = nib.load(path)
        nib.save(nib.Nifti2Image(np.asarray(volume.dataobj), volume.affine), path)


def one_of_4d(image: Path, label: Path) -> None:
    data, affine = stored(image)
    save(image, data[..., None], affine)


def in_metres(image: Path, label: Path) -> None:
    for path in (image, label):
        data, affine = stored(path)
        volume = nib.Nifti1Image(data.astype(np.int16), np.diag([1e-3, 1e-3, 1e-3, 1]) @ affine)
        volume.header.set_xyzt_units("meter")
        nib.save(volume, path)


@pytest.mark.parametrize(
    "change",
    [other_axes, as_nifti_2, one_of_4d, in_metres, voxels(lambda d: circle(d, -3024))],
    ids=["label of other axes", "NIfTI-2", "one volume of 4D", "metres", "circle at -3024"],
)
def test_a_sound_form_draws_no_word_and_the_organs_keep_their_size(folder, change):
    (before,) = check_site(folder).cases
    change(*[Path(folder.root) / part / "a.nii.gz" for part in ("images", "labels")])
    (after,) = check_site(folder).cases
    assert after.problems == ()
    assert after.organs_ml == pytest.approx(before.organs_ml, rel=1e-5)
    assert after.spacing == pytest.approx(before.spacing, rel=1e-5)
