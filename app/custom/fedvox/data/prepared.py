"""A case on the job's grid, kept on disk as safetensors and read patch by patch.

A prepared file holds ``image (C, X, Y, Z)`` float32 in [0, 1], ``label (X, Y, Z)`` uint8, up to 500
voxel positions per organ (``places.<i>``, for patches centred on organs), and ``stored_label``, the
organ labels on the scanner's own grid, for scoring.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedvox.config import to_mapping
from fedvox.data.case import Case
from fedvox.data.nifti import Volume, check_same_grid, without_voxels
from fedvox.data.organs import PARENTS, trained_as
from fedvox.data.plausible import check_modality
from fedvox.data.preprocess import Geometry, geometry_of, prepare_image, prepare_label
from fedvox.data.settings import DataSettings
from fedvox.data.volumes import load_image, load_label, source_files
from fedvox.errors import DataError
from fedvox.files import PRIVATE, write_tensors

FORMAT = 1
PLACES = 500
SLAB = 16
"""Slices that are copied at once."""


@dataclass(frozen=True)
class PreparedCase:
    """A prepared case on disk.

    Attributes:
        path: the safetensors file.
        code: HMAC of the voxels under the site's key; what tables call the case.
        modality: e.g. ``"ct"`` or ``"t1+flair"``.
        annotated: canonical organs that the case's labels can hold.
        geometry: the way back to the scanner's grid.
        stored_spacing: the scanner's voxel size in mm along the stored axes.
        counts: voxels per organ of the job on the job's grid.
    """

    path: Path
    code: str
    modality: str
    annotated: frozenset[str]
    geometry: Geometry
    stored_spacing: tuple[float, float, float]
    counts: tuple[int, ...]

    def tensor(self, name: str) -> torch.Tensor:
        """Reads one whole tensor of the file."""
        from safetensors import safe_open

        with safe_open(str(self.path), "pt") as file:
            return file.get_tensor(name)

    def patch(
        self, corner: Sequence[int], size: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Reads a patch; what lies outside the volume is 0 (air, background).

        Args:
            corner: first voxel on the job's grid, may be negative.
            size: patch size in voxels.

        Returns:
            Image ``(C, *size)`` float32 and label ``(*size)`` uint8.
        """
        from safetensors import safe_open

        shape = self.geometry.grid_shape
        source = [slice(max(0, c), min(n, c + s)) for c, s, n in zip(corner, size, shape)]
        target = tuple(slice(r.start - c, r.stop - c) for r, c in zip(source, corner))
        x, y, z = source
        with safe_open(str(self.path), "pt") as file:
            image_part = file.get_slice("image")[:, x, y, z]
            label_part = file.get_slice("label")[x, y, z]
        if tuple(image_part.shape[1:]) == tuple(size):
            return image_part, label_part
        image = torch.zeros(image_part.shape[0], *size)
        label = torch.zeros(*size, dtype=torch.uint8)
        image[(slice(None), *target)] = image_part
        label[target] = label_part
        return image, label


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
    path = prepared_path(case, settings, cache, key)
    found = _cached(path)
    if found is None:
        tensors, description = _prepare(case, settings, key)
        write_tensors(path, tensors, {"case": json.dumps(description)}, PRIVATE)
        found = _described(path)
    return found


def find_prepared(
    case: Case, settings: DataSettings, cache: Path, key: bytes
) -> PreparedCase | None:
    """A case that lies prepared in the cache, or None; arguments as :func:`prepare_case`.

    Raises:
        DataError: a file of the case is missing or cannot be reached.
        OSError: the cache cannot be read.
    """
    return _cached(prepared_path(case, settings, cache, key))


def prepared_path(case: Case, settings: DataSettings, cache: Path, key: bytes) -> Path:
    """Where the prepared form of a case lies; its name depends on files, settings and key.

    Raises:
        DataError: a file of the case is missing or cannot be reached.
    """
    return cache / f"{_cache_name(case, settings, key)}.safetensors"


def _cached(path: Path) -> PreparedCase | None:
    """A prepared file, or None when there is none or it is damaged and must be made again."""
    from safetensors import SafetensorError

    if not path.is_file():
        return None
    try:
        return _described(path)
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None


