"""One training step: draw, augment, normalise, forward, backward, update."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from fedvox.augment import build_intensity
from fedvox.augment.contrast import keep_moments, vary_contrast
from fedvox.augment.geometric import apply_geometric, draw_geometric
from fedvox.augment.modality_dropout import draw_kept
from fedvox.data.cases.patches import Batch
from fedvox.data.organs import parent_pairs
from fedvox.inference.normalise import normalise
from fedvox.job.device import autocast, loss_scaler
from fedvox.job.settings import JobSettings
from fedvox.losses.target import Target
from fedvox.networks.outputs import LOGITS
from fedvox.seeding import generator
from fedvox.training.halving import Halving, backward_in_parts
from fedvox.training.term import RECEIVED, Outputs, Term
from fedvox.training.terms import needs, outputs_of, terms_of, total

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
        halving: halves the batch when memory runs out.
        terms: of the loss.
        received: the model that the round began with, frozen, or None where no term reads it.
    """

    job: JobSettings
    device: torch.device
    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    intensity: Callable[[torch.Tensor, torch.Generator], torch.Tensor]
    halving: Halving
    terms: tuple[Term, ...]
    received: nn.Module | None = None

    def __call__(self, batch: Batch, address: Address, rate: float) -> torch.Tensor:
        """Trains on one batch.

        Args:
            batch: from :func:`fedvox.data.cases.patches.draw_batch`.
            address: seeds the augmentation's draws.
            rate: learning rate.

        Returns:
            The loss, detached, on the device (reading it would stop a GPU's queue).

        Raises:
            MemoryFull: memory ran out, with half the batch too.
        """
        site = str(address[1])
        loss = self.halving.run(lambda parts: self.differentiate(batch, address, parts), site)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self.halving.named(site):
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.job.training.gradient_norm)
            self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss

    def differentiate(self, batch: Batch, address: Address, parts: int) -> torch.Tensor:
        """Replaces the parameters' gradients by those of a batch's (scaled) loss.

        Args:
            batch: as for a step.
            address: as for a step.
            parts: parts of the batch that go through the network one after the other.

        Returns:
            The loss, detached, not scaled.
        """
        image, label, annotated = self.augmented(batch, address)
        parents = parent_pairs(self.job.data.organs)
        target = Target(label, annotated, parents, batch.ignores, batch.complete)
        self.optimizer.zero_grad(set_to_none=True)
        fixed = self._received_outputs(normalise(image), parts)
        losses = []

        def scaled_loss(outputs: Outputs) -> torch.Tensor:
            losses.append(total(self.terms, {**outputs, **fixed}, target))
            return self.scaler.scale(losses[0])

        backward_in_parts(
            self.model,
            lambda *part: self._outputs(self.model, *part),
            self._inputs(image, batch, address),
            scaled_loss,
            parts,
        )
        return losses[0].detach()

    def _inputs(
        self, image: torch.Tensor, batch: Batch, address: Address
    ) -> tuple[torch.Tensor, ...]:
        """What the network takes: the image, less what is dropped of it, or what is kept of it."""
        share = self.job.training.modality_dropout
        if not share:
            return (normalise(image),)
        kept = draw_kept(batch.present, share, generator(*address, "modality")).to(image)
        if getattr(self.model, "drops", False):
            return normalise(image), kept
        return (normalise(image * kept[:, :, None, None, None]),)

    def _outputs(self, model: nn.Module, *inputs: torch.Tensor) -> Outputs:
        with autocast(self.job.training, self.device):
            return outputs_of(model, *inputs)

    @torch.no_grad()
    def _received_outputs(self, image: torch.Tensor, parts: int) -> Outputs:
        if self.received is None:
            return {}
        pieces = image.split(-(-len(image) // parts))
        logits = [self._outputs(self.received, piece)[LOGITS] for piece in pieces]
        return {RECEIVED: torch.cat(logits)}

    def augmented(
        self, batch: Batch, address: Address
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Moves a batch to the device and augments it there.

        Returns:
            Image ``(B, C, X, Y, Z)`` before normalisation, with about the mean and spread of one
            in [0, 1], label ``(B, X, Y, Z)`` and annotated ``(B, O)``.
        """
        batch = batch.to(self.device)
        image, label, annotated = batch.image, batch.label, batch.annotated
        geometric = draw_geometric(
            self.job.augmentation.geometric,
            len(image),
            self.job.data.patch,
            generator(*address, "geometric"),
            self.job.data.spacing,
        )
        image, label = apply_geometric(image, label, geometric)
        image = keep_moments(self.intensity(image, generator(*address, "intensity")), image)
        contrast = self.job.augmentation.contrast
        image = vary_contrast(image, contrast, generator(*address, "contrast"))
        if self.job.data.missing_channels:  # they stay 0 whatever an augmentation made of them
            image = image * batch.present[:, :, None, None, None]
        return image, label, annotated


def build_step(
    job: JobSettings, model: nn.Module, device: torch.device, partly: bool = False
) -> Step:
    """Puts together a job's training step.

    Args:
        job: the job's settings.
        model: the received model, on the device already.
        device: where steps run.
        partly: whether some training case leaves out an organ of the job.
    """
    terms, received = terms_of(job, partly), None
    if needs(terms, RECEIVED):
        received = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.named_parameters(),
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
        halving=Halving(model, job.training.batch, job.data.patch, device),
        terms=terms,
        received=received,
    )
