"""Faults of a model's two files; what is asked is whether prediction would read it."""

import shutil

import numpy as np

from faults.changes import Change
from faults.fault import ERROR, Fault, Found
from faults.room import Room
from fedvox.data.check.refusal import refusal
from fedvox.errors import FedVoxError
from fedvox.inference.model_files.model_file import describe_model, read_model, write_model
from fedvox.job.settings import job_from

DATA = {"organs": ["liver"], "spacing": [12, 12, 12], "patch": [8, 8, 8], "modalities": ["ct"]}


def read(room: Room) -> list[Found]:
    """What reading the model says."""
    try:
        read_model(room.root / "run/model.safetensors")
    except FedVoxError as error:
        return [("error", refusal("error", error))]
    return []


def written(folder: str, value: float) -> Change:
    """A model whose weights are one value."""

    def apply(room: Room) -> None:
        job = job_from({"name": "tiny", "data": DATA, "network": {"channels": [4, 8]}})
        weights = {"layer.weight": np.full((2, 3), value, np.float32)}
        (room.root / folder).mkdir(exist_ok=True)
        write_model(room.root / folder, weights, describe_model(job, weights, 3, True, ["ct"]))

    return apply


def mixed(room: Room) -> None:
    """The weights of one run beside the description of another."""
    written("run", 1.0)(room)
    written("other", 2.0)(room)
    shutil.copy(room.root / "other/model.safetensors", room.root / "run")


def cut(room: Room) -> None:
    """A model that was not copied to its end."""
    written("run", 1.0)(room)
    path = room.root / "run/model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def alone(room: Room) -> None:
    """Weights without their description."""
    written("run", 1.0)(room)
    (room.root / "run/model.json").unlink()


FAULTS = (
    Fault(
        "model with NaN weights",
        written("run", float("nan")),
        "error",
        "1 of 1 weight tensors hold NaN or infinite values, the training ran away",
        "take the model of another run or round",
        written("run", 1.0),
        who=ERROR,
        look=read,
    ),
    Fault(
        "weights of another run",
        mixed,
        "error",
        "weights or settings are not those that model.json describes",
        "copy both again",
        written("run", 1.0),
        who=ERROR,
        look=read,
    ),
    Fault(
        "truncated model",
        cut,
        "error",
        "not a whole safetensors file",
        "copy it again from the run's folder",
        written("run", 1.0),
        who=ERROR,
        look=read,
    ),
    Fault(
        "model without description",
        alone,
        "error",
        r"model\.json: missing beside the weights",
        "copy both from the run's folder",
        written("run", 1.0),
        who=ERROR,
        look=read,
    ),
)
