"""Small sites in every layout that the corpus needs, each with an archive of what it held."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

from faults.series import write_series
from fedvox.data.settings import DataSettings
from fedvox.data.site.site_file import SiteSettings
from fedvox.phantoms.writer import write_phantom_site

CASES = ("s0000", "s0001", "s0002", "s0003")
FAULTY = CASES[0]
"""The case in which faults are planted; another one trains beside it."""
SPLIT = {"train": list(CASES[:2]), "val": [CASES[2]], "test": [CASES[3]]}
ORGANS = {"liver": 1, "spleen": 2, "kidney_right": 3, "kidney_left": 4, "pancreas": 5}
ORGANS |= {"gallbladder": 6}
LISTING: dict[str, Any] = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, **ORGANS},
    "numTraining": len(CASES),
    "file_ending": ".nii.gz",
}
NAMES = {
    "msd": ("imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz"),
    "masks": ("{}/ct.nii.gz", "{}/segmentations"),
    "brats": ("{0}/{0}_t1.nii.gz", "{0}/{0}_seg.nii.gz"),
}
"""Image and label of a case by layout; the others are those of a plain folder."""
SPACING_MM = 12.0
CONTRASTS = ("t1", "flair")
"""Images of a case of layout ``brats``."""
CHANNELS = DataSettings(
    ("tumour_necrotic", "tumour_oedema", "tumour_enhancing"),
    modalities=CONTRASTS,
    channels=CONTRASTS,
)
"""Of the job that layout ``brats`` is checked for."""


@dataclass
class Room:
    """A site on disk with its site file.

    Attributes:
        root: its data folder.
        archive: the same as it was before, which nobody changes: what a scanner's archive holds.
        layout: ``plain``, ``dicom`` (the faulty case is a series with a label in NIfTI), ``png``
            (the same with a label in PNG), ``msd``, ``masks`` (TotalSegmentator) or ``brats`` (two
            images per case, and a job of two channels).
        modality: as the site file names it.
        modalities: as the site file names them, where there are several.
        job: data settings of a job, or None.
    """

    root: Path
    archive: Path
    layout: str
    modality: str = "ct"
    job: DataSettings | None = None
    modalities: tuple[str, ...] = ()

    @property
    def site(self) -> SiteSettings:
        """The site file."""
        readers = {"msd": "msd", "masks": "totalsegmentator", "brats": "brats"}
        dataset = readers.get(self.layout, "plain")
        modalities = self.modalities or (self.modality,)
        split = str(self.root / "split.json")
        return SiteSettings(dataset, str(self.root), modalities, split=split, max_bad_fraction=1.0)

    def image(self, case: str = FAULTY) -> Path:
        """Image of a case; not compressed, or a folder, where it was made so."""
        return self._file(NAMES.get(self.layout, ("images/{}.nii.gz",))[0].format(case))

    def label(self, case: str = FAULTY) -> Path:
        """Label of a case, or the folder of its masks or PNG."""
        return self._file(NAMES.get(self.layout, ("", "labels/{}.nii.gz"))[1].format(case))

    def _file(self, name: str) -> Path:
        path = self.root / name
        forms = (path, Path(str(path).removesuffix(".gz")), Path(str(path).removesuffix(".nii.gz")))
        return next((form for form in forms if form.exists()), path)

    def mask(self, organ: str, case: str = FAULTY) -> Path:
        """A mask of layout ``masks``."""
        return self.label(case) / f"{organ}.nii.gz"

    def write(self, content: object, name: str = "labels.json") -> None:
        """Writes a JSON file of the data folder."""
        (self.root / name).write_text(json.dumps(content))

    def again(self) -> None:
        """Exports, copies or restores the faulty case's files: they come from the archive."""
        for path in (self.image(), self.label()):
            remove(path)
        held = Room(self.archive, self.archive, self.layout)
        for path in (held.image(), held.label()):
            copied = shutil.copytree if path.is_dir() else shutil.copy
            copied(path, self.root / path.relative_to(self.archive))


