"""Sliding-window inference, shared by validation, testing and `fedvox predict`."""

from collections.abc import Iterator

import torch
from torch import nn

from fedvox.inference.segmenter import Segmenter
from fedvox.inference.windows import slide
from fedvox.job.device import autocast
from fedvox.job.settings import JobSettings


@torch.inference_mode()
def predict_slabs(
    model: nn.Module, image: torch.Tensor, job: JobSettings, device: torch.device
) -> Iterator[torch.Tensor]:
    """Class probabilities of a prepared image in slabs along X; no augmentation is ever applied.

    Args:
        model: on the device; put into evaluation mode here.
        image: ``(C, X, Y, Z)`` in [0, 1] on the job's grid.
        job: window size and overlap.
        device: where windows are computed.

    Yields:
        ``(1 + O, n, Y, Z)`` float32 probabilities on the CPU, one after the other along X.
    """

    model.eval()
    segmenter = Segmenter(model)

    def probabilities(window: torch.Tensor) -> torch.Tensor:
        with autocast(job.training, device):
            return torch.as_tensor(segmenter(window))

    yield from slide(image, job.data.patch, job.evaluation.overlap, probabilities, device)


@torch.inference_mode()
def predict_scores(
    model: nn.Module, image: torch.Tensor, job: JobSettings, device: torch.device
) -> torch.Tensor:
    """Class probabilities of a whole prepared image; arguments as in :func:`predict_slabs`.

    Returns:
        ``(1 + O, X, Y, Z)`` float32 probabilities on the CPU.
    """
    scores = torch.empty(len(job.data.organs) + 1, *image.shape[1:])
    end = 0
    for slab in predict_slabs(model, image, job, device):
        scores[:, end : end + slab.shape[1]] = slab
        end += slab.shape[1]
    return scores
