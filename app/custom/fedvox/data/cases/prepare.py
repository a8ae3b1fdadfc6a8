"""Brings a case onto the job's grid and keeps it on disk."""

import hashlib
import hmac
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedvox.data.cases.case import Case
from fedvox.data.cases.label_map import merged_labels
from fedvox.data.cases.prepared import PreparedCase, find_prepared, prepared_path, read_prepared
from fedvox.data.grid.to_grid import geometry_of, prepare_image, prepare_label
from fedvox.data.images.modality import check_modality
from fedvox.data.images.nifti import Volume, check_same_grid, on_axes_of, without_voxels
from fedvox.data.images.volumes import load_image
from fedvox.data.settings import DataSettings
from fedvox.errors import DataError
from fedvox.files import PRIVATE
from fedvox.seeding import generator
from fedvox.tensors import write_tensors

PLACES = 500
SLAB = 16
"""Slices whose voxels are hashed at once."""


def prepare_case(case: Case, settings: DataSettings, cache: Path, key: bytes) -> PreparedCase:
    """Reads, checks and preprocesses a case, or finds it in the cache.

    Args:
        case: from a reader.
        settings: the job's grid and window.
        cache: folder of prepared files; they are copies of images, so only their owner reads them.
        key: the site's secret for case codes.

    Raises:
        DataError: the case cannot be used; the message carries no file name.
        OSError: the cache cannot be read or written.
    """
    found = find_prepared(case, settings, cache, key)
    if found is not None:
        return found
    path = prepared_path(case, settings, cache, key)
    tensors, description = _prepare(case, settings, key)
    write_tensors(path, tensors, {"case": json.dumps(description)}, PRIVATE)
    return read_prepared(path)


def _prepare(
    case: Case, settings: DataSettings, key: bytes
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    images, digest, grid = _prepare_images(case, settings, key)
    geometry = geometry_of(grid, settings.spacing)
    stored = merged_labels(case, grid, settings.organs)
    label = prepare_label(stored, geometry, len(settings.organs), case.ignores)
    tensors = {
        "image": torch.stack(images),
        "label": label,
        "stored_label": torch.from_numpy(stored),
    }
    counts = []
    content = hashlib.sha256(label.numpy().data).hexdigest()
    for index in range(len(settings.organs)):
        places = torch.nonzero(label == index + 1).to(torch.int16)
        counts.append(len(places))
        tensors[f"places.{index}"] = draw_places(places, content, index)
    description = {
        "code": digest[:16],
        "modality": case.modality,
        "annotated": sorted(case.annotated() & set(settings.organs)),
        "geometry": asdict(geometry),
        "stored_spacing": grid.spacing,
        "counts": counts,
        "ignores": case.ignores,
    }
    return tensors, description


def draw_places(places: torch.Tensor, content: str, organ: int) -> torch.Tensor:
    """Up to ``PLACES`` voxels of an organ, each with equal chance and none twice.

    Args:
        places: ``(N, 3)``, all voxels of the organ.
        content: the case's labels, as a hash: equal labels give equal draws, at any site and in
            any process. The case's code would not do, since it depends on the site's key.
        organ: place of the organ in the job's list.
    """
    order = torch.randperm(len(places), generator=generator("places", content, organ))
    return places[order[:PLACES]]


def _prepare_images(
    case: Case, settings: DataSettings, key: bytes
) -> tuple[list[torch.Tensor], str, Volume]:
    """A case's images on the job's grid, the HMAC of their voxels, and where those lay.

    One scan after the other, and none stays in memory: a large CT takes 0.6 GB as float32.
    """
    images: list[torch.Tensor] = []
    digest = hmac.new(key, digestmod=hashlib.sha256)
    grid = None
    for modality, path in case.images.items():
        volume = load_image(path)
        grid = grid or without_voxels(volume)
        volume = on_axes_of(grid, volume)
        check_same_grid(grid, volume, "second image")
        check_modality(volume, modality)
        for start in range(0, len(volume.data), SLAB):
            digest.update(np.ascontiguousarray(volume.data[start : start + SLAB]).data)
        geometry = geometry_of(grid, settings.spacing)
        images.append(prepare_image(volume, modality, geometry, settings))
        del volume
    if grid is None:
        raise DataError("the case has no image; name one per case")
    return images, digest.hexdigest(), grid
