"""Brings a case onto the job's grid and keeps it on disk."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedvox.data.cases.case import Case
from fedvox.data.cases.channel_tensor import Channels, to_channels
from fedvox.data.cases.channels import checked_volumes, refuse_missing
from fedvox.data.cases.in_work import working_on
from fedvox.data.cases.label_map import merged_labels
from fedvox.data.cases.prepared import PreparedCase, find_prepared, prepared_path, read_prepared
from fedvox.data.grid.to_grid import prepare_label
from fedvox.data.images.nifti import Volume
from fedvox.data.settings import DataSettings
from fedvox.files import PRIVATE
from fedvox.seeding import generator
from fedvox.tensors import write_tensors

PLACES = 500
CODE = 16
"""Digits of the HMAC of a case, or of one of its images."""
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
    refuse_missing(case, settings.channels, settings.missing_channels)
    path = prepared_path(case, settings, cache, key)
    with working_on(path):
        tensors, description = _prepare(case, settings, key)
        write_tensors(path, tensors, {"case": json.dumps(description)}, PRIVATE)
    return read_prepared(path)


def _prepare(
    case: Case, settings: DataSettings, key: bytes
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    found, code, marks = _channels(case, settings, key)
    stored = merged_labels(case, found.grid, settings.organs)
    label = prepare_label(stored, found.geometry, len(settings.organs), case.ignores)
    tensors = {
        "image": found.image,
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
        "code": code,
        "marks": marks,
        "modality": case.modality,
        "present": found.present,
        "annotated": sorted(case.annotated() & set(settings.organs)),
        "geometry": asdict(found.geometry),
        "stored_spacing": found.grid.spacing,
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


def _channels(case: Case, settings: DataSettings, key: bytes) -> tuple[Channels, str, list[str]]:
    """A case's images on the job's grid, the HMAC of all their voxels, and that of each image's."""
    digest = hmac.new(key, digestmod=hashlib.sha256)
    marks: list[str] = []

    def hashed() -> Iterator[tuple[str, Volume]]:
        for modality, volume in checked_volumes(case.images):
            own = hmac.new(key, digestmod=hashlib.sha256) if len(case.images) > 1 else digest
            for start in range(0, len(volume.data), SLAB):
                slab = np.ascontiguousarray(volume.data[start : start + SLAB]).data
                for one in {own, digest}:
                    one.update(slab)
            marks.append(own.hexdigest()[:CODE])
            yield modality, volume
            del volume

    found = to_channels(hashed(), settings)
    return found, digest.hexdigest()[:CODE], marks
