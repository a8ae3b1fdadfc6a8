"""Sliding-window inference through MONAI, shared by validation, testing and `fedvox predict`."""

import torch
from torch import nn

from fedvox.training.device import autocast
from fedvox.training.normalise import zscore
from fedvox.training.settings import JobSettings


@torch.inference_mode()
def predict_scores(
    model: nn.Module, image: torch.Tensor, job: JobSettings, device: torch.device
) -> torch.Tensor:
    """Class probabilities of a whole prepared image; no augmentation is ever applied.

    Args:
        model: on the device; put into evaluation mode here.
        image: ``(C, X, Y, Z)`` in [0, 1] on the job's grid.
        job: window size and overlap.
        device: where windows are computed.

    Returns:
        ``(1 + O, X, Y, Z)`` float32 probabilities on the CPU.
    """
    from monai.inferers import sliding_window_inference

    def probabilities(window: torch.Tensor) -> torch.Tensor:
        with autocast(job.training, device):
            logits = model(zscore(window))
        return torch.softmax(logits.float(), dim=1)

    model.eval()
    scores = sliding_window_inference(
        image[None],
        roi_size=job.data.patch,
        sw_batch_size=1,
        predictor=probabilities,
        overlap=job.evaluation.overlap,
        mode="gaussian",
        sw_device=device,
        device="cpu",
    )
    return torch.as_tensor(scores)[0]
