"""What goes with a prediction: a picture for a glance and a record for the files."""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel as nib

import fedvox
from fedvox.data.grid.to_grid import geometry_of, to_ras
from fedvox.inference.model_files.description import untrained
from fedvox.inference.predict import Prediction, thinning
from fedvox.report.figures.overlay import draw_overlay

PHANTOM_NOTE = "a model trained on phantoms, not for patients"


def draw_prediction(
    prediction: Prediction, description: Mapping[str, Any], organs: Sequence[str], path: Path
) -> None:
    """Draws an axial, a coronal and a sagittal slice with the organs filled and named.

    Args:
        prediction: made with ``Options.picture``.
        description: content of ``model.json``.
        organs: the model's organs in label order.
        path: the PNG to write, atomically.
    """
    labels = prediction.labels
    assert prediction.picture is not None
    steps = thinning(labels.data.shape)
    ras = geometry_of(labels, labels.spacing)
    thin = dataclasses.replace(ras, stored_shape=prediction.picture.shape)
    spacing = [0.0] * 3
    for size, step, (axis, _) in zip(labels.spacing, steps, ras.axes):
        spacing[axis] = size * step.step
    title = f"{description['job']} on {prediction.told.modality.upper()}"
    if prediction.channels:
        title += f" ({prediction.told.modality.split('+')[0].upper()} shown)"
    draw_overlay(
        to_ras(prediction.picture, thin),
        to_ras(labels.data[steps], thin),
        None,
        organs,
        (spacing[0], spacing[1], spacing[2]),
        path,
        f"{title}: {PHANTOM_NOTE}" if description.get("phantom") else title,
    )


def describe_prediction(
    prediction: Prediction, description: Mapping[str, Any], largest_component: bool
) -> dict[str, Any]:
    """The record of a prediction; it holds neither a file name nor an image header.

    Args:
        prediction: from :class:`fedvox.inference.predict.Predictor`.
        description: content of ``model.json``.
        largest_component: True when organs were cut to one piece each.

    Returns:
        Plain values for JSON; volumes in ml, spacing in mm, time in seconds.
    """
    labels = prediction.labels
    return {
        "fedvox_version": fedvox.__version__,
        "torch_version": version("torch"),
        "monai_version": version("monai"),
        "job": description["job"],
        "round": description["round"],
        "model_hash": description["hash"],
        "phantom_model": bool(description.get("phantom")),
        "modality": prediction.told.modality,
        "modality_reason": prediction.told.reason,
        "channels": list(prediction.channels),
        "missing": list(prediction.missing),
        "untrained": untrained(
            description, [*prediction.told.modality.split("+"), *prediction.missing]
        ),
        "input": {
            "shape": list(labels.data.shape),
            "spacing_mm": [round(size, 4) for size in labels.spacing],
            "orientation": "".join(nib.aff2axcodes(labels.affine)),
        },
        "organs": {
            organ: {"value": value, "voxels": voxels, "ml": round(voxels * prediction.voxel_ml, 3)}
            for value, (organ, voxels) in enumerate(prediction.voxels.items(), start=1)
        },
        "notes": list(prediction.notes),
        "largest_component": largest_component,
        "device": prediction.device,
        "seconds": round(prediction.seconds, 2),
    }
