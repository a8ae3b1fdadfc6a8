"""How much of an update travels in each direction; nothing here needs PyTorch."""

from dataclasses import dataclass

from fedvox.config import setting
from fedvox.errors import ConfigError

SECTION = 2**20
"""Entries that are coded on their own; so the longest run of ``chunk``."""

EXACT = 32
"""``bits`` of values that are not quantised."""

BITS = (2, 3, 4, 5, 6, 7, 8, EXACT)
SHORTEST_CHUNK = 64
RECEIVED, OWN = "received", "own"
"""What a site trains on from."""


@dataclass(frozen=True)
class LinkSettings:
    """One direction.

    A share `p` at `b` bits costs at most about `(H(p) + p b) / 32` of float32, `H` being the
    entropy of a place.

    Attributes:
        keep: share of the entries that is sent, the largest; 0.09 at 3 bits is 2.2% of float32.
        bits: of a sent value, its sign included: 2 to 8; 32 sends values as they are.
    """

    keep: float = setting(0.09, low=1e-6, high=1.0)
    bits: int = setting(3, choices=BITS)


@dataclass(frozen=True)
class DownSettings(LinkSettings):
    """From the server: the places that sites choose overlap little, so a mean has more of them.

    Attributes:
        keep: share of the entries that is sent, the largest; 0.18 at 3 bits is 3.8% of float32.
        bits: of a sent value, its sign included: 2 to 8; 32 sends values as they are.
    """

    keep: float = setting(0.18, low=1e-6, high=1.0)


@dataclass(frozen=True)
class CompressionSettings:
    """Both directions, and how their messages are made.

    Attributes:
        up: from the sites to the server.
        down: from the server to the sites.
        chunk: 0 takes the largest entries of all tensors together; a number takes the same share
            of every run of so many entries, at least 64.
        block: sent values that share one range of the quantiser, two float32 numbers.
        warmup: rounds over which the kept share falls exponentially to `keep`.
        small: tensors of fewer entries travel whole and exact.
        start: what a site trains on from: `received`, the model as it came, or `own`, that and what
            the site's own messages have left out so far.

    Raises:
        ConfigError: ``chunk`` is between 0 and 64.
    """

    up: LinkSettings = setting(LinkSettings)
    down: DownSettings = setting(DownSettings)
    chunk: int = setting(0, low=0, high=SECTION)
    block: int = setting(512, low=16, high=65536)
    warmup: int = setting(0, low=0, high=1000)
    small: int = setting(256, low=0, high=65536)
    start: str = setting(RECEIVED, choices=(RECEIVED, OWN))

    def __post_init__(self) -> None:
        if 0 < self.chunk < SHORTEST_CHUNK:
            raise ConfigError(
                f"'compression.chunk' is {self.chunk}; it must be 0 or at least {SHORTEST_CHUNK}"
            )


@dataclass(frozen=True)
class Coding:
    """The numbers that one message is made with.

    Args:
        keep: share of the entries that is sent, above 0 and at most 1.
        bits: of a sent value, 2 to 8, or 32 for exact ones.
        chunk: entries of a run whose largest are sent, 0 for all together.
        block: sent values that share one range of the quantiser.
        small: tensors of fewer entries travel whole and exact.
    """

    keep: float = 0.09
    bits: int = 3
    chunk: int = 0
    block: int = 512
    small: int = 256


def kept_share(link: LinkSettings, warmup: int, round: int) -> float:
    """``keep ** ((round + 1) / (warmup + 1))`` during the first ``warmup`` rounds, then ``keep``.

    Args:
        link: of the direction.
        warmup: number of rounds.
        round: from 0.

    Reference:
        Lin et al., "Deep Gradient Compression", ICLR 2018, arXiv 1712.01887, section 3.3: 25%,
        6.25%, 1.6%, 0.4%, 0.1%, there per epoch.

    Example:
        >>> [round(kept_share(LinkSettings(keep=0.001), 4, index), 4) for index in range(6)]
        [0.2512, 0.0631, 0.0158, 0.004, 0.001, 0.001]
    """
    return float(link.keep ** min(1.0, (round + 1) / (warmup + 1)))


def coding(settings: CompressionSettings, link: LinkSettings, round: int) -> Coding:
    """The numbers of one round's message.

    Args:
        settings: of the job.
        link: one of its two directions.
        round: from 0.
    """
    keep = kept_share(link, settings.warmup, round)
    return Coding(keep, link.bits, settings.chunk, settings.block, settings.small)
