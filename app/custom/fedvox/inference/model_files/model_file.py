"""`model.safetensors` and `model.json`: a model that says what it is and what it expects.

The JSON file holds everything that prediction needs; the hash ties it to the weights, so that a
damaged file or weights of another run are noticed. No pickle is ever read.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import fedvox
from fedvox.aggregation.update import Arrays
from fedvox.config import read_json, to_mapping
from fedvox.errors import ConfigError, ModelError
from fedvox.files import write_json
from fedvox.inference.normalise import NORMALISATION
from fedvox.job.settings import JobSettings, job_from
from fedvox.metrics.models import BEST, LAST
from fedvox.tensors import read_arrays, weights_hash, write_arrays

FORMAT = 2
PROTECTED = ("settings", "organs", "network", "preprocessing", "normalisation", "hash")
OLDER = (
    "made by an earlier FedVox, which normalised every window by itself and resampled without "
    "averaging; use it with that version, or train again"
)
"""Why models of format 1 are refused: with today's preprocessing they would segment worse."""


@dataclass(frozen=True)
class TrainedModel:
    """A model as it lies on disk.

    Attributes:
        job: the settings it was trained with.
        weights: name -> float32 array.
        description: the content of ``model.json``.
    """

    job: JobSettings
    weights: Arrays
    description: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As tables call it: what ``model.json`` says under ``model``, else ``global_best``."""
        return str(self.description.get("model", BEST))

    def on(self, device: str, threads: int) -> "TrainedModel":
        """The same model for another place: where and with how many threads to compute."""
        training = replace(self.job.training, threads=threads, device=device)
        return replace(self, job=replace(self.job, training=training))


def own_folder(version: int) -> str:
    """Where a site keeps its complete model of a version of the global one.

    By round and not by title: whether the last version is the best too is known only after the
    sites have scored both.
    """
    return f"round_{version}"


def describe_model(
    job: JobSettings,
    weights: Arrays,
    version: int,
    phantom: bool,
    modalities: list[str],
    site: str = "",
    name: str = "",
) -> dict[str, Any]:
    """The content of ``model.json``.

    Args:
        job: the job's settings.
        weights: the weights.
        version: rounds that the model has behind it.
        phantom: True when phantom data trained it.
        modalities: modality sets of the sites that trained it.
        site: whose personal tensors are among the weights, of a job that keeps some at the sites.
        name: ``global_best`` or ``global_last``, as tables shall call it; without it the former.
    """
    settings = to_mapping(job)
    return {
        "format": FORMAT,
        "fedvox_version": fedvox.__version__,
        "job": job.name,
        "round": version,
        "phantom": phantom,
        "organs": list(job.data.organs),
        "modalities": modalities,
        "network": settings["network"],
        "preprocessing": settings["data"],
        "normalisation": dict(NORMALISATION),
        "hash": model_hash(weights, settings),
        "settings": settings,
        **({"site": site} if site else {}),
        **({"model": name} if name else {}),
    }


def model_hash(weights: Arrays, settings: Mapping[str, Any]) -> str:
    """SHA-256 over the weights and the settings, so that neither can change alone."""
    text = weights_hash(weights) + json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_model(folder: Path, weights: Arrays, description: Mapping[str, Any]) -> Path:
    """Writes ``model.safetensors`` and ``model.json`` into a folder."""
    path = folder / "model.safetensors"
    write_arrays(path, dict(weights), {"hash": str(description["hash"]), "format": str(FORMAT)})
    write_json(folder / "model.json", dict(description))
    return path


def read_model(path: Path) -> TrainedModel:
    """Reads a model and checks that its two files belong together and are whole.

    Args:
        path: ``model.safetensors``; ``model.json`` is expected beside it.

    Raises:
        ModelError: missing, damaged, of another or an older format, weights that do not match, or
            that are no numbers; or the part of a model that sites complete.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; give the model.safetensors of a run")
    told = path.with_suffix(".json")
    if not told.is_file() and path.with_name("model.json").is_file():
        raise ModelError(
            f"{path}: beside it lies no {told.name} but a model.json; if that describes it, give "
            "both files one name"
        )
    if not told.is_file():
        raise ModelError(f"{told}: missing beside the weights; copy both from the run's folder")
    try:
        weights = read_arrays(path)
    except (ValueError, OSError):
        raise ModelError(
            f"{path}: not a whole safetensors file; copy it again from the run's folder"
        ) from None
    try:
        description = read_json(told)
        if description.get("format") == 1:
            raise ModelError(f"{path}: {OLDER}")
        if description.get("format") != FORMAT or not _is_description(description):
            raise ModelError(f"{told}: not a model description of fedvox; copy both files again")
        job = job_from(description.get("settings", {}), str(told))
    except ConfigError as error:
        raise ModelError(str(error)) from None
    own = describe_model(job, weights, 0, False, [])
    if any(description.get(key) != own[key] for key in PROTECTED):
        raise ModelError(
            f"{path}: weights or settings are not those that model.json describes; copy both again"
        )
    _refuse_broken(path, weights)
    _refuse_incomplete(path, job, description)
    return TrainedModel(job, weights, description)


def _is_description(found: Mapping[str, Any]) -> bool:
    """Whether what the hash does not protect is there and of its kind."""
    kinds = {"job": str, "round": int, "phantom": bool, "modalities": list}
    return (
        all(isinstance(found.get(key), kind) for key, kind in kinds.items())
        and all(isinstance(name, str) for name in found["modalities"])
        and found.get("model", BEST) in (BEST, LAST)
    )


def _refuse_broken(path: Path, weights: Arrays) -> None:
    """Weights of a training that ran away: such a network finds nothing, without a word."""
    broken = sum(not np.isfinite(array).all() for array in weights.values())
    if broken:
        raise ModelError(
            f"{path}: {broken} of {len(weights)} weight tensors hold NaN or infinite values, the "
            "training ran away; take the model of another run or round"
        )


def _refuse_incomplete(path: Path, job: JobSettings, description: Mapping[str, Any]) -> None:
    """The global model of a run whose sites kept tensors: with initial ones it finds nothing."""
    if job.encryption is not None and not description.get("site"):
        raise ModelError(
            f"{path}: this model is encrypted, as the server had it. Each site has it in the clear "
            "in its own run folder: take "
            f"fedvox/own_model/{own_folder(description['round'])}/ there"
        )
    if job.training.personal and not description.get("site"):
        raise ModelError(
            f"{path}: this is the part of a model that all sites share; the rest stayed at the "
            f"sites ('training.personal' is {', '.join(job.training.personal)}). Each site has its "
            "own complete model in its run folder: take "
            f"fedvox/own_model/{own_folder(description['round'])}/ there"
        )
