"""The Gaussian mechanism on a site's update, and what it costs.

Reference:
    Dwork and Roth, "The Algorithmic Foundations of Differential Privacy", 2014, appendix A; Geyer
    et al., "Differentially Private Federated Learning: A Client Level Perspective", 2017,
    arXiv 1712.07557, there with noise at the server.
"""

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from fedvox.errors import ConfigError, DataError
from fedvox.privacy.noise_settings import NoiseSettings

Arrays = Mapping[str, np.ndarray]
NEAR_ONE = tuple(1 + 2.0**-power for power in range(4, 21))
"""Orders of Rényi divergence that give the least ε where there is little noise."""


def clipped(update: Arrays, clip: float) -> dict[str, np.ndarray]:
    """An update of at most a norm.

    Args:
        update: tensor name -> what training changed.
        clip: largest L2 norm over all tensors.

    Returns:
        The same direction, in float64.

    Raises:
        DataError: a number is not finite; scaled, it would still not be.

    Example:
        >>> clipped({"w": np.array([3.0, 4.0])}, 2.5)["w"].tolist()
        [1.5, 2.0]
    """
    exact = {name: array.astype(np.float64) for name, array in update.items()}
    largest = max((float(np.abs(array).max()) for array in exact.values() if array.size), default=0)
    if not math.isfinite(largest):
        raise DataError("an update with a number that is not finite cannot be given noise")
    if largest == 0:
        return exact
    # by the largest entry first: squares of a float64 near its limit are infinite
    shares = (float(np.square(array / largest).sum()) for array in exact.values())
    scale = min(1.0, clip / (largest * math.sqrt(sum(shares))))
    return {name: array * scale for name, array in exact.items()}


def noised(
    weights: Arrays, received: Arrays, settings: NoiseSettings, source: np.random.Generator
) -> dict[str, np.ndarray]:
    """Weights whose difference from the received ones is clipped and has noise on every entry.

    Args:
        weights: after training.
        received: what training began with, the same tensors.
        settings: clip and noise.
        source: of the draws; nobody else may know its seed.

    Returns:
        ``received + clip(weights - received) + N(0, (noise · clip)²)``, in the tensors' own types.

    Raises:
        ConfigError: the tensors are not those that training began with.
        DataError: a number is not finite.
    """
    if weights.keys() != received.keys():
        raise ConfigError("noise needs the model that training began with; nothing was sent")
    steps = {
        name: array.astype(np.float64) - received[name].astype(np.float64)
        for name, array in weights.items()
    }
    result = {}
    for name, step in sorted(clipped(steps, settings.clip).items()):
        deviation = settings.noise * settings.clip
        drawn = step + deviation * source.standard_normal(step.shape)
        result[name] = (received[name].astype(np.float64) + drawn).astype(weights[name].dtype)
    return result


def spent(noises: Sequence[float], delta: float) -> float:
    """The ε of some updates together, by Opacus' accountant of Rényi differential privacy.

    Two data sets of a site, however different, give clipped updates that lie at most twice the clip
    apart. So the guarantee is for all of a site's training cases at once, and for each of them; the
    mechanism's multiplier is half of what is added.

    Args:
        noises: of each update that was sent: standard deviation as a multiple of its clip.
        delta: the probability with which the guarantee may fail.

    Returns:
        ε; 0 for no update.

    Raises:
        ConfigError: Opacus is not installed.

    Reference:
        Mironov, "Rényi Differential Privacy", CSF 2017, arXiv 1702.07476.

    Example:
        >>> round(spent([4.0] * 8, delta=1e-5), 2)
        7.08
    """
    if not noises:
        return 0.0
    try:
        from opacus.accountants import RDPAccountant  # seconds, and only where noise is asked for
    except ImportError:
        raise ConfigError(
            "noise on updates needs the package opacus; pip install -r requirements.txt"
        ) from None
    warnings.filterwarnings("ignore", "Optimal order is", UserWarning, r"opacus\..*")
    accountant = RDPAccountant()
    # Gaussian mechanisms together are one: 1/z² adds up, and one z needs one evaluation
    together = 1.0 / math.sqrt(sum((2.0 / noise) ** 2 for noise in noises))
    accountant.history = [(together, 1.0, 1)]
    orders = [*NEAR_ONE, *RDPAccountant.DEFAULT_ALPHAS]  # any order gives a bound; least counts
    return float(accountant.get_epsilon(delta, alphas=orders))


def check_rounds(settings: NoiseSettings, rounds: int) -> None:
    """Do a run's rounds fit into its own budget? A site may have spent more before.

    Args:
        settings: a job's.
        rounds: of the run, in each of which a site may send an update.

    Raises:
        ConfigError: no; says what they cost, how many fit, and with how much noise all do.
    """
    cost = spent([settings.noise] * rounds, settings.delta)
    if cost <= settings.epsilon:
        return
    fitting = rounds
    while fitting and spent([settings.noise] * fitting, settings.delta) > settings.epsilon:
        fitting -= 1
    enough = settings.noise
    while spent([enough] * rounds, settings.delta) > settings.epsilon:
        enough *= 1.01
    fewer = f"lower 'training.rounds' to {fitting}, " if fitting else ""
    raise ConfigError(
        f"{rounds} rounds with 'privacy.noise' {settings.noise:g} cost an epsilon of {cost:.3g} at "
        f"delta {settings.delta:g}, and 'privacy.epsilon' is {settings.epsilon:g}; {fewer}raise "
        f"'privacy.noise' to {_rounded_up(enough)} or 'privacy.epsilon' to {_rounded_up(cost)}"
    )


def _rounded_up(value: float) -> str:
    """Three digits, not below the value."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"{math.ceil(value / step) * step:.3g}"
