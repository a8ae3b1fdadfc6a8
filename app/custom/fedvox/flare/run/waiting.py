"""How long the server waits for a site's evaluation: from the rounds that it measured, and no less
than whole scans take on a CPU."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

LEAST_SECONDS = 300
MOST_SECONDS = 86_400
CASE_SECONDS = 60
"""For one case and model at least: a whole scan on a CPU, window by window, and its distances."""
_FEWEST = 4
"""Cases that a site's round is taken to be worth, where it validates fewer."""


def evaluation_timeout(
    rounds: Sequence[Mapping[str, Any]],
    models: int,
    cases: Sequence[tuple[int, int]],
    margin: float,
) -> int:
    """Seconds after which the evaluation goes on without a site that has not answered.

    ``margin · t · m · w`` with the longest time ``t`` between the start of a round and a site's
    answer, as the server measured it, ``m`` models that each site scores one after the other, and
    the largest ``w = 1 + (validation + test) / max(validation, 4)`` of the sites: a round validates
    the validation cases once, the evaluation scores them and the test cases too. Where sites
    validate few cases, a round tells little of how long a case takes: so at least 60 s for each of
    the ``n`` validation and test cases of the site that has most, ``60 · n · m``. At least 300 s,
    at most a day.

    Args:
        rounds: records of ``rounds.jsonl``.
        models: models that are evaluated.
        cases: per site, its validation and test cases.
        margin: as ``waiting.margin`` says.
    """
    answers = [
        float(part["answer_seconds"])
        for record in rounds
        for part in record.get("contributors") or []
        if part.get("answer_seconds") is not None
    ]
    work = max((1 + (v + test) / max(v, _FEWEST) for v, test in cases), default=1.0)
    seconds = margin * max(answers, default=0.0) * max(models, 1) * work
    most = max((v + test for v, test in cases), default=0)
    least = CASE_SECONDS * most * max(models, 1)
    return int(min(MOST_SECONDS, max(LEAST_SECONDS, least, math.ceil(seconds))))


def scored_tests(test: Mapping[str, int], global_models: int, site_models: int) -> int:
    """Test cases of a site as one model scores them on average, where global models score every
    subset of a case's modalities.

    A case with k modalities counts 2ᵏ − 1 times for a global model, once for a site's own.

    Args:
        test: modality set, as ``t1+flair`` -> test cases of the site.
        global_models: number of them.
        site_models: number of the sites' own models.
    """
    subsets = sum(count * (2 ** len(name.split("+")) - 1) for name, count in test.items())
    scored = global_models * subsets + site_models * sum(test.values())
    return math.ceil(scored / max(global_models + site_models, 1))
