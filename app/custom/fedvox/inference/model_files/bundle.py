"""A trained model as a MONAI bundle, whose parts are the classes that trained it.

A bundle asks for ``fedvox`` to be installed, since preprocessing is not copied but named.

Reference:
    MONAI Bundle Specification, docs.monai.io.
"""

import io
import tempfile
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import torch

import fedvox
from fedvox.config import to_mapping
from fedvox.data.settings import DataSettings
from fedvox.errors import ConfigError
from fedvox.files import write_json, write_text
from fedvox.inference.model_files.model_file import TrainedModel
from fedvox.inference.model_files.torchscript import loaded_segmenter, write_torchscript
from fedvox.inference.normalise import NORMALISATION
from fedvox.job.model import modalities_of

SCHEMA = "https://project-monai.github.io/schema/meta_schema_20240725.json"
PACKAGES = ("nibabel", "safetensors", "highdicom")
_PARTS = "fedvox.inference.model_files.bundle_parts"


def write_bundle(trained: TrainedModel, folder: Path) -> None:
    """Writes a bundle; the folder appears whole or not at all.

    ``models/model.pt`` is a state dictionary in PyTorch's own form, as the specification asks; it
    is loaded with ``weights_only=True``, which runs no code.

    Args:
        trained: from :func:`fedvox.inference.model_files.model_file.read_model`.
        folder: must not exist.

    Raises:
        ConfigError: the folder exists.
        OSError: it cannot be written, or another process was faster.
    """
    if folder.exists():
        raise ConfigError(f"{folder}: it exists already; choose another name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as name:
        building = Path(name) / "bundle"
        (building / "models").mkdir(parents=True)
        segmenter = loaded_segmenter(trained)
        write_json(building / "configs/metadata.json", metadata(trained))
        write_json(building / "configs/inference.json", inference(trained))
        write_text(building / "docs/README.md", _readme(trained))
        weights = io.BytesIO()  # where a disk is full, torch.save breaks with an error of its own
        torch.save(segmenter.state_dict(), weights)
        (building / "models/model.pt").write_bytes(weights.getbuffer())
        write_torchscript(trained, building / "models/model.ts", segmenter)
        building.rename(folder)


def metadata(trained: TrainedModel) -> dict[str, Any]:
    """The content of ``configs/metadata.json``."""
    data, classes = trained.job.data, ["background", *trained.job.data.organs]
    patch = list(data.patch)
    shape = {"type": "image", "spatial_shape": patch, "dtype": "float32", "is_patch_data": True}
    return {
        "schema": SCHEMA,
        "version": fedvox.__version__,
        "changelog": {fedvox.__version__: f"exported from job {trained.job.name}"},
        "monai_version": version("monai"),
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {
            name: version(name) for name in (*PACKAGES, *trained.job.network.packages)
        }
        | {"fedvox": fedvox.__version__},
        "name": f"FedVox {trained.job.name}",
        "task": "3D segmentation",
        "description": f"Segments {', '.join(data.organs)}. {_origin(trained)}",
        "authors": "those who trained the model with FedVox",
        "copyright": "of those who trained the model",
        "data_type": "nibabel",
        "image_classes": _image_classes(data),
        "label_classes": "integer labels, one value per organ",
        "pred_classes": "one channel of probabilities per class",
        "intended_use": "Research. Not for clinical use.",
        "model_hash": trained.description["hash"],
        "network_data_format": {
            "inputs": {
                "image": {
                    **shape,
                    "format": "magnitude",
                    "num_channels": data.in_channels,
                    "value_range": [0, 1],
                    "channel_def": dict(zip(map(str, count()), data.channels or ("image",))),
                }
            },
            "outputs": {
                "pred": {
                    **shape,
                    "format": "probabilities",
                    "num_channels": len(classes),
                    "value_range": [0, 1],
                    "channel_def": {str(index): name for index, name in enumerate(classes)},
                }
            },
        },
    }


def inference(trained: TrainedModel) -> dict[str, Any]:
    """The content of ``configs/inference.json``."""
    job, built = trained.job, modalities_of(trained.job, trained.weights)
    return {
        "imports": ["$import torch", f"$from {_PARTS} import segment_scan"],
        "bundle_root": ".",
        **_inputs(job.data),
        "output": "seg.nii.gz",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "job": to_mapping(job),
        "network_def": {
            "_target_": f"{_PARTS}.segmenter_of",
            "settings": "@job",
            "normalisation": dict(NORMALISATION),
            **({"modalities": sorted(built)} if job.network.needs_channels else {}),
        },
        "network": "$@network_def.to(@device)",
        "weights": "$torch.load(@bundle_root + '/models/model.pt', map_location=@device, "
        "weights_only=True)",
        "preprocessing": _composed(
            {
                "_target_": f"{_PARTS}.PrepareScan",
                "settings": "@job",
                **({} if job.data.channels else {"modality": "@modality"}),
            }
        ),
        "inferer": {
            "_target_": "monai.inferers.SlidingWindowInferer",
            "roi_size": list(job.data.patch),
            "sw_batch_size": 1,
            "overlap": job.evaluation.overlap,
            "mode": "gaussian",
            "sw_device": "@device",
            "device": "cpu",
        },
        "postprocessing": _composed(
            {"_target_": f"{_PARTS}.RestoreLabels"},
            {"_target_": f"{_PARTS}.SaveLabels", "output": "@output"},
        ),
        "initialize": ["$@network.load_state_dict(@weights)", "$@network.eval()"],
        "run": ["$segment_scan(@input, @preprocessing, @inferer, @network, @postprocessing)"],
    }


def _image_classes(data: DataSettings) -> str:
    if data.channels:
        missing = "; a missing channel is an image of zeros" if data.missing_channels else ""
        return f"channels in this order: {', '.join(data.channels)}; each scaled to [0, 1]{missing}"
    return f"one channel, {' or '.join(data.modalities)}, scaled to [0, 1]"


def _inputs(data: DataSettings) -> dict[str, Any]:
    """What a call of the bundle changes: one scan and its modality, or one scan per channel."""
    if data.missing_channels:
        return {"input": dict.fromkeys(data.channels)}  # null: what nobody names is missing
    if data.channels:
        return {"input": {name: f"{name}.nii.gz" for name in data.channels}}
    return {"input": "scan.nii.gz", "modality": data.modalities[0]}


def _call(data: DataSettings) -> tuple[str, str]:
    """The options that name the scans on a command line, and what they mean."""
    if data.channels:
        options = " ".join(f"--input::{name} {name.upper()}.nii.gz" for name in data.channels)
        missing = (
            ". Leave out the option of a channel that the case lacks: the network gets an image of "
            "zeros there (0 before `(x - centre) / scale`)"
        )
        return options, (
            f"`input` names one scan per channel ({', '.join(data.channels)}), all on one grid: a "
            f"NIfTI file or a folder with one DICOM series each{missing * data.missing_channels}"
        )
    return f"--input scan.nii.gz --modality {data.modalities[0]}", (
        "`input` is a NIfTI file or a folder with one DICOM series; `modality` is one of "
        f"{', '.join(data.modalities)}"
    )


def _composed(*transforms: dict[str, Any]) -> dict[str, Any]:
    return {"_target_": "monai.transforms.Compose", "transforms": list(transforms)}


def _origin(trained: TrainedModel) -> str:
    if trained.description.get("phantom"):
        return "Trained on phantom data: a test instrument, not for patients."
    return "Trained by several sites with FedVox; no scan left a site."


def _readme(trained: TrainedModel) -> str:
    organs = "\n".join(f"- {i}: {organ}" for i, organ in enumerate(trained.job.data.organs, 1))
    options, meaning = _call(trained.job.data)
    return f"""# FedVox {trained.job.name}

{_origin(trained)} Research software, not for clinical use.

Needs FedVox {fedvox.__version__} (see its README) and `pip install fire`. Run it in this folder:

```bash
python -m monai.bundle run --config_file configs/inference.json --meta_file configs/metadata.json \\
  {options} --output seg.nii.gz
```

{meaning}. The output lies on the scan's grid. Label values:

{organs}

Model hash: `{trained.description["hash"]}`
"""
