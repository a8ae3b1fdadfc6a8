"""From a scan on disk to labels on exactly its grid."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fedvox.data.cases.channel_tensor import to_channels
from fedvox.data.cases.channels import checked_volumes
from fedvox.data.grid.to_grid import restore_slabs
from fedvox.data.images.modality import ModalityGuess, recognise_modality
from fedvox.data.images.nifti import FORMS_REMEDY, Volume
from fedvox.data.images.volumes import load_image
from fedvox.data.settings import DataSettings, joined
from fedvox.errors import ModelError
from fedvox.inference.largest_piece import keep_largest
from fedvox.inference.model_files.model_file import TrainedModel
from fedvox.inference.scan_channels import AUTO, check_names, in_channel_order, missing_channels
from fedvox.inference.sliding import predict_slabs
from fedvox.job.device import memory_errors, prepare_device, to_device
from fedvox.job.model import model_of

PICTURE_EDGE = 256


@dataclass(frozen=True)
class Options:
    """What is wanted beside the labels.

    Attributes:
        largest_component: keeps one piece of each organ.
        picture: keeps a thinned copy of the scan, or of the first channel given, for a picture.
    """

    largest_component: bool = False
    picture: bool = False


@dataclass(frozen=True)
class Prediction:
    """A segmented scan.

    Attributes:
        labels: uint8 on the scan's grid, with its affine and header; organ i has value i + 1. With
            channels they are those of the first given.
        told: modality, or modalities as ``t1+flair``, and how it is known.
        voxels: organ -> number of voxels.
        picture: every n-th voxel of the scan along each stored axis, or None; see
            :func:`thinning`.
        device: where it was computed.
        seconds: from reading to labels.
        notes: what a reader of the labels ought to know of the scan's header.
        channels: of the model, in its order; empty for one of one image. Those that ``told`` does
            not name were an image of zeros, see :attr:`missing`.
    """

    labels: Volume
    told: ModalityGuess
    voxels: dict[str, int]
    picture: np.ndarray | None
    device: str
    seconds: float
    notes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Channels of the model of which the case had no scan."""
        return missing_channels(self.told.modality, self.channels)

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
    model = model_of(trained.job, trained.weights)
    with memory_errors(trained.job.data.patch):
        return to_device(model, device), device


class _Reading:
    """Reads the scans of a case, and keeps what is told beside the labels."""

    def __init__(self, scans: Mapping[str, Path], data: DataSettings, options: Options) -> None:
        self.scans, self.data, self.options = scans, data, options
        self.picture: np.ndarray | None = None
        self.notes: list[str] = []
        self.told = ModalityGuess(joined(tuple(scans)), "named by the user")

    def volumes(self) -> Iterator[tuple[str, Volume]]:
        """Modality and scan, one after the other."""
        for modality, volume in self._checked():
            if self.options.picture and self.picture is None:
                self.picture = volume.data[thinning(volume.data.shape)].copy()
            if volume.conflict:
                channel = f"{modality}: " if self.data.channels else ""
                self.notes.append(f"{channel}{volume.conflict}; {FORMS_REMEDY}")
            yield modality, volume
            del volume

    def _checked(self) -> Iterator[tuple[str, Volume]]:
        if AUTO not in self.scans:
            yield from checked_volumes(self.scans)
            return
        volume = load_image(self.scans[AUTO])
        self.told = recognise_modality(volume, self.data.modalities)
        yield self.told.modality, volume


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

    def check(self, names: Collection[str]) -> None:
        """Refuses scans that the model cannot use.

        Args:
            names: modality of each scan, or ``auto``.

        Raises:
            ConfigError: lists what the model takes.
        """
        check_names(names, self.job.data)

    def predict(
        self,
        scans: Mapping[str, Path],
        options: Options | None = None,
        progress: Callable[[str], None] = lambda text: None,
    ) -> Prediction:
        """Segments a case; the voxels of its scans are given up before the network runs.

        Args:
            scans: modality (or ``auto``) -> NIfTI file, or folder of one DICOM series; one per
                channel of the model, in any order. Where its job says ``data.missing_channels``,
                at least one.
            options: extras.
            progress: told what happens now.

        Raises:
            ConfigError: the scans are not what the model takes, or memory is too small.
            DataError: a scan cannot be read, its modality is plainly another or not plain, or the
                scans lie on different grids.
            ModelError: the model's scores are no numbers.
        """
        self.check(scans)
        options, start = options or Options(), time.monotonic()
        with memory_errors(self.job.data.patch):
            progress("reading the scan")
            reading = _Reading(in_channel_order(scans, self.job.data), self.job.data, options)
            found = to_channels(reading.volumes(), self.job.data)
            labels = restore_slabs(self._slabs(found.image, progress), found.geometry)
            if options.largest_component:
                labels = keep_largest(labels, len(self.job.data.organs))
        return Prediction(
            labels=Volume(labels, found.grid.affine, found.grid.header),
            told=reading.told,
            voxels=_count(labels, self.job.data.organs),
            picture=reading.picture,
            device=self.device.type,
            seconds=time.monotonic() - start,
            notes=tuple(reading.notes),
            channels=self.job.data.channels,
        )

    def _slabs(
        self, image: torch.Tensor, progress: Callable[[str], None]
    ) -> Iterator[torch.Tensor]:
        where = f"segmenting on the {self.device.type.upper()}"
        progress(where)
        slabs = map(_finite, predict_slabs(self._model, image, self.job, self.device))
        yield from _counted(slabs, image.shape[1], lambda share: progress(f"{where}: {share:.0%}"))


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
