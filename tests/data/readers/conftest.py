"""Small copies of the public data sets' trees, with real volumes in them."""

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

AMOS_TABLE = {
    "0": "background",
    "1": "spleen",
    "2": "right kidney",
    "3": "left kidney",
    "4": "gall bladder",
    "5": "esophagus",
    "6": "liver",
    "7": "stomach",
    "8": "arota",
    "9": "postcava",
    "10": "pancreas",
    "11": "right adrenal gland",
    "12": "left adrenal gland",
    "13": "duodenum",
    "14": "bladder",
    "15": "prostate/uterus",
}
OLD_SUFFIXES = ("t1", "t1ce", "t2", "flair")
NEW_SUFFIXES = ("t1n", "t1c", "t2w", "t2f")
HEART = (205, 420, 500, 550, 600, 820, 850)


@dataclass
class Trees:
    """Writes volumes of 12³ voxels of 3 by 3 by 4 mm in the layouts of data sets.

    Each label value is a column of voxels; each image has its own noise.
    """

    write_nifti: Callable[..., Path]
    write_series: Callable[..., Path]
    seeds: Iterable[int] = field(default_factory=itertools.count)

    def label(self, values: Sequence[int]) -> np.ndarray:
        """int16 ``(12, 12, 12)`` with all values."""
        label = np.zeros((12, 12, 12), np.int16)
        for number, value in enumerate(values):
            x, y = divmod(number, 4)
            label[3 * x : 3 * x + 3, 3 * y : 3 * y + 3, 2:9] = value
        return label

    def image(self, modality: str) -> np.ndarray:
        """int16 ``(12, 12, 12)``: a CT falls below 0 HU, an MRI does not."""
        rng = np.random.default_rng(next(iter(self.seeds)))
        low, high = (-200, 200) if modality == "ct" else (0, 500)
        return rng.integers(low, high, (12, 12, 12)).astype(np.int16)

    def pair(self, image: Path, label: Path, values: Sequence[int], modality: str) -> None:
        """One image and its label as NIfTI."""
        self.write_nifti(image, self.image(modality))
        self.write_nifti(label, self.label(values))

    def amos(self, root: Path, listing: object = None, **parts: Sequence[int]) -> Path:
        """``amos(root, Tr=[1, 507], Va=[8])``; ``listing`` is the content of ``dataset.json``."""
        for part, numbers in parts.items():
            for number in numbers:
                name = f"amos_{number:04d}.nii.gz"
                modality = "ct" if number <= 500 else "mr"
                image, label = root / f"images{part}" / name, root / f"labels{part}" / name
                self.pair(image, label, range(1, 16), modality)
        if listing is not None:
            (root / "dataset.json").write_text(json.dumps(listing))
        return root

    def totalsegmentator(self, root: Path, modality: str, splits: dict[str, str]) -> Path:
        """One folder per case with masks of liver, spleen, a rib and the urinary bladder."""
        image = {"ct": "ct.nii.gz", "mr": "mri.nii.gz"}[modality]
        for name in splits:
            self.write_nifti(root / name / image, self.image(modality))
            label = self.label([1, 2, 3, 4])
            for value, organ in enumerate(("liver", "spleen", "rib_left_1", "urinary_bladder"), 1):
                mask = (label == value).astype(np.uint8)
                self.write_nifti(root / name / "segmentations" / f"{organ}.nii.gz", mask)
        rows = [f"{name};56;f;B;{split}" for name, split in splits.items()]
        text = "\r\n".join(["image_id;age;gender;institute;split", *rows])
        (root / "meta.csv").write_text(text, encoding="utf-8-sig")
        return root

    def brats(
        self, folder: Path, separator: str = "_", ending: str = ".nii.gz", seg: str = "seg"
    ) -> Path:
        """One case; its name is the folder's. ``seg`` empty leaves the mask out."""
        suffixes, last = (OLD_SUFFIXES, 4) if separator == "_" else (NEW_SUFFIXES, 3)
        for suffix in suffixes:
            path = folder / f"{folder.name}{separator}{suffix}{ending}"
            self.write_nifti(path, self.image("mr"))
        if seg:
            path = folder / f"{folder.name}{separator}{seg}{ending}"
            self.write_nifti(path, self.label([1, 2, last]))
        return folder

    def lits(self, root: Path, *numbers: int) -> Path:
        """Pairs in alternating batch folders."""
        for number in numbers:
            batch = root / f"Training Batch {1 + number % 2}"
            image, label = batch / f"volume-{number}.nii", batch / f"segmentation-{number}.nii"
            self.pair(image, label, [1, 2], "ct")
        return root

    def acdc(self, root: Path, **parts: Sequence[int]) -> Path:
        """``acdc(root, training=[1], testing=[101])``: frames 1 and 12 of each patient."""
        for part, numbers in parts.items():
            for number in numbers:
                folder = root / part / f"patient{number:03d}"
                for frame in (1, 12):
                    name = f"{folder.name}_frame{frame:02d}"
                    image, label = folder / f"{name}.nii.gz", folder / f"{name}_gt.nii.gz"
                    self.pair(image, label, [1, 2, 3], "mr")
                series = np.zeros((4, 4, 2, 3), np.int16)
                self.write_nifti(folder / f"{folder.name}_4d.nii.gz", series)
                text = "ED: 1\nES: 12\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"
                (folder / "Info.cfg").write_text(text)
        return root

    def mmwhs(self, root: Path, modality: str, *numbers: int, extra: Sequence[int] = ()) -> Path:
        """Cases of one modality; ``extra`` values beside the seven structures."""
        for number in numbers:
            name = root / f"{modality}_train" / f"{modality}_train_{number}"
            image, label = (Path(f"{name}_{kind}.nii.gz") for kind in ("image", "label"))
            self.pair(image, label, [*HEART, *extra], modality)
        return root

    def chaos(self, root: Path, modality: str, *persons: int) -> Path:
        """DICOM and PNG; names run from head to foot, against the positions."""
        for person in persons:
            folder = root / "Train_Sets" / modality.upper() / str(person)
            if modality == "ct":
                self.sequence(folder / "DICOM_anon", folder / "Ground", "ct", [255], 1)
                continue
            greys = [63, 126, 189, 252]
            for phase in ("InPhase", "OutPhase"):
                images = folder / "T1DUAL" / "DICOM_anon" / phase
                self.sequence(images, folder / "T1DUAL" / "Ground", "mr", greys, 2)
            spir = folder / "T2SPIR"
            self.sequence(spir / "DICOM_anon", spir / "Ground", "mr", greys, 1)
        return root

    def sequence(
        self, images: Path, ground: Path, modality: str, values: Sequence[int], step: int
    ) -> None:
        """One DICOM series and its PNG; the k-th name belongs to the k-th name."""
        numbers = [step * (12 - place) for place in range(12)]
        names = [f"IMG-0004-{number:05d}" for number in numbers]
        data, label = self.image(modality), self.label(values)

        def tell(dataset: Dataset, place: int) -> None:
            dataset.Modality = modality.upper()

        self.write_series(images, data, names=[f"{name}.dcm" for name in names], change=tell)
        ground.mkdir(parents=True, exist_ok=True)
        for place, name in enumerate(names):
            Image.fromarray(label[:, :, place].T.astype(np.uint8)).save(ground / f"{name}.png")


@pytest.fixture
def amos_table() -> dict[str, str]:
    """The table of AMOS' ``dataset.json``, in its own spelling."""
    return AMOS_TABLE


@pytest.fixture
def trees(write_nifti: Callable[..., Path], write_series: Callable[..., Path]) -> Trees:
    """Builders of data sets' trees."""
    return Trees(write_nifti, write_series)
