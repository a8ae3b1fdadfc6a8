"""Training cases of a phantom site that lack one of the site's modalities, as patients do.

Validation and test cases are complete: models are scored on every subset of what a case has, which
takes a case that has all. What a case lacks changes nothing else of it: its other images and its
labels are those of a complete site, bit for bit.
"""

import math
from collections.abc import Sequence

from fedvox.errors import ConfigError
from fedvox.seeding import derive_seed


def lacking_cases(
    share: float, train: int, parts: Sequence[str], seed: int, site: int
) -> dict[int, str]:
    """Which training cases lack a modality, and which one.

    Args:
        share: of the training cases, 0 to 1, rounded up to whole cases.
        train: training cases, numbered from 1.
        parts: modalities that the site holds; a case of one modality lacks none.
        seed: of the whole data set.
        site: number of the site.

    Returns:
        Number of the case -> the modality that it lacks.

    Raises:
        ConfigError: no such share.

    Example:
        >>> lacking_cases(0.5, 4, ("t1", "t2", "flair"), seed=0, site=1)
        {1: 't1', 2: 't1'}
    """
    _check_share(share, "'incomplete'")
    if len(parts) < 2:
        return {}
    order = sorted(range(1, train + 1), key=lambda n: derive_seed(seed, site, n, "incomplete"))
    chosen = sorted(order[: math.ceil(round(share * train, 6))])
    return {n: parts[derive_seed(seed, site, n, "lacks") % len(parts)] for n in chosen}


def check_incomplete(share: float, sites: Sequence[str], name: str) -> None:
    """Refuses a share that no site can have.

    Args:
        share: as for :func:`lacking_cases`.
        sites: what each site holds, e.g. ``t1+flair``.
        name: of the setting or option, for the message.

    Raises:
        ConfigError: no site holds several modalities, or the share is none.
    """
    _check_share(share, name)
    if share and not any("+" in held for held in sites):
        raise ConfigError(
            f"{name} is {share:g}, and no site holds several modalities of a case, of which one "
            "could be missing; name sites such as t1+flair, or set it to 0"
        )


def _check_share(share: float, name: str) -> None:
    if not 0 <= share <= 1:
        raise ConfigError(f"{name} is {share:g}; it must be from 0 to 1")