def remove(path: Path) -> None:
    """A file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Rooms:
    """Makes sound rooms; each source is written once.

    Args:
        folder: for all of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def make(self, layout: str) -> Room:
        """A new sound room; ``plain mr`` holds MRI, every other layout CT."""
        layout, _, modality = layout.partition(" ")
        modality = modality or "ct"
        self._made += 1
        source = self._source(layout, modality)
        root = self._folder / f"room_{self._made:03d}"
        shutil.copytree(source, root)
        if layout == "brats":  # the site file names them in another order than the job
            return Room(root, source, layout, modality, CHANNELS, CONTRASTS[::-1])
        return Room(root, source, layout, modality)

    def _source(self, layout: str, modality: str) -> Path:
        root = self._folder / f"{layout}_{modality}"
        if not root.exists():
            if layout == "plain":
                _write_plain(root, modality)
            else:
                source = self._source("plain", "mr" if layout == "brats" else modality)
                _LAYOUTS[layout](source, root)
            (root / "split.json").write_text(json.dumps(SPLIT))
        return root


def _write_plain(root: Path, modality: str) -> None:
    counts = {"train": len(CASES), "val": 0, "test": 0}
    number = ("ct", "mr").index(modality) + 1
    write_phantom_site(root, modality, counts, seed=0, site=number, spacing_mm=SPACING_MM)
    (root / "phantom.json").unlink()
    for part in ("images", "labels"):
        for name, path in zip(CASES, sorted((root / part).iterdir()), strict=True):
            path.rename(path.with_name(f"{name}.nii.gz"))


def _write_dicom(source: Path, root: Path) -> None:
    shutil.copytree(source, root)
    image = root / f"images/{FAULTY}.nii.gz"
    volume = nib.load(image)
    data = np.asarray(volume.dataobj).clip(-1024)
    write_series(root / f"images/{FAULTY}", data, volume.affine)
    image.unlink()


def _write_png(source: Path, root: Path) -> None:
    _write_dicom(source, root)
    label = root / f"labels/{FAULTY}.nii.gz"
    data = np.asarray(nib.load(label).dataobj).astype(np.uint8)
    folder = root / f"labels/{FAULTY}"
    folder.mkdir()
    for place in range(data.shape[2]):
        picture = Image.fromarray(np.ascontiguousarray(data[:, :, place].T))
        picture.save(folder / f"{place:03d}.png")
    label.unlink()


def _write_msd(source: Path, root: Path) -> None:
    for part, folder, ending in (("images", "imagesTr", "_0000"), ("labels", "labelsTr", "")):
        (root / folder).mkdir(parents=True)
        for name in CASES:
            file = source / part / f"{name}.nii.gz"
            shutil.copy(file, root / folder / f"{name}{ending}.nii.gz")
    (root / "dataset.json").write_text(json.dumps(LISTING))


def _write_masks(source: Path, root: Path) -> None:
    rows = ["image_id;split"]
    for name in CASES:
        masks = root / name / "segmentations"
        masks.mkdir(parents=True)
        shutil.copy(source / f"images/{name}.nii.gz", root / name / "ct.nii.gz")
        label = nib.load(source / f"labels/{name}.nii.gz")
        data = np.asarray(label.dataobj)
        for organ, value in ORGANS.items():
            mask = nib.Nifti1Image((data == value).astype(np.uint8), label.affine)
            nib.save(mask, masks / f"{organ}.nii.gz")
        part = next(part for part, names in SPLIT.items() if name in names)
        rows.append(f"{name};{part}")
    (root / "meta.csv").write_text("\n".join(rows))


def _write_brats(source: Path, root: Path) -> None:
    """The MRI stands for T1, its square root for FLAIR, three organs for a tumour's parts."""
    for name in CASES:
        (root / name).mkdir(parents=True)
        image, label = (nib.load(source / part / f"{name}.nii.gz") for part in ("images", "labels"))
        data, organs = np.asarray(image.dataobj, np.float32), np.asarray(label.dataobj)
        parts = np.select([organs == 1, organs == 2, organs == 3], [2, 1, 4], 0).astype(np.uint8)
        volumes = {"t1": data, "flair": 30 * np.sqrt(data.clip(0)), "seg": parts}
        for kind, voxels in volumes.items():
            path = root / name / f"{name}_{kind}.nii.gz"
            nib.save(nib.Nifti1Image(voxels, image.affine), path)


_LAYOUTS: dict[str, Callable[[Path, Path], None]] = {
    "dicom": _write_dicom,
    "png": _write_png,
    "msd": _write_msd,
    "masks": _write_masks,
    "brats": _write_brats,
}
