"""A trained model as TorchScript: window in [0, 1] in, class probabilities out.

The file also holds ``model.json``, so that :func:`read_torchscript` rebuilds the settings with
which the preprocessing of training is called.
"""

import io
import json
import warnings
from pathlib import Path

import torch

from fedvox.errors import ConfigError, ModelError
from fedvox.files import atomic_path
from fedvox.inference.model_files.model_file import OLDER, TrainedModel
from fedvox.inference.segmenter import Segmenter
from fedvox.job.model import model_of
from fedvox.job.settings import JobSettings, job_from

DESCRIPTION = "model.json"


def loaded_segmenter(trained: TrainedModel) -> Segmenter:
    """The model with its weights, on the CPU, in evaluation mode."""
    segmenter = Segmenter(model_of(trained.job, trained.weights))
    segmenter.eval()
    return segmenter


@torch.no_grad()
def write_torchscript(
    trained: TrainedModel, path: Path, segmenter: Segmenter | None = None
) -> None:
    """Traces the model at its window size and writes it with ``model.json`` inside, atomically.

    Args:
        trained: from :func:`fedvox.inference.model_files.model_file.read_model`.
        path: file to write, usually ``.ts``.
        segmenter: the same model if it is loaded already.
    """
    segmenter = segmenter or loaded_segmenter(trained)
    data, source = trained.job.data, torch.Generator().manual_seed(0)
    window = torch.rand(1, data.in_channels, *data.patch, generator=source)
    with warnings.catch_warnings():
        # Its checks of shapes become constants, which hold: a window has one size.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(segmenter, window)
    files = {DESCRIPTION: json.dumps(dict(trained.description))}
    content = io.BytesIO()  # where a disk is full, torch.jit.save would abort the process
    torch.jit.save(traced, content, _extra_files=files)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def read_torchscript(path: Path) -> tuple[torch.jit.ScriptModule, JobSettings]:
    """Reads a file of :func:`write_torchscript`.

    TorchScript is a program: open files only from people whom you would let run one.

    Returns:
        Module from ``(B, C, X, Y, Z)`` in [0, 1] to probabilities, and the job's settings, whose
        ``data.channels`` are the order of the C channels (none: one image).

    Raises:
        ModelError: no such file, damaged, not one of ours, or of an older format.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; give a file that 'fedvox export' wrote")
    files = {DESCRIPTION: ""}
    try:
        module = torch.jit.load(str(path), map_location="cpu", _extra_files=files)
    except (RuntimeError, ValueError, OSError):
        raise ModelError(f"{path}: not a whole TorchScript file; export it again") from None
    try:
        description = json.loads(files[DESCRIPTION])
        if description["format"] == 1:
            raise ModelError(f"{path}: {OLDER}")
        return module, job_from(description["settings"], DESCRIPTION)
    except (ValueError, KeyError, TypeError, ConfigError):
        raise ModelError(f"{path}: holds no description of fedvox; export it again") from None
