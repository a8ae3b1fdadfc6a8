"""How good the data of a phantom site are: a value of its settings, for any body and any job.

A site of another quality holds the patients that it would hold anyway, on the same grids, so two
runs that differ in nothing else can be compared case by case.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fedvox.errors import ConfigError
from fedvox.seeding import derive_seed
from fedvox.suggest import hint

GOOD = "good"
WRONG_SHARE = 0.5
WRONG_KINDS = ("shifted", "other_patient", "swapped", "missing")
"""What :mod:`fedvox.phantoms.wrong_labels` does to a label; wrong cases take them in turn."""


@dataclass(frozen=True)
class Quality:
    """What distinguishes the data of a site from good ones.

    Attributes:
        name: as settings call it.
        noise: of its scanner, as a multiple of the usual, in every case of the site.
        train: share of the training cases that it has, rounded up.
        wrong: share of the training cases whose labels are wrong, rounded up. Those of validation
            and test cases are right, so that scores keep their meaning.
    """

    name: str
    noise: float = 1.0
    train: float = 1.0
    wrong: float = 0.0

    def kept(self, train: int) -> int:
        """Training cases that are written, the first ones of ``train``."""
        return math.ceil(self.train * train)

    def wrong_cases(self, train: int, seed: int, site: int) -> dict[int, str]:
        """Which training cases have a wrong label, and what is wrong with it.

        Args:
            train: training cases, numbered from 1.
            seed: of the whole data set.
            site: number of the site.

        Returns:
            Number of the case -> one of :data:`WRONG_KINDS`.
        """
        order = sorted(range(1, train + 1), key=lambda n: derive_seed(seed, site, n, "spoiled"))
        chosen = order[: math.ceil(self.wrong * train)]
        return {n: WRONG_KINDS[turn % len(WRONG_KINDS)] for turn, n in enumerate(chosen)}


_ALL = (
    Quality(GOOD),
    Quality("noisy", noise=5.0),
    Quality("wrong_labels", wrong=WRONG_SHARE),
    Quality("small", train=0.25),
)
QUALITIES: Mapping[str, Quality] = {quality.name: quality for quality in _ALL}


def quality_named(name: str, wrong_share: float = WRONG_SHARE) -> Quality:
    """A quality by its name.

    Args:
        name: one of :data:`QUALITIES`.
        wrong_share: of the training cases, if it is one with wrong labels.

    Raises:
        ConfigError: unknown; names what there is.
    """
    if name not in QUALITIES:
        guess = hint(name, QUALITIES)
        raise ConfigError(
            f"unknown phantom quality '{name}'; {guess}choose one of: {', '.join(QUALITIES)}"
        )
    found = QUALITIES[name]
    return replace(found, wrong=wrong_share) if found.wrong else found
