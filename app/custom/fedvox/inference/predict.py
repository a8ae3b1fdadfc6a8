"""From a scan on disk to labels on exactly its grid."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fedvox.data.grid.to_grid import geometry_of, prepare_image, restore_slabs
from fedvox.data.images.modality import ModalityGuess, check_modality, recognise_modality
from fedvox.data.images.nifti import FORMS_REMEDY, Volume
from fedvox.data.images.volumes import load_image
from fedvox.errors import ConfigError, ModelError
from fedvox.inference.largest_piece import keep_largest
from fedvox.inference.model_files.model_file import TrainedModel
from fedvox.inference.sliding import predict_slabs
from fedvox.job.device import memory_errors, prepare_device, to_device
from fedvox.job.model import initial_model
from fedvox.job.weights import load_weights

AUTO = "auto"
PICTURE_EDGE = 256


@dataclass(frozen=True)
class Options:
    """What is wanted beside the labels.

    Attributes:
        modality: of the scan, or ``auto``.
        largest_component: keeps one piece of each organ.
        picture: keeps a thinned copy of the scan for a picture.
    """

    modality: str
    largest_component: bool = False
    picture: bool = False


@dataclass(frozen=True)
class Prediction:
    """A segmented scan.

    Attributes:
        labels: uint8 on the scan's grid, with its affine and header; organ i has value i + 1.
        told: modality and how it is known.
        voxels: organ -> number of voxels.
        picture: every n-th voxel of the scan along each stored axis, or None; see
            :func:`thinning`.
        device: where it was computed.
        seconds: from reading to labels.
        notes: what a reader of the labels ought to know of the scan's header.
    """

    labels: Volume
    told: ModalityGuess
    voxels: dict[str, int]
    picture: np.ndarray | None
    device: str
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in ml."""
        return abs(float(np.linalg.det(self.labels.affine[:3, :3]))) / 1000


def loaded(trained: TrainedModel) -> tuple[nn.Module, torch.device]:
    """The network with a trained model's weights, on the device that its settings ask for.

    Raises:
        ConfigError: they ask for a GPU and there is none, or its memory is full.
    """
    device = prepare_device(trained.job.training)
    model = initial_model(trained.job)
    load_weights(model, trained.weights)
    with memory_errors(trained.job.data.patch):
        return to_device(model, device), device


class Predictor:
    """A trained model on its device, for one scan after the other.

    Args:
        trained: from :func:`fedvox.inference.model_files.model_file.read_model`.

    Raises:
        ConfigError: the settings ask for a GPU and there is none, or its memory is full.
    """

    def __init__(self, trained: TrainedModel) -> None:
        self.job = trained.job
        self._model, self.device = loaded(trained)

    def check(self, modality: str) -> None:
        """Refuses a modality that the model does not know.

        Raises:
            ConfigError: lists what it knows.
        """
        known = self.job.data.modalities
        if modality not in (*known, AUTO):
            raise ConfigError(
                f"--modality {modality}: the model was trained for {', '.join(known)}"
            )

    def predict(
        self, scan: Path, options: Options, progress: Callable[[str], None] = lambda text: None
    ) -> Prediction:
        """Segments a scan; the voxels of the scan are given up before the network runs.

        Args:
            scan: NIfTI file, or folder of one DICOM series.
            options: modality and extras.
            progress: told what happens now.

        Raises:
            ConfigError: the modality is unknown to the model, or memory is too small.
            DataError: the scan cannot be read, or its modality is plainly another or not plain.
            ModelError: the model's scores are no numbers.
        """
        self.check(options.modality)
        start = time.monotonic()
        with memory_errors(self.job.data.patch):
            progress("reading the scan")
            volume = load_image(scan)
            told = self._modality(volume, options.modality)
            geometry = geometry_of(volume, self.job.data.spacing)
            image = prepare_image(volume, told.modality, geometry, self.job.data)
            picture = volume.data[thinning(volume.data.shape)].copy() if options.picture else None
            affine, header = volume.affine, volume.header
            notes = (f"{volume.conflict}; {FORMS_REMEDY}",) if volume.conflict else ()
            del volume
            labels = restore_slabs(self._slabs(image, progress), geometry)
            if options.largest_component:
                labels = keep_largest(labels, len(self.job.data.organs))
        return Prediction(
            labels=Volume(labels, affine, header),
            told=told,
            voxels=_count(labels, self.job.data.organs),
            picture=picture,
            device=self.device.type,
            seconds=time.monotonic() - start,
            notes=notes,
        )

    def _modality(self, volume: Volume, wanted: str) -> ModalityGuess:
        if wanted == AUTO:
            return recognise_modality(volume, self.job.data.modalities)
        check_modality(volume, wanted)
        return ModalityGuess(wanted, "named by the user")

    def _slabs(
        self, image: torch.Tensor, progress: Callable[[str], None]
    ) -> Iterator[torch.Tensor]:
        where = f"segmenting on the {self.device.type.upper()}"
        progress(where)
        slabs = map(_finite, predict_slabs(self._model, image[None], self.job, self.device))
        yield from _counted(slabs, image.shape[0], lambda share: progress(f"{where}: {share:.0%}"))


def thinning(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Picks every n-th voxel of a large scan: enough for a picture, below 400 along each edge."""
    return tuple(slice(None, None, max(1, round(size / PICTURE_EDGE))) for size in shape)


def _count(labels: np.ndarray, organs: Sequence[str]) -> dict[str, int]:
    """Voxels per organ, plane by plane: the counting makes integers of 64 bits."""
    counts = sum(np.bincount(plane.ravel(), minlength=len(organs) + 1) for plane in labels)
    return dict(zip(organs, np.asarray(counts)[1:].tolist()))


def _finite(slab: torch.Tensor) -> torch.Tensor:
    """Refuses scores that are no numbers, of which none would win: all would be background."""
    if not torch.isfinite(slab).all():
        raise ModelError(
            "the model's scores are NaN or infinite, its training ran away; take the model of "
            "another run or round"
        )
    return slab


def _counted(
    slabs: Iterable[torch.Tensor], planes: int, tell: Callable[[float], None]
) -> Iterator[torch.Tensor]:
    done = 0
    for slab in slabs:
        yield slab
        done += slab.shape[1]
        tell(done / planes)
