"""What ``fedvox check`` finds in phantom folders with planted faults, bit flips and leaks.

Every fault is planted into a case of its own among clean ones and counts as caught only with the
right reason for exactly that case. Bit flips: one bit in an image, .nii.gz. Leaks: an image that
trains is planted again under another name, header, orientation or number type. Labels that are
shifted within their own grid are counted apart: nothing in the files proves them wrong.

Example:
    python benchmarks/fault_corpus.py
    python benchmarks/fault_corpus.py --quick
"""

import argparse
import gzip
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from fedvox.data.case import Case
from fedvox.data.check.case import CaseReport
from fedvox.data.check.problem import FAIL
from fedvox.data.check.site import SiteReport, check_site
from fedvox.data.phantoms.writer import write_phantom_site
from fedvox.data.site import SiteSettings
from fedvox.data.site_key import fingerprint, site_key

SPACING_MM = 12.0
Plant = Callable[[Path, Path], object]
"""Changes the files of one case: image and label."""


@dataclass(frozen=True)
class Folder:
    """A plain data folder on disk with what the site file says of it."""

    root: Path
    modality: str
    split: str = "hash"

    def image(self, name: str) -> Path:
        """The image of a case."""
        return self.root / "images" / f"{name}.nii.gz"

    def label(self, name: str) -> Path:
        """The label of a case."""
        return self.root / "labels" / f"{name}.nii.gz"

    @property
    def names(self) -> list[str]:
        """All cases, in the order of the reader."""
        return sorted(p.name.removesuffix(".nii.gz") for p in (self.root / "images").iterdir())

    @property
    def site(self) -> SiteSettings:
        """The site file; the cache holds the key of the codes."""
        cache = str(self.root / "cache")
        return SiteSettings("plain", str(self.root), (self.modality,), self.split, cache, 1.0)

    def check(self, workers: int) -> SiteReport:
        """Runs the check."""
        return check_site(self.site, None, workers, progress=True)

    def checked(self, workers: int) -> dict[str, CaseReport]:
        """Runs the check; reports by case."""
        key = site_key(Path(self.site.cache), self.site)
        names = {fingerprint(Case(name, name, {}, ()), key): name for name in self.names}
        return {names[report.code]: report for report in self.check(workers).cases}


