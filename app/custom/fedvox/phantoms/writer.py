"""Phantom sites on disk: NIfTI volumes, labels, ``labels.json`` and ``phantom.json``.

Phantoms are a test instrument, not evidence about patients; ``phantom.json`` says so to readers.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from fedvox.data.cases.splits import SPLITS
from fedvox.errors import ConfigError
from fedvox.files import write_json
from fedvox.phantoms.abdomen.anatomy import draw_anatomy, tissue_volume
from fedvox.phantoms.render import render
from fedvox.phantoms.abdomen.tissue import ORGANS, organ_labels
from fedvox.seeding import derive_seed
from fedvox.suggest import hint

PHANTOM_NOTE = "phantom: a test instrument, not evidence about patients"

_CONTRASTS = {
    "ct": ("ct",),
    "mr": ("mr_t1", "mr_t2"),
    "mr_t1": ("mr_t1",),
    "mr_t2": ("mr_t2",),
}
MODALITIES = tuple(_CONTRASTS)

# Sites take these in turn; the lengths differ, so orientation and spacing pair up anew.
_ORIENTATIONS = ("LPS", "PIR", "RAS", "ASL", "LAS", "SRP")
_SPACING_FACTORS = (
    (0.9, 0.9, 1.1),
    (1.1, 0.95, 0.9),
    (1.0, 1.0, 1.0),
    (0.95, 1.05, 1.05),
    (1.05, 0.9, 0.95),
)
_SUPERSAMPLING = 2


@dataclass(frozen=True)
class Grid:
    """Where a scan's voxels lie.

    Attributes:
        shape: (X, Y, Z) of the array as stored.
        affine: voxel index to world mm (RAS), shape (4, 4).
    """

    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]

    def finer(self, factor: int) -> "Grid":
        """The same field of view with ``factor`` times as many voxels along each axis."""
        x, y, z = (length * factor for length in self.shape)
        affine = self.affine.copy()
        affine[:3, :3] /= factor
        inset = (1 / factor - 1) / 2
        affine[:3, 3] += self.affine[:3, :3].sum(axis=1) * inset
        return Grid((x, y, z), affine)


def write_phantom_site(
    folder: Path,
    modality: str,
    counts: Mapping[str, int],
    seed: int,
    site: int,
    size_mm: float = 288.0,
    spacing_mm: float = 6.0,
) -> None:
    """Writes one site's phantom data set; the folder appears whole or not at all.

    A case's anatomy depends on (seed, site, case number) only; orientation and voxel spacing depend
    on the site.

    Args:
        folder: where to write; must not exist or be empty.
        modality: ``ct``, ``mr`` (cases alternate between T1-like and T2-like), ``mr_t1`` or
            ``mr_t2``.
        counts: number of cases per split, keys ``train``, ``val`` and ``test``.
        seed: seed of the whole data set.
        site: number of the site, from 1.
        size_mm: side of the field of view, mm; the body needs about 288.
        spacing_mm: mean voxel spacing, mm.

    Raises:
        ConfigError: unknown modality or split, a negative count, a size out of range, or the folder
            holds files.
    """
    _check(folder, modality, counts, size_mm, spacing_mm)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".writing-{folder.name}-"))
    try:
        _write_cases(temporary, modality, counts, seed, site, size_mm, spacing_mm)
        temporary.chmod(0o755)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def site_grid(site: int, case_seed: int, size_mm: float, spacing_mm: float) -> Grid:
    """Draws the grid of one scan.

    Args:
        site: number of the site, from 1; fixes orientation and spacing.
        case_seed: the case; moves the field of view by up to 8 mm and its size by up to 4%.
        size_mm: mean side of the field of view, mm.
        spacing_mm: mean voxel spacing, mm.
    """
    rng = np.random.default_rng(derive_seed(case_seed, "phantom-grid"))
    factors = _SPACING_FACTORS[(site - 1) % len(_SPACING_FACTORS)]
    spacing = np.round(spacing_mm * np.asarray(factors), 4)
    lengths = np.rint(size_mm * rng.uniform(0.98, 1.04, 3) / spacing).astype(int)
    centre = rng.uniform(-8, 8, 3)
    return oriented_grid(lengths, spacing, centre, _ORIENTATIONS[(site - 1) % len(_ORIENTATIONS)])


def oriented_grid(
    lengths: npt.ArrayLike, spacing: npt.ArrayLike, centre: npt.ArrayLike, axes: str
) -> Grid:
    """Lays a grid over the world and stores it in an orientation.

    Args:
        lengths: voxels along right, anterior and superior.
        spacing: mm along right, anterior and superior.
        centre: world position of the middle of the field of view, mm.
        axes: where the stored array's axes point, e.g. ``LPS``.

    Returns:
        The same voxel centres for every value of ``axes``, in another order.
    """
    counts, steps = np.asarray(lengths, int), np.asarray(spacing, float)
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = np.asarray(centre, float) - steps * (counts - 1) / 2
    change = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes)
    )
    affine = affine @ nib.orientations.inv_ornt_aff(change, tuple(counts))
    stored = np.empty(3, int)
    stored[change[:, 0].astype(int)] = counts
    return Grid((int(stored[0]), int(stored[1]), int(stored[2])), affine)


def _write_cases(
    folder: Path,
    modality: str,
    counts: Mapping[str, int],
    seed: int,
    site: int,
    size_mm: float,
    spacing_mm: float,
) -> None:
    for part in ("images", "labels"):
        (folder / part).mkdir()
    contrasts = _CONTRASTS[modality]
    splits = [split for split in SPLITS for _ in range(counts.get(split, 0))]
    entries = []
    progress = tqdm(splits, desc=f"phantom site {site}", unit="case", disable=None)
    for number, split in enumerate(progress, start=1):
        name = f"phantom_{number:04d}"
        contrast = contrasts[(number - 1) % len(contrasts)]
        case_seed = derive_seed(seed, site, number, "phantom")
        grid = site_grid(site, case_seed, size_mm, spacing_mm)
        image, labels = scan(case_seed, contrast, grid)
        _write_nifti(folder / "images" / f"{name}.nii.gz", image, grid.affine)
        _write_nifti(folder / "labels" / f"{name}.nii.gz", labels, grid.affine)
        entries.append({"id": name, "split": split, "contrast": contrast})
    write_json(folder / "labels.json", {organ: i for i, organ in enumerate(ORGANS, start=1)})
    header = {
        "phantom": True,
        "note": PHANTOM_NOTE,
        "modality": modality.split("_")[0],
        "seed": seed,
        "site": site,
    }
    write_json(folder / "phantom.json", {**header, "cases": entries})


def scan(
    case_seed: int, contrast: str, grid: Grid
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
    """Scans one patient.

    Args:
        case_seed: the patient.
        contrast: ``ct``, ``mr_t1`` or ``mr_t2``.
        grid: where the voxels lie.

    Returns:
        The image and its labels (1 to 6 in the order of ``ORGANS``), both of shape ``grid.shape``.
    """
    anatomy = draw_anatomy(case_seed)
    fine = grid.finer(_SUPERSAMPLING)
    tissues = tissue_volume(anatomy, fine.shape, fine.affine)
    image = render(tissues, contrast, case_seed, _SUPERSAMPLING)
    return image, organ_labels(tissue_volume(anatomy, grid.shape, grid.affine))


def _write_nifti(
    path: Path,
    array: npt.NDArray[np.int16] | npt.NDArray[np.uint8],
    affine: npt.NDArray[np.float64],
) -> None:
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    nib.save(image, path)


def _check(
    folder: Path, modality: str, counts: Mapping[str, int], size_mm: float, spacing_mm: float
) -> None:
    if modality not in MODALITIES:
        raise ConfigError(
            f"unknown phantom modality '{modality}'; {hint(modality, MODALITIES)}"
            f"choose one of: {', '.join(MODALITIES)}"
        )
    for split, count in counts.items():
        if split not in SPLITS:
            raise ConfigError(f"unknown split '{split}'; allowed: {', '.join(SPLITS)}")
        if count < 0:
            raise ConfigError(f"'{split}' is {count} cases; it must be 0 or more")
    if not 1.0 <= spacing_mm <= 40.0:
        raise ConfigError(f"spacing is {spacing_mm} mm; it must be from 1 to 40")
    if not 4 * spacing_mm <= size_mm <= 1000.0:
        raise ConfigError(f"size is {size_mm} mm; it must be from 4 voxels up to 1000 mm")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists already; remove it or choose another folder")
