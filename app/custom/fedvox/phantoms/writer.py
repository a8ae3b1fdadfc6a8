"""Phantom sites on disk, in the layout of the body, with ``phantom.json`` beside.

Phantoms are a test instrument, not evidence about patients; ``phantom.json`` says so to readers.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from fedvox.aggregation.attachment import ATTACHMENTS
from fedvox.data.cases.splits import SPLITS
from fedvox.errors import ConfigError
from fedvox.files import write_json
from fedvox.phantoms.body import Body, stored_modality
from fedvox.phantoms.find_body import DEFAULT, body_named
from fedvox.phantoms.grid import site_grid
from fedvox.phantoms.incomplete import lacking_cases
from fedvox.phantoms.quality import GOOD, WRONG_SHARE, Quality, quality_named
from fedvox.phantoms.scan import scan
from fedvox.phantoms.wrong_labels import wrong_label
from fedvox.seeding import derive_seed

PHANTOM_NOTE = "phantom: a test instrument, not evidence about patients"


@dataclass(frozen=True)
class _Site:
    """What is written.

    Attributes:
        folder: where.
        body: what is drawn.
        modality: what the site holds.
        counts: cases per split.
        seed: of the whole data set.
        number: of the site, from 1.
        size_mm: side of the field of view, mm.
        spacing_mm: mean voxel spacing, mm.
        quality: of its data.
        incomplete: share of the training cases that lack a modality.
    """

    folder: Path
    body: Body
    modality: str
    counts: Mapping[str, int]
    seed: int
    number: int
    size_mm: float
    spacing_mm: float
    quality: Quality
    incomplete: float = 0.0


def write_phantom_site(
    folder: Path,
    modality: str,
    counts: Mapping[str, int],
    seed: int,
    site: int,
    size_mm: float | None = None,
    spacing_mm: float | None = None,
    body: str = DEFAULT,
    quality: str = GOOD,
    wrong_share: float = WRONG_SHARE,
    incomplete: float = 0.0,
) -> None:
    """Writes one site's phantom data set; the folder appears whole or not at all.

    A case's anatomy depends on (seed, site, case number) only; orientation and voxel spacing depend
    on the site. A site with few training cases has the first of them, under the same numbers.

    Args:
        folder: where to write; must not exist or be empty.
        modality: what the site holds, as the body names it: ``ct``, ``mr`` (cases alternate
            between T1-like and T2-like), ``t1+flair`` (both of every case).
        counts: number of cases per split, keys ``train``, ``val`` and ``test``.
        seed: seed of the whole data set.
        site: number of the site, from 1.
        size_mm: side of the field of view, mm; by default the body's.
        spacing_mm: mean voxel spacing, mm; by default the body's.
        body: what is drawn.
        quality: how good its data are, a name of :data:`fedvox.phantoms.quality.QUALITIES`.
        wrong_share: share of the training cases whose labels are wrong, of a site that has such.
        incomplete: share of the training cases that lack a modality, of a site that has several.

    Raises:
        ConfigError: unknown body, modality, quality or split, a negative count, a size out
            of range, no such share, or the folder holds files.
    """
    drawn = body_named(body)
    size = drawn.size_mm if size_mm is None else size_mm
    spacing = drawn.spacing_mm if spacing_mm is None else spacing_mm
    drawn.parts(modality)
    good = quality_named(quality, wrong_share)
    _check(folder, counts, size, spacing)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".writing-{folder.name}-"))
    try:
        described = _Site(
            temporary, drawn, modality, counts, seed, site, size, spacing, good, incomplete
        )
        _write(described)
        temporary.chmod(0o755)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def describe_phantoms(folder: Path, modality: str, body: str = DEFAULT) -> dict[str, Any]:
    """The site file of a folder that :func:`write_phantom_site` writes.

    Args:
        folder: the site's folder.
        modality: what the site holds.
        body: what was drawn.
    """
    drawn, root = body_named(body), folder.resolve()
    split = drawn.layout.split
    return {
        "dataset": drawn.layout.dataset,
        "root": str(root),
        "modalities": [stored_modality(part) for part in drawn.parts(modality)],
        "split": split if split == "dataset" else str(root / split),
        "share": "cases",
        "attachments": list(ATTACHMENTS),
    }


def _write(site: _Site) -> None:
    parts = site.body.parts(site.modality)
    train = site.counts.get("train", 0)
    wrong = site.quality.wrong_cases(train, site.seed, site.number)
    kept = site.quality.kept(train)
    lacking = lacking_cases(site.incomplete, kept, parts, site.seed, site.number)
    entries = []
    progress = tqdm(_numbered(site), desc=f"phantom site {site.number}", unit="case", disable=None)
    for number, split in progress:
        held = [part for part in parts if part != lacking.get(number)]
        contrasts = tuple(_turn(site.body.modalities[part], number) for part in held)
        name = site.body.layout.case(number)
        spoiled = {"label": wrong[number]} if number in wrong else {}
        lacks = {"lacks": lacking[number]} if number in lacking else {}
        _write_case(site, number, name, contrasts, **spoiled)
        told = {"id": name, "split": split, "contrast": "+".join(contrasts)}
        entries.append({**told, **spoiled, **lacks})
    tables = site.body.layout.tables(site.body.organs, {e["id"]: e["split"] for e in entries})
    for name, content in tables.items():
        write_json(site.folder / name, content)
    header = {
        "phantom": True,
        "note": PHANTOM_NOTE,
        "modality": "+".join(map(stored_modality, parts)),
        "seed": site.seed,
        "site": site.number,
    }
    if site.quality.name != GOOD:
        header["quality"] = site.quality.name
    if lacking:
        header["incomplete"] = site.incomplete
    write_json(site.folder / "phantom.json", {**header, "cases": entries})


def _numbered(site: _Site) -> list[tuple[int, str]]:
    """Number and split of the cases that are written; those of training come first."""
    splits = [split for split in SPLITS for _ in range(site.counts.get(split, 0))]
    kept = site.quality.kept(splits.count("train"))
    cases = enumerate(splits, start=1)
    return [(number, split) for number, split in cases if split != "train" or number <= kept]


def _turn(contrasts: tuple[str, ...], number: int) -> str:
    return contrasts[(number - 1) % len(contrasts)]


def _write_case(
    site: _Site, number: int, name: str, contrasts: tuple[str, ...], label: str = ""
) -> None:
    """Writes a case's images and its label; ``label`` says what is wrong with that, if at all."""
    layout = site.body.layout
    case_seed = derive_seed(site.seed, site.number, number, "phantom")
    grid = site_grid(site.number, case_seed, site.size_mm, site.spacing_mm)
    images, labels = scan(site.body, case_seed, contrasts, grid, site.quality.noise)
    if label:
        labels = wrong_label(label, labels, site.body, grid, case_seed)
    for contrast, image in zip(contrasts, images, strict=True):
        _write_nifti(site.folder / layout.image(name, contrast), image, grid.affine)
    _write_nifti(site.folder / layout.label(name), labels, grid.affine)


def _write_nifti(
    path: Path,
    array: npt.NDArray[np.int16] | npt.NDArray[np.uint8],
    affine: npt.NDArray[np.float64],
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    nib.save(image, path)


def _check(folder: Path, counts: Mapping[str, int], size_mm: float, spacing_mm: float) -> None:
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
