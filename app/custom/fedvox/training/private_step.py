"""Training steps that hide each case: gradients clipped case by case, and noise on their sum.

Reference:
    Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, arXiv 1607.00133, algorithm
    1; clipping, noise and accounting by Opacus.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from fedvox.data.cases.patches import Batch, draw_batch
from fedvox.data.cases.prepared import PreparedCase
from fedvox.errors import ConfigError
from fedvox.job.settings import JobSettings
from fedvox.privacy.accountant import sampling_rate
from fedvox.seeding import derive_seed, generator
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
    cases: Sequence[PreparedCase], job: JobSettings, site: str, privacy: CasePrivacy, index: int
) -> DrawnCases:
    """Draws who takes part in a step, each case by itself with the same probability.

    Args:
        cases: the site's training cases.
        job: the job's settings; ``training.batch`` is the number of cases in the mean.
        site: the site's name.
        privacy: whose seed nobody else may know: the guarantee counts on that nobody knows who
            takes part.
        index: the step of the round.
    """
    secret = generator(privacy.seed, site, index, "cases")
    chances = torch.rand(len(cases), generator=secret, dtype=torch.float64)
    rate = sampling_rate(len(cases), job.training.batch)
    taken = (chances < rate).nonzero().flatten().tolist()
    return DrawnCases(
        {
            place: draw_batch(
                [cases[place]], job.data, 1, generator(privacy.seed, site, index, place, "patch")
            )
            for place in taken
        }
    )


class PrivateStep:
    """One step of DP-SGD, in place of :class:`fedvox.training.step.Step`.

    Cases go through the network one after the other, so any network and any loss will do in which
    nothing but the gradient outlives a case.

    Args:
        step: the job's step.
        privacy: clip, noise and the secret seed.

    Raises:
        ConfigError: the network keeps statistics of its training cases, or the device computes in
            float16, whose scaled gradients cannot be clipped.
    """

    def __init__(self, step: Step, privacy: CasePrivacy) -> None:
        from opacus.optimizers import DPOptimizer  # seconds, and only where it is asked for

        _check_network(step.model)
        if step.scaler.is_enabled():
            raise ConfigError(
                "noise in each step needs gradients that are not scaled, and this GPU has no "
                "bfloat16; set 'training.precision' to float32"
            )
        self.step = step
        settings = privacy.settings
        self.optimizer = DPOptimizer(
            step.optimizer,
            noise_multiplier=settings.noise,
            max_grad_norm=settings.clip,
            expected_batch_size=step.job.training.batch,
            generator=torch.Generator(step.device).manual_seed(derive_seed(privacy.seed, "noise")),
        )

    def __call__(self, drawn: DrawnCases, address: Address, rate: float) -> torch.Tensor:
        """Trains on the drawn cases, of whom there may be none.

        Args:
            drawn: from :func:`draw_cases`.
            address: seeds the augmentation's draws, together with a case's place.
            rate: learning rate.

        Returns:
            The cases' losses, summed and divided by the mean number of cases, detached.

        Raises:
            MemoryFull: memory ran out.
        """
        site, total = str(address[1]), torch.zeros((), device=self.step.device)
        for place, sample in drawn.samples.items():
            total += self._accumulate(sample, (*address, place), site)
        for parameter in self.optimizer.params:  # the end of a step is a part without any case
            parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total / self.step.job.training.batch

    def _accumulate(self, sample: Batch, address: Address, site: str) -> torch.Tensor:
        """Adds one case's clipped gradient to the step's sum."""
        loss = self.step.halving.run(
            lambda parts: self.step.differentiate(sample, address, parts), site
        )
        gradients = [p.grad for p in self.optimizer.params]
        finite = all(bool(g.isfinite().all()) for g in gradients if g is not None)
        if not finite:  # times a clip of 0 it would still not be finite
            logger.warning("%s: the gradient of a case is not finite and counts for nothing", site)
        for parameter, gradient in zip(self.optimizer.params, gradients, strict=True):
            known = gradient is not None and finite
            own = gradient if known else torch.zeros_like(parameter)
            parameter.grad_sample = own.detach()[None]
        self.optimizer.signal_skip_step(do_skip=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss


def _check_network(model: nn.Module) -> None:
    """No layer keeps running statistics: they would leave without noise."""
    from torch.nn.modules.batchnorm import _NormBase

    if any(isinstance(layer, _NormBase) and layer.track_running_stats for layer in model.modules()):
        raise ConfigError(
            "noise in each step does not reach the running statistics of batch normalisation; set "
            "'network.norm' to instance"
        )
