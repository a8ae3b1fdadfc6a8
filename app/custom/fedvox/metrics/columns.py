"""Columns of a table from its row class: one per field, and one per metric where a field holds all.

A field says its form here, so the form that a report is checked with follows from the row class.
"""

import dataclasses
import math
import typing
from dataclasses import dataclass
from typing import Any

from fedvox.metrics import MAIN, METRICS
from fedvox.privacy.forms import Form, whole

ABSENT: Any = object()
"""What a file holds of a column that it lacks."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: its heading.
        kind: ``str``, ``int`` or ``float``.
        form: of its values where they travel.
        field: of the row class.
        metric: whose entry of the field it is, empty where the field is the column.
        required: a file must have it.
    """

    name: str
    kind: type
    form: Form
    field: str
    metric: str = ""
    required: bool = True

    def value_of(self, row: Any) -> Any:
        """The row's value; NaN or 0 where its mapping lacks the metric.

        Raises:
            TypeError: it is no such row.
        """
        value = getattr(row, self.field, ABSENT)
        if value is ABSENT:
            raise TypeError(f"{type(row).__name__} has no '{self.field}'")
        return value.get(self.metric, self.parsed(ABSENT)) if self.metric else value

    def parsed(self, value: Any) -> Any:
        """A value of this column from a text or a plain value.

        Raises:
            TypeError, ValueError: it is none.
        """
        if value is ABSENT:
            return math.nan if self.kind is float else 0
        if self.kind is float:
            return math.nan if value in (None, "") else float(value)
        if value is None:
            raise ValueError("a cell is missing")
        return self.kind(value)


def column(form: Form, default: Any = dataclasses.MISSING) -> Any:
    """Declares a field that is a column.

    Args:
        form: of its values where they travel.
        default: its value in files that lack it; without it, every file has it.
    """
    return dataclasses.field(default=default, metadata={"form": form})


def per_metric(name: str, kind: type = float, main: bool = False, optional: bool = False) -> Any:
    """Declares a field ``metric -> value`` that becomes one column for each metric.

    Args:
        name: of the columns, from ``{name}`` of the metric and ``{column}`` of its values.
        kind: ``float`` for values of the metric, ``int`` for numbers of cases.
        main: Dice is among them; else it has columns of its own.
        optional: a row can be made without it.
    """
    metadata = {"columns": name, "kind": kind, "main": main}
    if optional:
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(metadata=metadata)


def columns(cls: type) -> list[Column]:
    """The columns of a row class, in order, with the metrics that are registered now."""
    hints = typing.get_type_hints(cls)
    found: list[Column] = []
    for field in dataclasses.fields(cls):
        if "columns" in field.metadata:
            found += _of_metrics(field)
        else:
            required = field.default is dataclasses.MISSING
            form = field.metadata["form"]
            found.append(Column(field.name, hints[field.name], form, field.name, "", required))
    return found


def names(cls: type) -> tuple[str, ...]:
    """Headings of a row class."""
    return tuple(own.name for own in columns(cls))


def forms(cls: type) -> dict[str, Form]:
    """Heading -> form, for what travels."""
    return {own.name: own.form for own in columns(cls)}


def _of_metrics(field: "dataclasses.Field[Any]") -> list[Column]:
    kind = field.metadata["kind"]
    return [
        Column(
            field.metadata["columns"].format(name=name, column=metric.column(name)),
            kind,
            metric.form if kind is float else whole(),
            field.name,
            name,
            required=name == MAIN,
        )
        for name, metric in METRICS.items()
        if field.metadata["main"] or name != MAIN
    ]
