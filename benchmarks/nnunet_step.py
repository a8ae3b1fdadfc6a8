"""nnU-Net's own training step on a given network, for benchmarks.

nnU-Net is not among this project's packages: it comes into an environment beside it with
``pip install nnunetv2==2.8.1``.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
CONFIGURATION = "3d_fullres"


def nnunet_step(
    network: nn.Module,
    image: torch.Tensor,
    label: torch.Tensor,
    organs: list[str],
    device: torch.device,
    compiled: bool,
) -> Callable[[int], object]:
    """``nnUNetTrainer.train_step`` as a function of its number: nnU-Net's loss, optimiser, scaler.

    Deep supervision is off, as the given network has one output. nnU-Net augments in other
    processes before its step; nothing here does.

    Args:
        network: on the device, in training mode.
        image: ``(B, 1, X, Y, Z)`` on the CPU, normalised.
        label: ``(B, X, Y, Z)`` on the CPU.
        organs: names of the labels from 1.
        device: where it runs.
        compiled: whether network and loss go through ``torch.compile``, nnU-Net's default on GPUs.

    Raises:
        ImportError: nnU-Net is not installed.
    """
    folder = tempfile.mkdtemp()
    for name in FOLDERS:
        os.environ[name] = folder
    os.environ["nnUNet_compile"] = str(compiled)  # noqa: SIM112  # nnU-Net's spelling
    trainer = _trainer(list(image.shape[2:]), len(image), organs, device, Path(folder))
    trainer.enable_deep_supervision = False
    trainer.network = torch.compile(network) if trainer._do_i_compile() else network
    trainer.optimizer, _ = trainer.configure_optimizers()
    trainer.loss = trainer._build_loss()
    batch = {"data": image, "target": label[:, None].short()}

    def step(index: int) -> object:
        with _as_its_command():
            return trainer.train_step(batch)

    return step


@contextmanager
def _as_its_command() -> Iterator[None]:
    """PyTorch's switches as nnU-Net's ``run_training`` sets them, and as they were afterwards."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    with torch.backends.cudnn.flags(benchmark=True, deterministic=False, allow_tf32=True):
        yield
    torch.use_deterministic_algorithms(deterministic, warn_only=True)


def _trainer(  # type: ignore[no-untyped-def]  # nnU-Net states no types
    patch: list[int], batch: int, organs: list[str], device: torch.device, folder: Path
):
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    plans = {
        "dataset_name": "Dataset001_step",
        "plans_name": "nnUNetPlans",
        "label_manager": "LabelManager",
        "continue_training": False,
        "configurations": {
            CONFIGURATION: {
                "data_identifier": "step",
                "batch_size": batch,
                "patch_size": patch,
                "batch_dice": False,
                "architecture": {"network_class_name": "", "arch_kwargs": {}},  # ours is taken
            }
        },
    }
    labels = {"background": 0} | {organ: index for index, organ in enumerate(organs, start=1)}
    dataset = {"labels": labels, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    return nnUNetTrainer(plans, CONFIGURATION, 0, dataset, device)
