"""Data quality of a site, computed there once per run: of all this one number leaves the site."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fedvox.data.cases.prepared import PreparedCase
from fedvox.data.quality.labels import label_quality
from fedvox.data.quality.names import Profiles, names_by_channels, profiles_of
from fedvox.data.quality.signal import signal_quality
from fedvox.data.site.site_data import SiteData
from fedvox.files import PRIVATE, write_json

QUALITY = "quality.json"
FORMAT = 1
"""Of the rules by which quality is computed."""
MOST_CASES = 64
"""Training cases that are looked at, evenly spread."""
LEAST = 0.01
"""No site is worth nothing."""


def site_quality(site: SiteData, state: Path) -> float:
    """How good a site's training data are, from their prepared form.

    ``q = signal * labels``. The first is the mean over the images of
    :func:`~fedvox.data.quality.signal.signal_quality`. The second is the mean over the cases of
    :func:`~fedvox.data.quality.labels.label_quality` times
    :func:`~fedvox.data.quality.names.names_by_channels`: about the share of cases whose labels are
    plausible. What cannot be told counts as 1, a case without any labelled organ not at all. The
    number is kept in the state folder and computed again only when a case, the job's grid or these
    rules have changed.

    Args:
        site: the site's cases.
        state: its state folder of this run.

    Returns:
        0.01 to 1, to three decimal places.

    Raises:
        OSError: a prepared case cannot be read, or the state not be written.
    """
    stamp = _stamp(site.train)
    path = state / QUALITY
    known = _read(path, stamp)
    if known is not None:
        return known
    quality = cases_quality(_spread(site.train))
    write_json(path, {"cases": stamp, "quality": quality}, PRIVATE)
    return quality


def cases_quality(cases: Sequence[PreparedCase]) -> float:
    """The same of some cases, all of which are read; nothing is kept.

    Args:
        cases: prepared cases of one job.
    """
    signals: list[float | None] = []
    labels: dict[int, float] = {}
    profiles: list[Profiles] = []
    for index, case in enumerate(cases):
        image, label = case.tensor("image").numpy(), case.tensor("label").numpy()
        shown = image[list(case.present)]
        signals += [signal_quality(channel) for channel in shown]
        own = label_quality(shown, label, len(case.counts))
        if own is not None:
            labels[index] = own
        profiles.append(profiles_of(shown, label, len(case.counts)))
    names = names_by_channels([case.modality for case in cases], profiles)
    for index, agreement in enumerate(names):
        if index in labels and agreement is not None:
            labels[index] *= agreement
    known = [value for value in signals if value is not None]
    return round(max(LEAST, _mean(known) * _mean(list(labels.values()))), 3)


def _mean(told: Sequence[float]) -> float:
    """1 where nothing is told."""
    return float(np.mean(told)) if told else 1.0


def _spread(cases: Sequence[PreparedCase]) -> Sequence[PreparedCase]:
    """At most :data:`MOST_CASES` of the cases, in an order that no file name decides."""
    order = sorted(cases, key=lambda case: case.code)
    step = max(1.0, len(order) / MOST_CASES)
    return [order[int(turn * step)] for turn in range(min(len(order), MOST_CASES))]


def _stamp(cases: Sequence[PreparedCase]) -> str:
    """Names of prepared files follow from the cases' files, the job's grid and the site's key."""
    names = sorted(case.path.name for case in cases)
    return hashlib.sha256(json.dumps([FORMAT, names]).encode()).hexdigest()


def _read(path: Path, stamp: str) -> float | None:
    """What is kept of the same cases; None where nothing is, or the file is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = float(content["quality"]) if content["cases"] == stamp else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return known if known is not None and LEAST <= known <= 1.0 else None
