"""The three tables of a run as frozen rows, and as CSV files that any other tool can read."""

import csv
import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fedvox.cells import printable, quoted, unquoted
from fedvox.errors import ConfigError
from fedvox.files import atomic_path

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
        dice: 0 to 1, or NaN.
        hd95_mm: mm, or NaN.
        nsd: 0 to 1, or NaN.
        gt_voxels: voxels of the organ in the reference.
    """

    model: str
    site: str
    split: str
    modality: str
    case: str
    organ: str
    dice: float
    hd95_mm: float
    nsd: float
    gt_voxels: int


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
        hd95_mm_mean: mm, or NaN; over the cases that have one.
        nsd_mean: 0 to 1, or NaN.
        cases: cases with a Dice, i.e. with evidence.
        site: a site's name, or ``all``, which is also what a table without this column speaks of.
    """

    model: str
    modality: str
    organ: str
    dice_mean: float
    dice_low: float
    dice_high: float
    hd95_mm_mean: float
    nsd_mean: float
    cases: int
    site: str = ALL_SITES


@dataclass(frozen=True)
class SharedSummary:
    """What a site that does not share per-case rows sends instead: its own means and interval.

    The attributes are those of :class:`SummaryRow`, for one site and one split, and:

    Attributes:
        dice_sd: standard deviation of the cases' Dice (n - 1); NaN for fewer than 3 cases, whose
            values it would give away.
        hd95_cases: cases behind ``hd95_mm_mean``.
        nsd_cases: cases behind ``nsd_mean``.
    """

    model: str
    site: str
    split: str
    modality: str
    organ: str
    cases: int
    dice_mean: float
    dice_low: float
    dice_high: float
    hd95_mm_mean: float
    nsd_mean: float
    dice_sd: float = math.nan
    hd95_cases: int = 0
    nsd_cases: int = 0


METRICS_COLUMNS = tuple(field.name for field in dataclasses.fields(MetricRow))
SUMMARY_COLUMNS = tuple(field.name for field in dataclasses.fields(SummaryRow))


def to_dict(row: MetricRow | SummaryRow | SharedSummary) -> dict[str, Any]:
    """The row as plain JSON types; NaN becomes None, which JSON can hold."""
    values = dataclasses.asdict(row)
    return {name: None if _is_nan(value) else value for name, value in values.items()}


def from_dict(cls: type[R], values: Mapping[str, Any], where: str = "row") -> R:
    """Builds a row from plain values or from the texts of a CSV line.

    Args:
        cls: :class:`MetricRow`, :class:`SummaryRow` or :class:`SharedSummary`.
        values: every column of ``cls``, those of :class:`SummaryRow` and :class:`SharedSummary`
            with a default may be missing; a number that is None or empty is NaN.
        where: what to name in errors.

    Raises:
        ConfigError: a column is missing or unknown, or a value is not a number.
    """
    fields = {field.name: field.type for field in dataclasses.fields(cls)}
    later = {f.name for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING}
    if not fields.keys() - later <= set(values) <= fields.keys():
        raise ConfigError(f"{where}: needs exactly the columns {', '.join(fields)}")
    try:
        return cls(**{name: _parse(fields[name], value) for name, value in values.items()})
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
        writer.writerow(field.name for field in dataclasses.fields(cls))
        for row in rows:
            writer.writerow(_cell(value) for value in dataclasses.astuple(row))


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


def _parse(kind: Any, value: Any) -> Any:
    if kind is float:
        return math.nan if value in (None, "") else float(value)
    if value is None:
        raise ValueError("a cell is missing")
    return kind(value)
