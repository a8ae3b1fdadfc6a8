"""The parts of a MONAI bundle: network, preprocessing and its inverse, all those of training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fedvox.data.cases.channel_tensor import to_channels
from fedvox.data.cases.channels import checked_volumes
from fedvox.data.grid.to_grid import restore_labels
from fedvox.data.images.nifti import save_label
from fedvox.errors import ConfigError
from fedvox.inference.model_files.model_file import OLDER
from fedvox.inference.normalise import NORMALISATION
from fedvox.inference.scan_channels import check_names, in_channel_order
from fedvox.inference.segmenter import Segmenter
from fedvox.job.model import initial_model
from fedvox.job.settings import job_from


def segmenter_of(
    settings: Mapping[str, Any],
    normalisation: Mapping[str, float] | None = None,
    modalities: Sequence[str] | None = None,
) -> Segmenter:
    """A segmenter with the job's initial weights.

    Args:
        settings: a job as plain JSON types, as in ``model.json`` under ``settings``.
        normalisation: as in ``model.json``; bundles of older versions say nothing.
        modalities: of a network with parts for each modality, those whose parts the model has.

    Raises:
        ConfigError: they are no job's settings, or the weights expect another preprocessing.
    """
    if normalisation != NORMALISATION:
        raise ConfigError(f"the bundle's model was {OLDER}")
    return Segmenter(initial_model(job_from(settings), modalities))


class PrepareScan:
    """Reads the scans of a case and brings them to the job's grid, scaled to [0, 1].

    Args:
        settings: a job as plain JSON types.
        modality: what the scans are, e.g. ``ct``, for a model of one image; one with channels is
            told by the case.

    Raises:
        ConfigError: the job does not use the modality.
    """

    def __init__(self, settings: Mapping[str, Any], modality: str = "") -> None:
        self.data = job_from(settings).data
        self.modality = modality
        if not self.data.channels:
            check_names([modality], self.data)

    def __call__(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Adds what is needed to predict and to come back.

        Args:
            case: ``image`` names a NIfTI file or a folder with one DICOM series; with channels it
                maps each channel's name to such a path, or to None where there is no scan and the
                job's ``data.missing_channels`` allows it: an image of zeros then.

        Returns:
            ``image`` float32 ``(C, X, Y, Z)`` in [0, 1], ``geometry`` and ``scan``, the scan's grid
            and header.

        Raises:
            ConfigError: a channel is missing or unknown.
            DataError: a scan cannot be used or is plainly of another modality.
        """
        named = case["image"] if isinstance(case["image"], Mapping) else {"": case["image"]}
        given = {name: path for name, path in named.items() if path is not None}
        scans = {name or self.modality: Path(path) for name, path in given.items()}
        check_names(scans, self.data)
        volumes = checked_volumes(in_channel_order(scans, self.data))
        found = to_channels(volumes, self.data)
        return {**case, "image": found.image, "geometry": found.geometry, "scan": found.grid}


class RestoreLabels:
    """Brings class probabilities to labels on the scan's own grid."""

    def __call__(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Adds ``labels``, uint8 with the stored shape, from ``pred`` ``(K, X, Y, Z)``."""
        return {**case, "labels": restore_labels(case["pred"], case["geometry"])}


class SaveLabels:
    """Writes labels with the scan's grid, affine and header.

    Args:
        output: ``.nii`` or ``.nii.gz``; an existing file, which may be a scan, is never replaced.

    Raises:
        ConfigError: wrongly named, or it exists.
    """

    def __init__(self, output: str) -> None:
        self.output = Path(output)
        if not self.output.name.endswith((".nii", ".nii.gz")):
            raise ConfigError(f"output {output}: the name must end in .nii or .nii.gz")
        if self.output.exists():
            raise ConfigError(f"output {output}: it exists already; choose another name")

    def __call__(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Writes ``labels``."""
        save_label(self.output, case["labels"], case["scan"])
        return dict(case)


@torch.inference_mode()
def segment_scan(
    scan: str | Mapping[str, str | None],
    preprocessing: Any,
    inferer: Any,
    segmenter: nn.Module,
    postprocessing: Any,
) -> dict[str, Any]:
    """What a bundle runs: the four parts of its configuration, one after the other.

    Args:
        scan: NIfTI file or folder with one DICOM series; with channels, one such path, or None
            for a missing one, per channel.
        preprocessing: ends in a case with ``image`` and ``geometry``.
        inferer: MONAI's sliding window.
        segmenter: windows to probabilities.
        postprocessing: gets the case with ``pred``.
    """
    case = preprocessing({"image": scan})
    scores = inferer(case["image"][None], segmenter)
    return dict(postprocessing({**case, "pred": scores[0]}))
