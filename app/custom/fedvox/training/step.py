"""One training step: draw, augment, normalise, forward, backward, update."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from fedvox.augment import build_intensity
from fedvox.augment.geometric import apply_geometric, draw_geometric
from fedvox.data.organs import parent_pairs
from fedvox.data.patches import Batch
from fedvox.seeding import generator
from fedvox.training.device import autocast, loss_scaler
from fedvox.training.losses import segmentation_loss
from fedvox.training.normalise import zscore
from fedvox.training.settings import JobSettings

Address = tuple[str | int, ...]


@dataclass(frozen=True)
class Step:
    """The parts of a training step that do not change between steps.

    Attributes:
        job: the job's settings.
        device: where the step runs.
        model, optimizer: what it trains.
        scaler: loss scaler for float16.
        intensity: the job's intensity augmentation.
    """

    job: JobSettings
    device: torch.device
    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    intensity: Callable[[torch.Tensor, torch.Generator], torch.Tensor]

    def __call__(self, batch: Batch, address: Address, rate: float) -> torch.Tensor:
        """Trains on one batch.

        Args:
            batch: from :func:`fedvox.data.patches.draw_batch`.
            address: seeds the augmentation's draws.
            rate: learning rate.

        Returns:
            The loss, detached, on the device (reading it would stop a GPU's queue).
        """
        image, label, annotated = self.augmented(batch, address)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.job.training, self.device):
            logits = self.model(zscore(image))
        parents = parent_pairs(self.job.data.organs)
        loss = segmentation_loss(logits, label, annotated, self.job.training.loss, parents)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.job.training.gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    def augmented(
        self, batch: Batch, address: Address
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Moves a batch to the device and augments it there.

        Returns:
            Image ``(B, C, X, Y, Z)`` in [0, 1] before normalisation, label ``(B, X, Y, Z)`` and
            annotated ``(B, O)``.
        """
        image = batch.image.to(self.device, non_blocking=True)
        label = batch.label.to(self.device, non_blocking=True)
        annotated = batch.annotated.to(self.device, non_blocking=True)
        geometric = draw_geometric(
            self.job.augmentation.geometric,
            len(image),
            self.job.data.patch,
            generator(*address, "geometric"),
            self.job.data.spacing,
        )
        image, label = apply_geometric(image, label, geometric)
        return self.intensity(image, generator(*address, "intensity")), label, annotated


def build_step(job: JobSettings, model: nn.Module, device: torch.device) -> Step:
    """Puts together a job's training step around a model that is on the device already."""
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=job.training.learning_rate,
        weight_decay=job.training.weight_decay,
    )
    return Step(
        job=job,
        device=device,
        model=model,
        optimizer=optimizer,
        scaler=loss_scaler(job.training, device),
        intensity=build_intensity(job.augmentation),
    )
