"""Which global model is the best: compared on the same sites and modalities only.

Each version is validated by the sites that took part in a round. Where a site is missing, the mean
over the others is no measure for comparison: without the MRI site any model looks good. Versions
are therefore compared on one set of (site, modality) pairs, and only those that all of it
validated take part.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

ModalityScores = Mapping[str, tuple[float, int]]
Scores = Mapping[str, ModalityScores]
"""Site -> modality -> (mean Dice, validation cases) of one global model."""
Pair = tuple[str, str]
"""A site and one of its modalities."""

KEPT = 6
"""Versions whose weights are kept at most, beside the newest."""


def checked_scores(
    claimed: ModalityScores,
    registered: Mapping[str, int] | None,
    now: Mapping[str, int] | None = None,
) -> tuple[dict[str, tuple[float, int]], list[str]]:
    """What counts of a site's validation, with the cases that it registered.

    Args:
        claimed: modality -> (mean Dice, cases) as the site says.
        registered: modality -> validation cases that count; None where nobody registers.
        now: modality -> validation cases that the site has after a restart, as many as it may speak
            of; as ``registered`` where None.

    Returns:
        Modality -> (mean Dice, weight in cases), and one text per modality that does not count.
    """
    kept, odd = {}, []
    for modality, (dice, cases) in sorted(claimed.items()):
        held = cases if registered is None else registered.get(modality, 0)
        most = held if now is None else now.get(modality, 0)
        if cases < 1 or not (math.isfinite(dice) and 0.0 <= dice <= 1.0):
            odd.append(f"its validation of {modality!r:.40} is none")
        elif cases > most:
            odd.append(f"it validates {cases} cases of {modality!r:.40}, registered {most}")
        elif held < 1:
            odd.append(f"it had no validation case of {modality!r:.40} when it was admitted")
        else:
            kept[modality] = (float(dice), held)
    return kept, odd


def pool_validation(reports: Sequence[ModalityScores]) -> dict[str, float]:
    """Mean Dice per modality over all sites' validation cases.

    Args:
        reports: per site, modality -> (mean Dice, cases).
    """
    totals: dict[str, tuple[float, int]] = {}
    for report in reports:
        for modality, (dice, cases) in report.items():
            known, count = totals.get(modality, (0.0, 0))
            totals[modality] = (known + dice * cases, count + cases)
    return {name: total / count for name, (total, count) in sorted(totals.items()) if count}


def selection_score(validation: Mapping[str, float]) -> float | None:
    """Mean over modalities, each counting once however many cases it has; None without any."""
    if not validation:
        return None
    return sum(validation.values()) / len(validation)


@dataclass(frozen=True)
class Best:
    """The best global model so far.

    Attributes:
        version: rounds that the model has behind it.
        score: mean over modalities of validation Dice, over ``pairs``.
        pairs: sites and modalities on which it was compared.
    """

    version: int
    score: float
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Course:
    """The validated versions of a run and those of them that can still be chosen.

    The compared pairs are those for which the table of versions × pairs has the largest complete
    block: pairs are taken in the order of how many versions they validated, and the block's size
    is its versions times its pairs, a pair counting as its share of its modality's cases. So a
    site that misses a round costs that round's version its chance, and a site that was rarely
    there costs the others nothing. The untrained version 0 takes no part.

    Attributes:
        tables: version -> scores, of every validated version.
        kept: versions whose weights are at hand.
    """

    tables: Mapping[int, Scores]
    kept: tuple[int, ...] = ()

    def after(self, version: int, scores: Scores) -> "Course":
        """The course after one more validated version, whose weights are at hand.

        Beside the best version those stay at hand that would be best if a site were lost from now
        on, at most :data:`KEPT` in all.
        """
        if version < 1 or not any(scores.values()):
            return self
        grown = Course({**self.tables, version: scores}, (*self.kept, version))
        winners: dict[int, None] = {}
        for pairs in (grown.compared(), *grown._without_a_site()):
            if (best := grown._best_on(pairs)) is not None:
                winners[best.version] = None
        return Course(grown.tables, tuple(sorted(list(winners)[:KEPT])))

    def with_last(self, version: int, scores: Scores) -> "Course":
        """The last version against the best before it: nothing else was evaluated."""
        best = self.best
        before = () if best is None else (best.version,)
        if version < 1 or not any(scores.values()):
            return Course(self.tables, before)
        return Course({**self.tables, version: scores}, tuple(sorted({*before, version})))

    @property
    def best(self) -> Best | None:
        """The best version at hand; on a tie the later one. None when none was validated."""
        return self._best_on(self.compared())

    def compared(self) -> frozenset[Pair]:
        """The sites and modalities on which the versions at hand are compared."""
        covered = {version: _pairs(scores) for version, scores in self.tables.items()}
        counts = Counter(pair for pairs in covered.values() for pair in pairs)
        shares = self._shares()
        chosen: frozenset[Pair] = frozenset()
        largest = 0.0
        taken: list[Pair] = []
        versions = sorted(covered)
        for pair in sorted(counts, key=lambda one: (-counts[one], one)):
            taken.append(pair)
            versions = [version for version in versions if pair in covered[version]]
            size = math.fsum(shares[one] for one in taken) * len(versions)
            if set(versions) & set(self.kept) and size >= largest:
                chosen, largest = frozenset(taken), size
        return chosen

    def _best_on(self, pairs: Collection[Pair]) -> Best | None:
        """The best version at hand among those that every pair validated."""
        found = []
        for version in self.kept:
            scores = self.tables[version]
            if pairs and set(pairs) <= _pairs(scores):
                score = selection_score(pool_validation(_only(scores, pairs)))
                found.append((score or 0.0, version))
        if not found:
            return None
        score, version = max(found)
        return Best(version, score, tuple(sorted(pairs)))

    def _shares(self) -> dict[Pair, float]:
        """Each pair's part of the cases of its modality."""
        cases: dict[Pair, int] = {}
        for version in sorted(self.tables):
            for site, own in self.tables[version].items():
                cases |= {(site, modality): count for modality, (_, count) in own.items()}
        totals: Counter[str] = Counter()
        for (_, modality), count in cases.items():
            totals[modality] += count
        return {pair: count / totals[pair[1]] for pair, count in cases.items()}

    def _without_a_site(self) -> Iterable[frozenset[Pair]]:
        everything = {pair for scores in self.tables.values() for pair in _pairs(scores)}
        for site in sorted({site for site, _ in everything}):
            yield frozenset(pair for pair in everything if pair[0] != site)


