"""What ``fedvox check`` finds in phantom folders with planted faults, bit flips and leaks.

Every kind of fault (package ``faults`` beside this file) is planted into a small sound site and
counts as caught only with the right reason for exactly that case, or for the site where all are at
fault. Then its remedy is followed literally; it is misleading if anything is left to say. Sound
cases are phantoms, and rare legal forms of them. Bit flips: one bit in an image, .nii.gz. Leaks: an
image that trains is planted again under another name, header, orientation or number type. Labels
that are shifted within their own grid are counted apart: nothing in the files proves them wrong.

Example:
    python benchmarks/fault_corpus.py
    python benchmarks/fault_corpus.py --quick
"""

import argparse
import gzip
import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from faults import FAULTS
from faults.changes import flip_bit, save
from faults.fault import Found, Trial, look, trial
from faults.room import Rooms
from faults.sound import SOUND
from fedvox.data.cases.case import Case
from fedvox.data.check.case import CaseReport
from fedvox.data.check.site import SiteReport, check_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.data.site.site_key import fingerprint, site_key
from fedvox.finding import FAIL
from fedvox.phantoms.writer import write_phantom_site

SPACING_MM = 12.0


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


def plant_faults(work: Path, every: int) -> dict[str, Trial]:
    """Every so many kinds of fault in a small site of its own, mended as its remedy says."""
    rooms = Rooms(work / "faults")
    kinds = list(FAULTS)[::every]
    return {name: trial(FAULTS[name], rooms.make(FAULTS[name].layout)) for name in kinds}


def sound_oddities(work: Path, every: int) -> tuple[int, list[Found]]:
    """Legal forms that are rare: number of cases, and what was said of them."""
    rooms = Rooms(work / "sound")
    found, kinds = [], list(SOUND.values())[::every]
    for layout, change in kinds:
        room = rooms.make(layout)
        change(room)
        found += look(room)
    return len(kinds), found


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
    parser.add_argument("--quick", action="store_true", help="every sixth kind: a smoke run")
    parser.add_argument("--workers", type=int, default=1, help="default 1: the cases are small")
    args = parser.parse_args()
    start = time.perf_counter()
    cases, flips, leaks, every = (24, 10, 5, 6) if args.quick else (100, 200, 20, 1)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        ct, mr = (write_clean(work / kind, kind, cases) for kind in ("ct", "mr"))
        reports = [*ct.check(args.workers).cases, *mr.check(args.workers).cases]
        refused = sum(case.refused for case in reports)
        noticed = sum(bool(case.problems) for case in reports)
        trials = plant_faults(work, every)
        odd, said = sound_oddities(work, every)
        found, blamed = plant_leaks(mr, leaks, work, args.workers)
        caught, harmless = plant_bit_flips(ct, flips, work, args.workers)
        moves = [shift_labels(clean, cases // 4, work, args.workers) for clean in (ct, mr)]
    for name, result in trials.items():
        print(f"{name:40s} {result.reason or f'MISSED: {result.found}'}")
        if result.misleading:
            print(f"{'':40s} MISLEADING: {result.misleading}")
    for who, problem in said:
        print(f"sound, but {who} draws: {problem}")
    for kind, number in found.items():
        print(f"copy of a training image, {kind}: {number} found")
    figures = {
        "faults": len(trials),
        "caught": sum(bool(result.reason) for result in trials.values()),
        "remedies": len(trials),
        "remedies_misleading": sum(bool(result.misleading) for result in trials.values()),
        "bitflips": flips,
        "bitflips_caught": caught,
        "bitflips_harmless": harmless,
        "clean": len(reports) + odd,
        "clean_refused": refused + sum(problem.status == FAIL for _, problem in said),
        "clean_noticed": noticed + len(said),
        "sound_oddities": odd,
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
