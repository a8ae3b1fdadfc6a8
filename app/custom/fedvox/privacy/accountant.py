"""What noise guarantees: ε and δ of all that a site sent, by Opacus' accountant."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fedvox.errors import ConfigError
from fedvox.privacy.noise_settings import CASE, NoiseSettings

NEAR_ONE = tuple(1 + 2.0**-power for power in range(4, 21))
"""Orders of Rényi divergence that give the least ε where there is little noise."""


@dataclass(frozen=True)
class Spend:
    """What one update costs.

    Attributes:
        noise: standard deviation as a multiple of the clip.
        rate: probability with which a step trains on a case; None where the update itself got the
            noise, once.
        steps: training steps that got noise.
    """

    noise: float
    rate: float | None = None
    steps: int = 1


def round_spend(settings: NoiseSettings, cases: int, batch: int, steps: int) -> Spend:
    """What a round's update costs.

    Args:
        settings: what holds at the site.
        cases: the site's training cases.
        batch: cases that a step trains on, in the mean.
        steps: of the round.
    """
    if settings.unit != CASE:
        return Spend(settings.noise)
    return Spend(settings.noise, sampling_rate(cases, batch), steps)


def sampling_rate(cases: int, batch: int) -> float:
    """The probability with which a step trains on a case, for ``batch`` of them in the mean."""
    return min(1.0, batch / cases)


def spent(spends: Sequence[Spend], delta: float) -> float:
    """The ε of some updates together, by Opacus' accountant of Rényi differential privacy.

    Of noise on an update: two data sets of a site, however different, give clipped updates that lie
    at most twice the clip apart. So the guarantee is for all of a site's training cases at once,
    and for each of them; the mechanism's multiplier is half of what is added. Of noise in each
    step: with and without a case the sums of clipped gradients lie at most one clip apart, and who
    sees them does not know in which steps it took part. As soon as one update of the second kind is
    among them, the guarantee is for each case.

    Args:
        spends: of each update that was sent.
        delta: the probability with which the guarantee may fail.

    Returns:
        ε; 0 for no update.

    Raises:
        ConfigError: Opacus is not installed.

    Reference:
        Mironov, "Rényi Differential Privacy", CSF 2017, arXiv 1702.07476; Mironov et al., "Rényi
        Differential Privacy of the Sampled Gaussian Mechanism", 2019, arXiv 1908.10530.

    Example:
        >>> round(spent([Spend(4.0)] * 8, delta=1e-5), 2)
        7.08
        >>> round(spent([Spend(2.0, rate=0.05, steps=300)] * 6, delta=1e-5), 2)
        5.58
    """
    if not spends:
        return 0.0
    try:
        from opacus.accountants import RDPAccountant  # seconds, and only where noise is asked for
    except ImportError:
        raise ConfigError(
            "noise on updates needs the package opacus; pip install -r requirements.txt"
        ) from None
    warnings.filterwarnings("ignore", "Optimal order is", UserWarning, r"opacus\..*")
    accountant = RDPAccountant()
    accountant.history = _history(spends)
    orders = list(RDPAccountant.DEFAULT_ALPHAS)  # any order gives a bound; the least counts
    if all(rate == 1.0 for _, rate, _ in accountant.history):
        orders = [*NEAR_ONE, *orders]
    return float(accountant.get_epsilon(delta, alphas=orders))


def _history(spends: Sequence[Spend]) -> list[tuple[float, float, int]]:
    """Multiplier, rate and steps of each kind of mechanism among the updates."""
    # Gaussian mechanisms together are one: 1/z² adds up, and one z needs one evaluation
    whole = sum((2.0 / own.noise) ** 2 for own in spends if own.rate is None)
    sampled: Counter[tuple[float, float]] = Counter()
    for own in spends:
        if own.rate is not None:
            sampled[own.noise, own.rate] += own.steps
    steps = [(noise, rate, count) for (noise, rate), count in sorted(sampled.items())]
    return [*steps, *([(1.0 / math.sqrt(whole), 1.0, 1)] if whole else [])]


def check_rounds(settings: NoiseSettings, rounds: int, each: Spend) -> None:
    """Do a run's rounds fit into its own budget? A site may have spent more before.

    Args:
        settings: a job's.
        rounds: of the run, in each of which a site may send an update.
        each: what one of them costs.

    Raises:
        ConfigError: no; says what they cost, how many fit, and with how much noise all do.
    """

    def cost(count: int, noise: float) -> float:
        return spent([Spend(noise, each.rate, each.steps)] * count, settings.delta)

    whole = cost(rounds, settings.noise)
    if whole <= settings.epsilon:
        return
    fitting, beyond = 0, rounds
    while beyond - fitting > 1:
        middle = (fitting + beyond) // 2
        fits = cost(middle, settings.noise) <= settings.epsilon
        fitting, beyond = (middle, beyond) if fits else (fitting, middle)
    little, enough = settings.noise, 2 * settings.noise
    while cost(rounds, enough) > settings.epsilon:
        little, enough = enough, 2 * enough
    while enough / little > 1.001:
        middle_noise = math.sqrt(little * enough)
        fits = cost(rounds, middle_noise) <= settings.epsilon
        little, enough = (little, middle_noise) if fits else (middle_noise, enough)
    fewer = f"lower 'training.rounds' to {fitting}, " if fitting else ""
    raise ConfigError(
        f"{rounds} rounds with 'privacy.noise' {settings.noise:g} cost an epsilon of {whole:.3g} "
        f"at delta {settings.delta:g}, and 'privacy.epsilon' is {settings.epsilon:g}; {fewer}raise "
        f"'privacy.noise' to {_rounded_up(enough)} or 'privacy.epsilon' to {_rounded_up(whole)}"
    )


def _rounded_up(value: float) -> str:
    """Three digits, not below the value."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"{math.ceil(value / step) * step:.3g}"