def _prepare(
    case: Case, settings: DataSettings, key: bytes
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    images, digest, grid = _prepare_images(case, settings, key)
    geometry = geometry_of(grid, settings.spacing)
    stored = _organ_labels(case, grid, settings.organs)
    label = prepare_label(stored, geometry, len(settings.organs))
    tensors = {
        "image": torch.stack(images),
        "label": label,
        "stored_label": torch.from_numpy(stored),
    }
    counts = []
    for index in range(len(settings.organs)):
        places = torch.nonzero(label == index + 1).to(torch.int16)
        counts.append(len(places))
        tensors[f"places.{index}"] = places[:: max(1, -(-len(places) // PLACES))]
    description = {
        "code": digest[:16],
        "modality": case.modality,
        "annotated": sorted(case.annotated() & set(settings.organs)),
        "geometry": asdict(geometry),
        "stored_spacing": grid.spacing,
        "counts": counts,
    }
    return tensors, description


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
        check_same_grid(grid, volume)
        check_modality(volume, modality)
        for start in range(0, len(volume.data), SLAB):
            digest.update(np.ascontiguousarray(volume.data[start : start + SLAB]).data)
        geometry = geometry_of(grid, settings.spacing)
        images.append(prepare_image(volume, modality, geometry, settings))
        del volume
    if grid is None:
        raise DataError("the case has no image; name one per case")
    return images, digest.hexdigest(), grid


def _organ_labels(case: Case, image: Volume, organs: Sequence[str]) -> np.ndarray:
    """Merges a case's label files into the job's values; what the job does not train becomes 0.

    Files that hold nothing of the job are not opened: TotalSegmentator has a hundred per case.
    """
    annotated = case.annotated()
    result = np.zeros(image.data.shape, dtype=np.uint8, order="F")  # as NIfTI lies in memory
    # Parts after their organs: a mask of the liver covers its tumours.
    for file in sorted(case.labels, key=lambda f: any(o in PARENTS for o in f.values.values())):
        targets = {v: trained_as(organ, organs, annotated) for v, organ in file.values.items()}
        if not any(targets.values()):
            continue
        label = load_label(file.path, image)
        check_same_grid(image, label)
        found = _values(label.data)
        file.refuse_unknown(found)
        table = np.zeros(2**16, dtype=np.uint8)  # a value below 0 counts from its end
        for value in found:
            organ = targets[value]
            table[value] = organs.index(organ) + 1 if organ is not None else 0
        for slab in _slabs(label.data):
            merged = table[label.data[slab]]
            np.copyto(result[slab], merged, where=merged > 0)
    return result


def _values(label: np.ndarray) -> list[int]:
    """The values that stand in a label volume of 16 bits, without 0, rising."""
    seen = np.zeros(2**16, dtype=bool)
    for slab in _slabs(label):
        seen[label[slab]] = True
    found = np.flatnonzero(seen[1:]) + 1
    return sorted(found.astype(np.uint16).view(np.int16).tolist())


def _slabs(data: np.ndarray) -> list[tuple[slice, ...]]:
    """Slices along Z, which lie together in the memory of a NIfTI volume."""
    everything = slice(None)
    starts = range(0, data.shape[2], SLAB)
    return [(everything, everything, slice(start, start + SLAB)) for start in starts]


def _cache_name(case: Case, settings: DataSettings, key: bytes) -> str:
    parts: list[Any] = [FORMAT, _grid_settings(settings)]
    for path in (*case.images.values(), *(file.path for file in case.labels)):
        try:
            for file in source_files(path):
                stat = file.stat()
                parts.append([str(file), stat.st_size, stat.st_mtime_ns])
        except FileNotFoundError:
            raise DataError("an image or label file is missing; restore it") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its name is not one"
            raise DataError(
                f"an image or label file cannot be reached ({reason}); mend it"
            ) from None
    parts.append([sorted((str(k), str(v)) for k, v in f.values.items()) for f in case.labels])
    parts.append(list(case.images))
    return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()[:32]


@lru_cache(maxsize=1)
def _grid_settings(settings: DataSettings) -> dict[str, Any]:
    """The settings that a prepared case depends on; the same for every case of a site."""
    return to_mapping(settings) | {"patch": 0, "foreground": 0}


def _described(path: Path) -> PreparedCase:
    from safetensors import safe_open

    with safe_open(str(path), "pt") as file:
        content = json.loads(file.metadata()["case"])
    geometry = content["geometry"]
    return PreparedCase(
        path=path,
        code=content["code"],
        modality=content["modality"],
        annotated=frozenset(content["annotated"]),
        geometry=Geometry(
            stored_shape=tuple(geometry["stored_shape"]),
            axes=tuple((int(axis), int(flip)) for axis, flip in geometry["axes"]),
            grid_shape=tuple(geometry["grid_shape"]),
            spacing=tuple(geometry["spacing"]),
        ),
        stored_spacing=tuple(content["stored_spacing"]),
        counts=tuple(content["counts"]),
    )