def save(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    """Writes a volume as NIfTI."""
    nib.save(nib.Nifti1Image(data, affine), path)


def with_voxels(change: Callable[[np.ndarray], np.ndarray], of_label: bool = False) -> Plant:
    """A fault in the voxels of the image or the label."""

    def plant(image: Path, label: Path) -> None:
        path = label if of_label else image
        volume = nib.load(path)
        save(path, change(np.asarray(volume.dataobj)), volume.affine)

    return plant


def with_affine(change: Callable[[np.ndarray], np.ndarray], of_label: bool) -> Plant:
    """A fault in the affine of the label, or of image and label alike."""

    def plant(image: Path, label: Path) -> None:
        for path in (label,) if of_label else (image, label):
            volume = nib.load(path)
            save(path, np.asarray(volume.dataobj), change(volume.affine))

    return plant


def with_bytes(change: Callable[[bytes], bytes]) -> Plant:
    """A fault in the bytes of the image's file."""
    return lambda image, label: image.write_bytes(change(image.read_bytes()))


def one_voxel(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Sets the middle voxel of a float copy."""

    def change(data: np.ndarray) -> np.ndarray:
        data = data.astype(np.float32)
        data[tuple(length // 2 for length in data.shape)] = value
        return data

    return change


def unknown_value(data: np.ndarray) -> np.ndarray:
    """A label value that the table does not list."""
    return np.where(data == 1, 77, data).astype(np.uint8)


def flip_bit(content: bytes, position: int) -> bytes:
    """One bit of a file turned over."""
    changed = bytearray(content)
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)


def no_orientation(image: Path, label: Path) -> None:
    """Neither sform nor qform."""
    for path in (image, label):
        volume = nib.load(path)
        volume = nib.Nifti1Image(np.asarray(volume.dataobj), None, volume.header)
        volume.header["sform_code"] = volume.header["qform_code"] = 0
        nib.save(volume, path)


def sheared(affine: np.ndarray) -> np.ndarray:
    """Axes that are not perpendicular, with voxels of the old size."""
    skewed = np.linalg.norm(affine[:3, 1]) * (
        affine[:3, 0] / np.linalg.norm(affine[:3, 0])
        + affine[:3, 1] / np.linalg.norm(affine[:3, 1])
    )
    return np.column_stack([affine[:, 0], [*skewed / 2**0.5, 0], affine[:, 2:]])


MOVED = np.array([[1.0, 0, 0, 50], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
FAULTS: dict[str, tuple[Plant, str]] = {
    "truncated gzip": (with_bytes(lambda c: c[: len(c) // 2]), "damaged or truncated"),
    "empty file": (with_bytes(lambda c: b""), "the file is empty"),
    "missing file": (lambda image, label: label.unlink(), "missing"),
    "bit flip": (with_bytes(lambda c: flip_bit(c, 8 * (len(c) // 2))), "damaged or truncated"),
    "NaN": (with_voxels(one_voxel(np.nan)), "1 voxels that are NaN or infinite"),
    "Inf": (with_voxels(one_voxel(np.inf)), "1 voxels that are NaN or infinite"),
    "4D image": (with_voxels(lambda d: np.stack([d, d], -1)), "the volume's shape is"),
    "label shape": (with_voxels(lambda d: d[:, :, :-2], True), "label's shape .* not the image's"),
    "unknown label value": (with_voxels(unknown_value, True), r"label values \[77\] are not in"),
    "fractional label": (with_voxels(lambda d: d * np.float32(0.5), True), "holds fractions"),
    "empty label": (with_voxels(np.zeros_like, True), "holds none of FedVox's organs"),
    "flipped label affine": (
        with_affine(lambda a: np.diag([-1.0, 1, 1, 1]) @ a, True),
        "mm off its image",
    ),
    "label shifted 50 mm": (with_affine(lambda a: MOVED @ a, True), "50.0 mm off its image"),
    "voxel size 1e-6 mm": (
        with_affine(lambda a: a @ np.diag([1e-6, 1e-6, 1e-6, 1]), False),
        "voxel size .* not plausible",
    ),
    "no sform and qform": (no_orientation, "neither sform nor qform"),
    "constant image": (with_voxels(np.ones_like), "is constant"),
    "non-orthonormal affine": (with_affine(sheared, False), "not perpendicular"),
}


def plant_faults(clean: Folder, work: Path, workers: int) -> dict[str, str]:
    """Fault -> reason that the check gave, empty where it was missed or others were blamed."""
    folder = copy(clean, work / "faults", clean.names[: len(FAULTS) + 3])
    planted = dict(zip(folder.names, FAULTS))
    for name, fault in planted.items():
        FAULTS[fault][0](folder.image(name), folder.label(name))
    reports = folder.checked(workers)
    innocent = all(not reports[name].problems for name in folder.names if name not in planted)
    reasons = {}
    for name, fault in planted.items():
        found = [f"{p.status} {p.message}" for p in reports[name].problems]
        right = [reason for reason in found if re.search(FAULTS[fault][1], reason)]
        reasons[fault] = right[0] if right and innocent else ""
    return reasons


def wrong_modality(clean: Folder, named: str, work: Path, workers: int) -> str:
    """The reason for a folder declared as another modality, empty unless all cases got it."""
    folder = copy(clean, work / f"as_{named}", clean.names[:3])
    report = Folder(folder.root, named).check(workers)
    reasons = {p.message for case in report.cases for p in case.problems if p.check == "modality"}
    return f"FAIL {min(reasons)}" if all(case.refused for case in report.cases) else ""


def shared_patient(clean: Folder, work: Path, workers: int) -> str:
    """The reason for one patient in training and validation."""
    folder = copy(clean, work / "patient", clean.names[:4])
    names = folder.names
    split = split_file(folder, names[:3], [names[3], names[0]])
    found = [p for p in split.check(workers).problems if p.status == FAIL]
    return f"FAIL {found[0].message}" if found and "one patient" in found[0].message else ""


def reoriented(image: Path, number: int) -> nib.Nifti1Image:
    """The same voxels, axes flipped and permuted, with the affine that belongs to them."""
    volume = nib.load(image)
    codes = ("RAS", "LPI", "SAR", "PSL", "IRP")[number % 5]
    change = nib.orientations.ornt_transform(
        nib.io_orientation(volume.affine), nib.orientations.axcodes2ornt(codes)
    )
    return volume.as_reoriented(change)


def moved(image: Path, number: int) -> nib.Nifti1Image:
    """The same array under another affine."""
    volume = nib.load(image)
    affine = np.diag([1.0, 1.5, -1.0, 1]) @ volume.affine
    affine[:3, 3] += 10.0 * (number + 1)
    return nib.Nifti1Image(np.asarray(volume.dataobj), affine)


def as_float(image: Path, number: int) -> nib.Nifti1Image:
    """The same values as another number type."""
    volume = nib.load(image)
    kind = (np.float32, np.float64, np.int32)[number % 3]
    return nib.Nifti1Image(np.asarray(volume.dataobj).astype(kind), volume.affine)


def rescaled(image: Path, number: int) -> nib.Nifti1Image:
    """The values stored as 8 or 16 bits behind another slope and intercept, flipped as well."""
    volume = nib.load(image)
    data = np.asarray(volume.dataobj, np.float64)[::-1]
    result = nib.Nifti1Image(0.5 * data - 7, volume.affine)
    result.set_data_dtype((np.uint8, np.int16)[number % 2])
    return result


LEAKS = {"reoriented": reoriented, "moved": moved, "as float": as_float, "rescaled": rescaled}


def plant_leaks(clean: Folder, count: int, work: Path, workers: int) -> tuple[dict[str, int], int]:
    """Plants copies of training images among the validation cases.

    Returns:
        Kind of leak -> number found, and the number of other cases that were blamed.
    """
    folder = copy(clean, work / "leaks", clean.names)
    train = folder.names[: max(count, len(folder.names) // 2)]
    val = folder.names[len(train) :]
    planted = {}
    for number in range(count):
        source = train[number]
        name = f"copy_{number:02d}"
        kinds = ["renamed", *LEAKS]
        kind = kinds[number % len(kinds)]
        if kind == "renamed":
            shutil.copy(folder.image(source), folder.image(name))
        else:
            nib.save(LEAKS[kind](folder.image(source), number // len(kinds)), folder.image(name))
        image = nib.load(folder.image(name))
        save(folder.label(name), np.ones(image.shape, np.uint8), image.affine)
        planted[name] = kind
    reports = split_file(folder, train, [*val, *planted]).checked(workers)
    found = dict.fromkeys(planted.values(), 0)
    blamed = 0
    for name, report in reports.items():
        twin = any(p.check == "twin" and "under 'train'" in p.message for p in report.problems)
        if name in planted:
            found[planted[name]] += twin
        else:
            blamed += report.refused
    return found, blamed


def plant_bit_flips(clean: Folder, count: int, work: Path, workers: int) -> tuple[int, int]:
    """Flips one bit in each of many images.

    Returns:
        How many are refused, and how many of the others hold what they held before: gzip keeps the
        time and the name of a file without a checksum.
    """
    rng = np.random.default_rng(0)
    folder = copy(clean, work / "flips", [])
    sources = {}
    for number in range(count):
        source, name = clean.names[number % len(clean.names)], f"flipped_{number:03d}"
        shutil.copy(clean.label(source), folder.label(name))
        content = clean.image(source).read_bytes()
        folder.image(name).write_bytes(flip_bit(content, int(rng.integers(8 * len(content)))))
        sources[name] = clean.image(source)
    reports = folder.checked(workers)
    missed = [n for n, r in reports.items() if not any(p.check == "image" for p in r.problems)]
    harmless = sum(
        gzip.decompress(folder.image(name).read_bytes())
        == gzip.decompress(sources[name].read_bytes())
        for name in missed
    )
    return count - len(missed), harmless


def shift_labels(clean: Folder, count: int, work: Path, workers: int) -> tuple[int, int]:
    """Labels moved by 50 mm within their own grid, and labels mirrored: how many are noticed."""
    noticed = []
    for kind in ("shifted", "mirrored"):
        folder = copy(clean, work / f"{kind}_{clean.modality}", clean.names[:count])
        for number, name in enumerate(folder.names):
            volume = nib.load(folder.label(name))
            right = int(nib.io_orientation(volume.affine)[:, 0].tolist().index(0))
            axis = number % 3
            size = float(np.linalg.norm(volume.affine[:3, axis]))
            data = np.asarray(volume.dataobj)
            steps = round(50 / size) * (-1) ** (number // 3)
            data = np.flip(data, right) if kind == "mirrored" else np.roll(data, steps, axis)
            save(folder.label(name), np.ascontiguousarray(data), volume.affine)
        cases = folder.check(workers).cases
        noticed.append(sum(any(p.check == "placement" for p in c.problems) for c in cases))
    return noticed[0], noticed[1]


def write_clean(root: Path, modality: str, cases: int) -> Folder:
    """A folder of phantoms without fault."""
    counts = {"train": cases, "val": 0, "test": 0}
    site = ("ct", "mr").index(modality) + 1
    write_phantom_site(root, modality, counts, seed=0, site=site, spacing_mm=SPACING_MM)
    return Folder(root, modality)


def copy(source: Folder, root: Path, names: list[str]) -> Folder:
    """A folder with some of another's cases."""
    folder = Folder(root, source.modality)
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    for name in names:
        shutil.copy(source.image(name), folder.image(name))
        shutil.copy(source.label(name), folder.label(name))
    shutil.copy(source.root / "labels.json", root / "labels.json")
    return folder


def split_file(folder: Folder, train: list[str], val: list[str]) -> Folder:
    """The same folder with a split file."""
    path = folder.root / "split.json"
    path.write_text(json.dumps({"train": train, "val": val, "test": []}))
    return Folder(folder.root, folder.modality, str(path))


def main() -> int:
    """Plants, checks, prints the table and the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few cases: a smoke run")
    parser.add_argument("--workers", type=int, default=1, help="default 1: the cases are small")
    args = parser.parse_args()
    start = time.perf_counter()
    cases, flips, leaks = (24, 10, 5) if args.quick else (100, 200, 20)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        ct, mr = (write_clean(work / kind, kind, cases) for kind in ("ct", "mr"))
        reports = [*ct.check(args.workers).cases, *mr.check(args.workers).cases]
        refused = sum(case.refused for case in reports)
        reasons = plant_faults(ct, work, args.workers)
        reasons["CT declared as MRI"] = wrong_modality(ct, "mr", work, args.workers)
        reasons["MRI declared as CT"] = wrong_modality(mr, "ct", work, args.workers)
        reasons["patient in two parts"] = shared_patient(ct, work, args.workers)
        found, blamed = plant_leaks(mr, leaks, work, args.workers)
        caught, harmless = plant_bit_flips(ct, flips, work, args.workers)
        moves = [shift_labels(clean, cases // 4, work, args.workers) for clean in (ct, mr)]
    for fault, reason in reasons.items():
        print(f"{fault:24s} {reason or 'MISSED'}")
    for kind, number in found.items():
        print(f"copy of a training image, {kind}: {number} found")
    figures = {
        "faults": len(reasons),
        "caught": sum(map(bool, reasons.values())),
        "bitflips": flips,
        "bitflips_caught": caught,
        "bitflips_harmless": harmless,
        "clean": len(reports),
        "clean_refused": refused,
        "clean_noticed": sum(bool(case.problems) for case in reports),
        "leaks": leaks,
        "leaks_caught": sum(found.values()),
        "leaks_wrongly_blamed": blamed,
        "labels_moved_in_their_grid": 2 * (cases // 4),
        "shifted_noticed": sum(shifted for shifted, _ in moves),
        "mirrored_noticed": sum(mirrored for _, mirrored in moves),
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
