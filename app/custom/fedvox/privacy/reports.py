"""The form of an evaluation report: whose, of which model, of which organs, how many rows."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedvox.privacy.forms import (
    COLUMN_FORMS,
    Form,
    FormError,
    check_fields,
    check_scores,
    modality_set,
    one_of,
)

PARTS = frozenset(("validation", "rows", "shared"))
MOST_CASES = 10_000
"""Cases of one site in one report where nothing tells how many the site has."""


@dataclass(frozen=True)
class ReportForm:
    """What one report may speak of.

    Attributes:
        site: the sender, as authenticated.
        model: the model that the task brought, as it stands in tables.
        structures: organs of the job and the regions that unite some of them.
        mean: what stands in place of an organ where a row speaks of the mean over organs.
        modalities: of the job.
        row_columns: columns of a per-case row, all of them needed.
        shared_columns: columns of a summary, all of them needed.
        cases: split -> cases that the site has; a split that is not named has none.
    """

    site: str
    model: str
    structures: Collection[str]
    mean: str
    modalities: Collection[str]
    row_columns: Collection[str]
    shared_columns: Collection[str]
    cases: Mapping[str, int]


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
    check_scores(report.get("validation", {}), form.modalities, form.cases.get("val", 0))
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
    """Each structure of a case once, and no more cases than the site has."""
    forms = _forms(form, form.structures)
    cases: set[tuple[str, str, str]] = set()
    seen: set[tuple[str, str, str, str]] = set()
    for row in _listed(rows, sum(form.cases.values()) * len(form.structures)):
        _check_row(row, form.row_columns, forms)
        case = (row["split"], row["modality"], row["case"])
        _add_once(seen, (*case, row["organ"]))
        cases.add(case)
    for split, count in Counter(split for split, _, _ in cases).items():
        if count > form.cases.get(split, 0):
            raise FormError("holds more cases than the site has")


def _check_shared(rows: Any, form: ReportForm) -> None:
    """Summaries of at most as many cases as the site has, all modalities together."""
    organs = {*form.structures, form.mean}
    most = len(form.cases) * len(organs) * max(1, sum(form.cases.values()))
    forms = _forms(form, organs)
    seen: set[tuple[str, str, str]] = set()
    cases: Counter[tuple[str, str]] = Counter()
    for row in _listed(rows, most):
        _check_row(row, form.shared_columns, forms)
        _add_once(seen, (row["split"], row["modality"], row["organ"]))
        cases[row["split"], row["organ"]] += row["cases"]
        if not _ordered(row.get("dice_low"), row.get("dice_high")):
            raise FormError("holds an interval whose ends are swapped")
    if any(count > form.cases.get(split, 0) for (split, _), count in cases.items()):
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


def _check_row(row: Any, columns: Collection[str], forms: Mapping[str, Form]) -> None:
    if not isinstance(row, Mapping) or set(row) != set(columns):
        raise FormError("holds a row of other columns")
    check_fields(row, forms, "holds a row whose")


def _forms(form: ReportForm, organs: Collection[str]) -> dict[str, Form]:
    return {
        **COLUMN_FORMS,
        "site": one_of((form.site,)),
        "model": one_of((form.model,)),
        "modality": modality_set(form.modalities),
        "organ": one_of(organs),
    }


def _ordered(low: float | None, high: float | None) -> bool:
    """Two ends of an interval; an end that is None or NaN is none."""
    return low is None or high is None or not low > high
