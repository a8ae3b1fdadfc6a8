"""Training steps that hide each case: gradients clipped case by case, and noise on their sum.

Reference:
    Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, arXiv 1607.00133, algorithm
    1; clipping, noise and accounting by Opacus.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from fedvox.data.cases.patches import Batch, draw_batch
from fedvox.data.cases.prepared import PreparedCase
from fedvox.errors import ConfigError
from fedvox.job.device import loss_scaler
from fedvox.job.settings import JobSettings, TrainingSettings
from fedvox.privacy.accountant import sampling_rate
from fedvox.seeding import generator
from fedvox.training.noise import CasePrivacy
from fedvox.training.step import Address, Step

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DrawnCases:
    """The cases that take part in one step.

    Attributes:
        samples: a case's place among the site's cases -> a batch of one patch of it.
    """

    samples: Mapping[int, Batch]

    def to(self, device: torch.device) -> "DrawnCases":
        """The patches on a device."""
        return self._each(lambda batch: batch.to(device))

    def pinned(self) -> "DrawnCases":
        """The patches in page-locked memory, as :meth:`fedvox.data.cases.patches.Batch.pinned`."""
        return self._each(Batch.pinned)

    def _each(self, change: Callable[[Batch], Batch]) -> "DrawnCases":
        return DrawnCases({place: change(batch) for place, batch in self.samples.items()})


def draw_cases(
    cases: Sequence[PreparedCase], job: JobSettings, privacy: CasePrivacy, index: int
) -> DrawnCases:
    """Draws who takes part in a step, each case by itself with the same probability.

    Args:
        cases: the site's training cases.
        job: the job's settings; ``training.batch`` is the number of cases in the mean.
        privacy: whose seed nobody else may know: the guarantee counts on that nobody knows who
            takes part.
        index: the step of the round.
    """
    chances = _source(privacy, 0, index).random(len(cases))
    rate = sampling_rate(len(cases), job.training.batch)
    return DrawnCases(
        {
            place: draw_batch(
                [cases[place]], job.data, 1, generator(privacy.seed, index, place, "patch")
            )
            for place in (chances < rate).nonzero()[0].tolist()
        }
    )


def _source(privacy: CasePrivacy, *key: int) -> np.random.Generator:
    """Draws that depend on all 128 bits, unlike those of PyTorch on a CPU."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(privacy.seed, spawn_key=key)))


class PrivateStep:
    """One step of DP-SGD, in place of :class:`fedvox.training.step.Step`.

    Cases go through the network one after the other, so any network and any loss will do in which
    nothing but the gradient outlives a case.

    Args:
        step: the job's step, made for one patch at a time.
        privacy: clip, noise and the secret seed.
        expected: cases that a step trains on, in the mean.

    Raises:
        ConfigError: as :func:`check_private`.
    """

    def __init__(self, step: Step, privacy: CasePrivacy, expected: int) -> None:
        from fedvox.training.private_optimizer import PrivateOptimizer  # Opacus takes seconds

        check_private(step.model, step.job.training, step.device)
        self.step, self.seed, self.expected = step, privacy.seed, expected
        self.optimizer = PrivateOptimizer(
            step.optimizer,
            _source(privacy, 1),
            noise_multiplier=privacy.settings.noise,
            max_grad_norm=privacy.settings.clip,
            expected_batch_size=expected,
        )

    def __call__(self, drawn: DrawnCases, address: Address, rate: float) -> torch.Tensor:
        """Trains on the drawn cases, of whom there may be none.

        Args:
            drawn: from :func:`draw_cases`.
            address: of the step; its seed, which others know, is not used.
            rate: learning rate.

        Returns:
            The cases' losses, summed and divided by the mean number of cases, detached.

        Raises:
            MemoryFull: memory ran out.
        """
        _, site, *place_in_run = address
        total = torch.zeros((), device=self.step.device)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self.step.halving.named(str(site)):
            for place, sample in drawn.samples.items():
                # by the secret: a case's augmentation must not tell who stands before it
                total += self._accumulate(sample, (self.seed, site, *place_in_run, place))
            for parameter in self.optimizer.params:  # the end of a step is a part without any case
                parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return total / self.expected

    def _accumulate(self, sample: Batch, address: Address) -> torch.Tensor:
        """Adds one case's clipped gradient to the step's sum."""
        loss = self.step.differentiate(sample, address, 1)
        parameters = self.optimizer.params
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        finite = bool(torch.stack([gradient.isfinite().all() for gradient in gradients]).all())
        if not finite:  # times a clip of 0 it would still not be finite
            logger.warning("the gradient of a case is not finite and counts for nothing")
        for parameter, gradient in zip(parameters, gradients, strict=True):
            own = gradient if finite else torch.zeros_like(gradient)
            parameter.grad_sample = own.detach()[None]
        self.optimizer.signal_skip_step(do_skip=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss


def check_private(model: nn.Module, training: TrainingSettings, device: torch.device) -> None:
    """Can noise in each step hide the cases?

    Args:
        model: what is trained.
        training: the job's settings.
        device: where it is trained.

    Raises:
        ConfigError: the network keeps running statistics of its training cases, which would leave
            without noise; a round ends by the clock, which tells how many cases took part; or the
            device computes in float16, whose scaled gradients cannot be clipped.
    """
    from torch.nn.modules.batchnorm import _NormBase

    if any(isinstance(layer, _NormBase) and layer.track_running_stats for layer in model.modules()):
        raise ConfigError(
            "noise in each step does not reach the running statistics of batch normalisation; set "
            "'network.norm' to instance"
        )
    if training.minutes:
        raise ConfigError(
            "with noise in each step a round has a number of steps; set 'training.minutes' to 0"
        )
    if loss_scaler(training, device).is_enabled():
        raise ConfigError(
            "noise in each step needs gradients that are not scaled, and this GPU has no "
            "bfloat16; set 'training.precision' to float32"
        )
