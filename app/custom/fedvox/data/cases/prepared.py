"""A case on the job's grid, kept on disk as safetensors, found again and read patch by patch.

A prepared file holds ``image (C, X, Y, Z)`` float32 in [0, 1], ``label (X, Y, Z)`` uint8, up to 500
voxel positions drawn per organ (``places.<i>``, for patches centred on organs), and
``stored_label``, the organ labels on the scanner's own grid, for scoring.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from fedvox.config import to_mapping
from fedvox.data.cases.case import Case
from fedvox.data.cases.in_work import working_on
from fedvox.data.grid.to_grid import Geometry
from fedvox.data.images.volumes import source_files
from fedvox.data.settings import DataSettings
from fedvox.errors import DataError

FORMAT = 5
"""Of the rules of preparation; part of a file's name, so files of older rules are never found."""
_AFTERWARDS = ("patch", "sampler", "missing_channels")
"""Settings that do not change what a prepared case holds."""


@dataclass(frozen=True)
class PreparedCase:
    """A prepared case on disk.

    Attributes:
        path: the safetensors file.
        code: HMAC of the voxels under the site's key; what tables call the case.
        modality: e.g. ``"ct"`` or ``"t1+flair"``.
        present: per channel of the image, whether the case has it; a missing one is 0.
        annotated: canonical organs that the case's labels can hold.
        geometry: the way back to the scanner's grid.
        stored_spacing: the scanner's voxel size in mm along the stored axes.
        counts: voxels per organ of the job on the job's grid.
        ignores: whether its labels can hold voxels that nobody annotated, with the value
            :data:`fedvox.data.organs.IGNORED`.
        marks: HMAC of each image alone, to recognise it in a case that has other images as well.
    """

    path: Path
    code: str
    modality: str
    annotated: frozenset[str]
    geometry: Geometry
    stored_spacing: tuple[float, float, float]
    counts: tuple[int, ...]
    present: tuple[bool, ...] = (True,)
    ignores: bool = False
    marks: tuple[str, ...] = ()

    def tensor(self, name: str) -> torch.Tensor:
        """Reads one whole tensor of the file."""
        from safetensors import safe_open

        with working_on(self.path), safe_open(str(self.path), "pt") as file:
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
        with working_on(self.path), safe_open(str(self.path), "pt") as file:
            image_part = file.get_slice("image")[:, x, y, z]
            label_part = file.get_slice("label")[x, y, z]
        if tuple(image_part.shape[1:]) == tuple(size):
            return image_part, label_part
        image = torch.zeros(image_part.shape[0], *size)
        label = torch.zeros(*size, dtype=torch.uint8)
        image[(slice(None), *target)] = image_part
        label[target] = label_part
        return image, label


def find_prepared(
    case: Case, settings: DataSettings, cache: Path, key: bytes
) -> PreparedCase | None:
    """A case that lies prepared in the cache, or None when none does or it is damaged.

    Args:
        case: from a reader.
        settings: the job's grid and window.
        cache: folder of prepared files.
        key: the site's secret for case codes.

    Raises:
        DataError: a file of the case is missing or cannot be reached.
        OSError: the cache cannot be read.
    """
    from safetensors import SafetensorError

    path = prepared_path(case, settings, cache, key)
    if not path.is_file():
        return None
    try:
        return read_prepared(path)
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None


def prepared_path(case: Case, settings: DataSettings, cache: Path, key: bytes) -> Path:
    """Where the prepared form of a case lies; its name depends on files, settings and key.

    Raises:
        DataError: a file of the case is missing or cannot be reached.
    """
    return cache / f"{_cache_name(case, settings, key)}.safetensors"


def _cache_name(case: Case, settings: DataSettings, key: bytes) -> str:
    parts: list[Any] = [FORMAT, _grid_settings(settings)]
    for path in case.files:
        try:
            for file in source_files(path):
                stat = file.stat()
                parts.append([str(file), stat.st_size, stat.st_mtime_ns])
        except FileNotFoundError:
            raise DataError(f"{_named(case, path)} is missing; restore it") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its name is not one"
            raise DataError(f"{_named(case, path)} cannot be reached ({reason}); mend it") from None
    parts.append([sorted((str(k), str(v)) for k, v in f.values.items()) for f in case.labels])
    parts.append(list(case.images))
    return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()[:32]


def _named(case: Case, path: Path) -> str:
    """A file of a case for a message: which of several images it is, never how it is called."""
    if len(case.images) < 2:
        return "an image or label file"
    modality = next((name for name, image in case.images.items() if image == path), None)
    return f"the file of the {modality} image" if modality else "a label file"


@lru_cache(maxsize=1)
def _grid_settings(settings: DataSettings) -> dict[str, Any]:
    """The settings that a prepared case depends on; the same for every case of a site."""
    wanted = to_mapping(settings)
    return {name: value for name, value in wanted.items() if name not in _AFTERWARDS}


def read_prepared(path: Path) -> PreparedCase:
    """Reads what a prepared file says of its case; voxels stay on disk.

    Raises:
        OSError: the file cannot be read.
        SafetensorError, KeyError, TypeError, ValueError: it is damaged.
    """
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
        present=tuple(map(bool, content["present"])),
        ignores=bool(content.get("ignores", False)),
        marks=tuple(content["marks"]),
    )
