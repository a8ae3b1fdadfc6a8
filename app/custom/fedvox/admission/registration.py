"""What sites tell about themselves before round 0, and what counts when they tell it again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fedvox.data.organs import CANONICAL, MODALITIES
from fedvox.errors import ConfigError
from fedvox.privacy.forms import (
    SETS,
    FormError,
    check_fields,
    counts,
    modality_set,
    one_of,
    several,
    text,
    whole,
    word,
)

LONGEST_ERROR = 1000
"""Letters of a reason that a site may give for not taking part."""

MAX_CASES = 100_000
"""Cases that a site may register for training, and per modality for validation or test, where the
job does not say fewer (``training.most_cases``)."""


@dataclass(frozen=True)
class Registration:
    """One site's self-description; plain values only, no patient data.

    Attributes:
        version: the site's ``fedvox`` version.
        label_map: hash of the job's organ list as the site read it.
        annotated: organs of the job that the site's training cases annotate.
        modalities: modality sets of all its cases, those for validation and test included, e.g.
            ``["ct"]``.
        training: modality -> usable training cases; by them updates are weighed.
        external: the site only tests, as its split says: it trains nothing and chooses no model.
        validation: modality -> usable validation cases; they are the site's say in the choice of
            the best model.
        test: modality -> usable test cases; reports of the site may speak of no more.
        skipped: unusable cases.
        phantom: True for phantom data.
        coarse: test cases with every voxel edge above the job's tolerance of NSD.
        state: hash of the site's state from earlier rounds, empty at a fresh start.
        source: fingerprint of machine, data folder, split and cases.
        error: why the site cannot take part; empty when it can.
    """

    version: str
    label_map: str
    annotated: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    training: Mapping[str, int] = field(default_factory=dict)
    external: bool = False
    validation: Mapping[str, int] = field(default_factory=dict)
    test: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    phantom: bool = False
    coarse: int = 0
    state: str = ""
    source: str = ""
    error: str = ""

    @property
    def cases(self) -> int:
        """Usable training cases, of all modalities."""
        return sum(self.training.values())

    @property
    def trained(self) -> list[str]:
        """Modality sets that the site trains, sorted."""
        return sorted(name for name, count in self.training.items() if count)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, as they travel."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        plain = "".join(letter if letter.isprintable() else " " for letter in self.error)
        return {**values, "error": plain[:LONGEST_ERROR]}


_FORMS = {
    "version": word(r"[0-9A-Za-z.+!_-]{1,40}"),
    "label_map": word(r"\w{0,64}"),
    "annotated": several(one_of(CANONICAL), len(CANONICAL)),
    "modalities": several(modality_set(MODALITIES), SETS),
    "training": counts(modality_set(MODALITIES), SETS),
    "external": lambda value: isinstance(value, bool),
    "validation": counts(modality_set(MODALITIES), SETS),
    "test": counts(modality_set(MODALITIES), SETS),
    "skipped": whole(),
    "coarse": whole(),
    "phantom": lambda value: isinstance(value, bool),
    "state": word(r"\w{0,64}"),
    "source": word(r"[\w-]{0,64}"),
    "error": text(LONGEST_ERROR),
}
"""One form for each attribute of :class:`Registration`."""


def registration_from(values: Mapping[str, Any], site: str) -> Registration:
    """Reads a registration that arrived from a site; what it tells beyond that is not looked at.

    Raises:
        ConfigError: it is not one, or a value is not of its field's form.
    """
    try:
        known = {name: values[name] for name in _FORMS if name in values}
        check_fields(known, _FORMS, "registration")
        lists = {name: tuple(known.get(name, ())) for name in ("annotated", "modalities")}
        return Registration(**{**known, **lists})
    except (FormError, TypeError):
        raise ConfigError(f"{site} sent no readable registration; update its fedvox") from None


def re_registered(first: Registration, latest: Registration) -> Registration:
    """What counts when a site registers again, as after its restart: never more than at first.

    A site may lose cases in the course of a run; it may not raise its weight, and one that only
    tested does not train later. Its claims and reports are held against what it holds now
    (``latest``).
    """
    return replace(
        latest,
        training=_least(first.training, latest.training),
        external=first.external or latest.external,
        validation=_least(first.validation, latest.validation),
        test=_least(first.test, latest.test),
    )


def _least(first: Mapping[str, int], latest: Mapping[str, int]) -> dict[str, int]:
    return {name: min(first[name], count) for name, count in latest.items() if name in first}
