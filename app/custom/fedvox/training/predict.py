"""From a NIfTI scan to labels on exactly its grid."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fedvox.data.nifti import Volume, save_label
from fedvox.data.plausible import check_modality
from fedvox.data.preprocess import geometry_of, prepare_image, restore_labels
from fedvox.data.volumes import load_image
from fedvox.errors import ConfigError
from fedvox.training.device import prepare_device, to_device
from fedvox.training.inference import predict_scores
from fedvox.training.model_file import TrainedModel
from fedvox.training.reference import initial_model
from fedvox.training.weights import load_weights


def predict_file(
    trained: TrainedModel,
    scan: Path,
    modality: str,
    output: Path,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, float]:
    """Segments a scan and writes labels with its grid, affine, orientation and header.

    Args:
        trained: from :func:`fedvox.training.model_file.read_model`.
        scan: NIfTI image.
        modality: what the scan is; decides its intensity window.
        output: ``.nii`` or ``.nii.gz``; written whole or not at all.
        progress: told what happens now.

    Returns:
        Organ -> volume in ml.

    Raises:
        ConfigError: the model does not know the modality, or the output's name is not NIfTI.
        DataError: the scan cannot be read, or is plainly of another modality.
    """
    _check(trained, modality, output)
    progress("reading the scan")
    volume = load_image(scan)
    check_modality(volume, modality)
    labels = segment(trained, volume, modality, progress)
    progress("writing the labels")
    save_label(output, labels, volume)
    voxel_ml = abs(float(np.linalg.det(volume.affine[:3, :3]))) / 1000
    counts = np.bincount(labels.ravel(), minlength=len(trained.job.data.organs) + 1)
    return {
        organ: float(counts[index + 1]) * voxel_ml
        for index, organ in enumerate(trained.job.data.organs)
    }


def segment(
    trained: TrainedModel,
    volume: Volume,
    modality: str,
    progress: Callable[[str], None] = lambda text: None,
) -> np.ndarray:
    """Labels of a volume on its own grid.

    Returns:
        uint8 ``(X, Y, Z)``, organ i has value i + 1.
    """
    job = trained.job
    device = prepare_device(job.training)
    model = initial_model(job)
    load_weights(model, trained.weights)
    geometry = geometry_of(volume, job.data.spacing)
    image = prepare_image(volume, modality, geometry, job.data)
    progress(f"segmenting on the {device.type.upper()}")
    scores = predict_scores(to_device(model, device), torch.stack([image]), job, device)
    return restore_labels(scores, geometry)


def _check(trained: TrainedModel, modality: str, output: Path) -> None:
    known = trained.job.data.modalities
    if modality not in known:
        raise ConfigError(f"--modality {modality}: the model was trained for {', '.join(known)}")
    if not output.name.endswith((".nii", ".nii.gz")):
        raise ConfigError(f"--output {output}: the name must end in .nii or .nii.gz")
