"""The three tables of a run as frozen rows, and as CSV files that any other tool can read."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fedvox.cells import printable, quoted, unquoted
from fedvox.errors import ConfigError
from fedvox.files import atomic_path
from fedvox.metrics import MAIN
from fedvox.metrics.columns import ABSENT, column, columns, per_metric
from fedvox.metrics.interval import FEWEST
from fedvox.privacy.forms import CODE, SPLITS, one_of, share, text, whole

NAME = text(200)
"""Who or what a row speaks of; a report compares it with the names that its reader knows."""

R = TypeVar("R", bound="MetricRow | SummaryRow | SharedSummary")

MEAN_ORGAN = "mean"
"""What the column ``organ`` holds where a row speaks of the mean over organs."""

ALL_SITES = "all"
"""What the column ``site`` holds where a row speaks of the cases of all sites together."""

PHANTOM_CODE = "phantom-"
"""How the code of a phantom begins in the column ``case``."""


@dataclass(frozen=True)
class MetricRow:
    """One organ of one case, segmented by one model: a line of ``metrics.csv``.

    Attributes:
        model: ``global_best``, ``global_last`` or a site's name.
        site: where the case lies.
        split: ``train``, ``val`` or ``test``.
        modality: e.g. ``ct``, or a subset as ``t1+flair``.
        case: keyed fingerprint of the case, never a file name.
        organ: canonical name.
        scores: metric -> value, or NaN; one column each, such as ``hd95_mm``.
        gt_voxels: voxels of the organ in the reference.
    """

    model: str = column(NAME)
    site: str = column(NAME)
    split: str = column(one_of(SPLITS))
    modality: str = column(NAME)
    case: str = column(CODE)
    organ: str = column(NAME)
    scores: Mapping[str, float] = per_metric("{column}", main=True)
    gt_voxels: int = column(whole(10**10))

    @property
    def dice(self) -> float:
        """Dice, 0 to 1, or NaN."""
        return self.scores[MAIN]


@dataclass(frozen=True)
class SummaryRow:
    """Means over the test cases of all sites or of one: a line of ``summary.csv``.

    Attributes:
        model: as in :class:`MetricRow`.
        modality: as in :class:`MetricRow`.
        organ: canonical name, or ``mean`` over organs.
        dice_mean: 0 to 1, or NaN.
        dice_low: lower end of the 95% interval of ``dice_mean``; NaN where there is none, see
            :func:`fedvox.metrics.interval.mean_interval`.
        dice_high: upper end of the 95% interval.
        means: every other metric -> its mean over the cases that have a value, or NaN; one column
            each, such as ``hd95_mm_mean``.
        cases: cases with a Dice, i.e. with evidence.
        site: a site's name, or ``all``, which is also what a table without this column speaks of.
    """

    model: str = column(NAME)
    modality: str = column(NAME)
    organ: str = column(NAME)
    dice_mean: float = column(share())
    dice_low: float = column(share())
    dice_high: float = column(share())
    means: Mapping[str, float] = per_metric("{column}_mean")
    cases: int = column(whole())
    site: str = column(NAME, ALL_SITES)

    @property
    def has_interval(self) -> bool:
        """Whether the mean Dice has one: not of few cases, nor of cases without any spread."""
        return self.cases >= FEWEST and not math.isnan(self.dice_low)


@dataclass(frozen=True)
class SharedSummary:
    """What a site that does not share per-case rows sends instead: its own means and interval.

    The attributes are those of :class:`SummaryRow`, for one site and one split, and:

    Attributes:
        dice_sd: standard deviation of the cases' Dice (n - 1); NaN for fewer than 3 cases, whose
            values it would give away.
        counts: every other metric -> cases behind its mean; one column each, ``hd95_cases``.
    """

    model: str = column(NAME)
    site: str = column(NAME)
    split: str = column(one_of(SPLITS))
    modality: str = column(NAME)
    organ: str = column(NAME)
    cases: int = column(whole())
    dice_mean: float = column(share())
    dice_low: float = column(share())
    dice_high: float = column(share())
    means: Mapping[str, float] = per_metric("{column}_mean")
    dice_sd: float = column(share(), math.nan)
    counts: Mapping[str, int] = per_metric("{name}_cases", kind=int, optional=True)


def to_dict(row: MetricRow | SummaryRow | SharedSummary) -> dict[str, Any]:
    """The row as plain JSON types, one entry per column; NaN becomes None, which JSON can hold."""
    values = {own.name: own.value_of(row) for own in columns(type(row))}
    return {name: None if _is_nan(value) else value for name, value in values.items()}


def from_dict(cls: type[R], values: Mapping[str, Any], where: str = "row") -> R:
    """Builds a row from plain values or from the texts of a CSV line.

    Args:
        cls: :class:`MetricRow`, :class:`SummaryRow` or :class:`SharedSummary`.
        values: every column of ``cls``; those of :class:`SummaryRow` and :class:`SharedSummary`
            with a default may be missing, and so may those of any metric but Dice: files of runs
            before it was registered lack it. A number that is None or empty is NaN.
        where: what to name in errors.

    Raises:
        ConfigError: a column is missing or unknown, or a value is not a number.
    """
    known = columns(cls)
    names = {own.name for own in known}
    if not {own.name for own in known if own.required} <= set(values) <= names:
        listed = ", ".join(own.name for own in known)
        raise ConfigError(f"{where}: needs exactly the columns {listed}")
    row: dict[str, Any] = {own.field: {} for own in known if own.metric}
    try:
        for own in known:
            if own.metric:
                row[own.field][own.metric] = own.parsed(values.get(own.name, ABSENT))
            elif own.name in values:
                row[own.field] = own.parsed(values[own.name])
        return cls(**row)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}; write the file again") from None


def write_csv(
    path: Path, rows: Sequence[MetricRow | SummaryRow | SharedSummary], cls: type
) -> None:
    """Writes rows with a heading; numbers to 6 significant digits, NaN as an empty cell.

    The file appears whole or not at all. A text that a spreadsheet would take for a formula gets an
    apostrophe in front, which :func:`read_csv` takes off again; see also :mod:`fedvox.cells`.

    Args:
        path: the CSV file.
        rows: may be empty, which gives a file with a heading only.
        cls: class of the rows; gives the columns.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        known = columns(cls)
        writer.writerow(own.name for own in known)
        for row in rows:
            writer.writerow(_cell(own.value_of(row)) for own in known)


def read_csv(path: Path, cls: type[R]) -> list[R]:
    """Reads what :func:`write_csv` wrote.

    Raises:
        ConfigError: the file is missing, has other columns or holds a broken number; names the
            line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [
                from_dict(cls, _unquoted(line), f"{path}, line {number}")
                for number, line in enumerate(csv.DictReader(stream), start=2)
            ]
    except FileNotFoundError:
        raise ConfigError(f"{path}: file not found; check the path") from None
    except (UnicodeDecodeError, csv.Error):
        raise ConfigError(f"{path}: not a CSV file in UTF-8; write the file again") from None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return quoted(printable(str(value)))


def _unquoted(line: Mapping[Any, Any]) -> dict[Any, Any]:
    return {k: unquoted(v) if isinstance(v, str) else v for k, v in line.items()}