def choice_text(best: Best | None, course: Course) -> str:
    """On what the choice rests, in one line for people; names who had no say."""
    if best is None:
        return "no version was validated: the last model is taken as it is"
    everything = {pair for scores in course.tables.values() for pair in _pairs(scores)}
    text = ", ".join(f"{site} ({modality})" for site, modality in best.pairs)
    silent = ", ".join(f"{s} ({m})" for s, m in sorted(everything - set(best.pairs)))
    return f"version {best.version}, compared on {text}" + (
        f"; no say had {silent}, which validated too few versions" if silent else ""
    )


def scores_from(record: Mapping[str, object]) -> dict[str, dict[str, tuple[float, int]]]:
    """The scores of a round's record, as they lie in ``rounds.jsonl``."""
    stored = record.get("scores")
    if not isinstance(stored, Mapping):
        return {}
    return {
        str(site): {str(m): (float(dice), int(cases)) for m, (dice, cases) in own.items()}
        for site, own in stored.items()
    }


def _pairs(scores: Scores) -> set[Pair]:
    return {(site, modality) for site, own in scores.items() for modality in own}


def _only(scores: Scores, pairs: Collection[Pair]) -> list[dict[str, tuple[float, int]]]:
    """The scores of these pairs, one entry per site, in the order of names."""
    return [
        {modality: own for modality, own in scores[site].items() if (site, modality) in pairs}
        for site in sorted(scores)
    ]
