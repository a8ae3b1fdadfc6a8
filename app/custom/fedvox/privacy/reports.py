"""The form of an evaluation report: whose, of which model, of which organs, how many rows."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedvox.privacy.forms import (
    Form,
    FormError,
    check_fields,
    check_scores,
    one_of,
)

PARTS = frozenset(("validation", "rows", "shared"))
SCORED = ("val", "test")
"""Splits whose cases are scored."""
MOST_CASES = 10_000
"""Cases of one split and modality in one report where nothing tells how many the site has."""


@dataclass(frozen=True)
class ReportForm:
    """What one report may speak of.

    Attributes:
        site: the sender, as authenticated.
        model: the model that the task brought, as it stands in tables.
        structures: organs of the job and the regions that unite some of them.
        mean: what stands in place of an organ where a row speaks of the mean over organs.
        modalities: of the job.
        row_columns: columns of a per-case row with their forms, all of them needed.
        shared_columns: columns of a summary with their forms, all of them needed.
        cases: split -> modality -> cases that the site has; what is not named has none. None where
            that is not known: then a stated maximum holds.
        subsets: splits whose cases may be scored on every subset of the modalities that they have.
    """

    site: str
    model: str
    structures: Collection[str]
    mean: str
    modalities: Collection[str]
    row_columns: Mapping[str, Form]
    shared_columns: Mapping[str, Form]
    cases: Mapping[str, Mapping[str, int]] | None = None
    subsets: Collection[str] = ()

    def held(self, split: str, modality: str) -> int:
        """Cases of a split that the site has with exactly this modality set."""
        if self.cases is None:
            return MOST_CASES if split in SCORED else 0
        return self.cases.get(split, {}).get(modality, 0)

    def most(self, split: str, modality: str) -> int:
        """Cases of a split and modality that the report may speak of.

        Where subsets are scored these are all that have the set or a larger one.
        """
        if self.cases is None or split not in self.subsets:
            return self.held(split, modality)
        own, wanted = self.cases.get(split, {}), _parts(modality)
        return sum(count for name, count in own.items() if wanted <= _parts(name))

    @property
    def total(self) -> int:
        """Cases that it may speak of in all; one counts once for each subset that is scored."""
        if self.cases is None:
            sets = [len(self.modalities) if split in self.subsets else 1 for split in SCORED]
            return MOST_CASES * sum(sets)
        return sum(
            count * (2 ** len(_parts(name)) - 1 if split in self.subsets else 1)
            for split, own in self.cases.items()
            for name, count in own.items()
        )


def check_report(report: Any, form: ReportForm, share_cases: bool = True) -> None:
    """Validation scores, per-case rows and summaries, all of one site and model, none twice.

    Args:
        report: as it travels.
        form: what it may speak of.
        share_cases: False forbids per-case rows.

    Raises:
        FormError: says which part is wrong, without its content.
    """
    if not isinstance(report, Mapping) or not set(report) <= PARTS:
        raise FormError("holds an unknown part")
    validation = report.get("validation", {})
    check_scores(validation, form.modalities, lambda modality: form.most("val", modality))
    rows, shared = report.get("rows", []), report.get("shared", [])
    if rows and not share_cases:
        raise FormError(
            "holds per-case rows, which the site's policy keeps at the site: set 'share' to "
            "summary in the site file"
        )
    _check_rows(rows, form)
    _check_shared(shared, form)
    if rows and shared:
        raise FormError("holds per-case rows and summaries of the same cases")


def _check_rows(rows: Any, form: ReportForm) -> None:
    """Each structure of a case and modality set once, and no more cases than the site has."""
    forms = _forms(form, form.row_columns, form.structures)
    cases: dict[tuple[str, str], set[str]] = {}
    seen: set[tuple[str, str, str, str]] = set()
    for row in _listed(rows, form.total * len(form.structures)):
        _check_row(row, forms)
        split, modality, case = row["split"], row["modality"], row["case"]
        _add_once(seen, (split, modality, case, row["organ"]))
        cases.setdefault((split, case), set()).add(modality)
    counts = Counter(
        (split, modality)
        for (split, _), names in cases.items()
        for modality in ([_largest(names)] if split in form.subsets else names)
    )
    for place, count in counts.items():
        if count > form.held(*place):
            raise FormError("holds more cases than the site has")


def _largest(modalities: Collection[str]) -> str:
    """What a case has: of the sets that it was scored on that which holds all others.

    So a site cannot tell of other cases in every subset, which would be more than it has.
    """
    largest = max(modalities, key=lambda name: len(_parts(name)))
    if not all(_parts(name) <= _parts(largest) for name in modalities):
        raise FormError("holds a case without the modality set that it has")
    return largest


def _parts(modality: str) -> frozenset[str]:
    return frozenset(modality.split("+"))


def _check_shared(rows: Any, form: ReportForm) -> None:
    """Summaries of at most as many cases as the site has, all modalities together."""
    organs = {*form.structures, form.mean}
    forms = _forms(form, form.shared_columns, organs)
    seen: set[tuple[str, str, str]] = set()
    for row in _listed(rows, form.total * len(organs)):
        _check_row(row, forms)
        _add_once(seen, (row["split"], row["modality"], row["organ"]))
        _check_means(row)
        if row["cases"] > form.most(row["split"], row["modality"]):
            raise FormError("speaks of more cases than the site has")


def _add_once(seen: set[Any], key: tuple[str, ...]) -> None:
    if key in seen:
        raise FormError("holds a row twice")
    seen.add(key)


def _listed(rows: Any, most: int) -> Sequence[Any]:
    if not isinstance(rows, list | tuple):
        raise FormError("holds rows that are no list")
    if len(rows) > most:
        raise FormError("holds more rows than the site has cases and structures")
    return rows


def _check_row(row: Any, forms: Mapping[str, Form]) -> None:
    if not isinstance(row, Mapping) or set(row) != set(forms):
        raise FormError("holds a row of other columns")
    check_fields(row, forms, "holds a row whose")


def _forms(
    form: ReportForm, columns: Mapping[str, Form], organs: Collection[str]
) -> dict[str, Form]:
    """Forms of the columns; where a column names somebody, the names that are known."""
    known = {
        "site": one_of((form.site,)),
        "model": one_of((form.model,)),
        "modality": one_of(form.modalities),
        "organ": one_of(organs),
    }
    return {**columns, **{name: own for name, own in known.items() if name in columns}}


def _check_means(row: Mapping[str, Any]) -> None:
    """A mean over cases is a number, one over none is not; an interval has two ends or none.

    Where a summary counts the cases of another metric apart, they are among those with a Dice.
    """
    mean, low, high = (_known(row.get(f"dice_{name}")) for name in ("mean", "low", "high"))
    if "dice_mean" in row and (mean is None) != (row["cases"] == 0):
        raise FormError("holds a mean over no case, or none over some")
    if any(count > row["cases"] for name, count in row.items() if name.endswith("_cases")):
        raise FormError("holds a mean over more cases than have a Dice")
    if low is None and high is None:
        return
    if low is None or high is None or low > high:
        raise FormError("holds an interval that is none")


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
