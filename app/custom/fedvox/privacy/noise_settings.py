"""How much noise a site adds, to what and against whom; nothing here needs PyTorch."""

from dataclasses import dataclass, replace

from fedvox.config import setting
from fedvox.errors import ConfigError

SITE, CASE = "site", "case"
UNITS = (SITE, CASE)
"""Whom noise hides: all training cases of a site at once, or each of them among the others."""


@dataclass(frozen=True)
class NoiseSettings:
    """Clipping, Gaussian noise and a budget.

    Attributes:
        unit: ``site`` clips a round's update and gives it noise once: the guarantee is for all of a
            site's cases at once. ``case`` clips each case's gradient in each training step and
            gives noise to their sum (DP-SGD): the guarantee is for each case.
        clip: an update, or a case's gradient, whose L2 norm over all tensors is larger is scaled
            down to it.
        noise: standard deviation of the noise on each entry, as a multiple of ``clip``.
        delta: the probability with which the guarantee may fail; below one divided by the number of
            patients.
        epsilon: budget; an update that would spend more is not sent.
    """

    unit: str = setting(SITE, choices=UNITS)
    clip: float = setting(1.0, low=1e-9, high=1e9)
    noise: float = setting(4.0, low=1e-6, high=1e6)
    delta: float = setting(1e-5, low=1e-12, high=0.1)
    epsilon: float = setting(8.0, low=1e-3, high=1e15)


def tighter(own: NoiseSettings, other: NoiseSettings | None) -> NoiseSettings:
    """What satisfies both: of each setting the stricter one.

    A policy for the whole site holds against a job that hides each case, since it hides each too.

    Args:
        own: of a site's policy.
        other: of the job, None where it asks for nothing.

    Raises:
        ConfigError: the policy is for each case and the job for the whole site: by its clip and
            noise alone steps would not be those that the policy wants.
    """
    if other is None:
        return own
    delta, epsilon = min(own.delta, other.delta), min(own.epsilon, other.epsilon)
    if (own.unit, other.unit) == (CASE, SITE):
        raise ConfigError(
            "this site's policy asks for noise in each training step, and the job for noise on "
            "each update; set 'privacy.unit' to case in the job, or leave out 'privacy'"
        )
    if own.unit != other.unit:
        return replace(own, delta=delta, epsilon=epsilon)
    return NoiseSettings(
        unit=own.unit,
        clip=min(own.clip, other.clip),
        noise=max(own.noise, other.noise),
        delta=delta,
        epsilon=epsilon,
    )
