"""How much noise a site adds to what it sends; nothing here needs PyTorch."""

from dataclasses import dataclass

from fedvox.config import setting


@dataclass(frozen=True)
class NoiseSettings:
    """Clipping, Gaussian noise and a budget for updates.

    Attributes:
        clip: an update whose L2 norm over all tensors is larger is scaled down to it.
        noise: standard deviation of the noise on each entry, as a multiple of ``clip``.
        delta: the probability with which the guarantee may fail; below one divided by the number of
            patients.
        epsilon: budget; an update that would spend more is not sent.
    """

    clip: float = setting(1.0, low=1e-9, high=1e9)
    noise: float = setting(4.0, low=1e-6, high=1e6)
    delta: float = setting(1e-5, low=1e-12, high=0.1)
    epsilon: float = setting(8.0, low=1e-3, high=1e15)


def tighter(own: NoiseSettings, other: NoiseSettings | None) -> NoiseSettings:
    """What satisfies both: of each setting the stricter one.

    Args:
        own: of a site's policy.
        other: of the job, None where it asks for nothing.
    """
    if other is None:
        return own
    return NoiseSettings(
        clip=min(own.clip, other.clip),
        noise=max(own.noise, other.noise),
        delta=min(own.delta, other.delta),
        epsilon=min(own.epsilon, other.epsilon),
    )
