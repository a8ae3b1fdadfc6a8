"""Label tables as data sets write them, in either direction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedvox.data.organ_names import shown
from fedvox.data.organs import IGNORE, UNLABELLED, plain_name, structure_of
from fedvox.errors import DataError

LARGEST = 32767
"""Labels are read as whole numbers of 16 bits."""


@dataclass(frozen=True)
class LabelTable:
    """What a table says.

    Attributes:
        values: value -> canonical organ, :data:`fedvox.data.organs.IGNORE`, or None for a structure
            that FedVox has no name for.
        others: names of those structures, as written.
    """

    values: Mapping[int, str | None]
    others: tuple[str, ...]


def label_table(table: Mapping[str, Any], source: str) -> LabelTable:
    """Reads ``{"liver": 1}`` or ``{"1": "liver"}``.

    Args:
        table: the table; background (value 0) may be left out.
        source: the file to name in errors.

    Raises:
        DataError: it is empty, an entry is neither form, or two names share a value or an organ.
    """
    values: dict[int, str | None] = {}
    names: dict[int, str] = {}
    for key, entry in table.items():
        name, value = _entry(key, entry, source)
        structure = structure_of(name)
        if value == 0:
            _refuse_background(name, structure, source)
            continue
        if value in names:
            raise DataError(
                f"{source}: label value {value} stands twice, for {shown(names[value])} and for "
                f"{shown(name)}; give each its own"
            )
        _refuse_repeated(name, structure, values, names, source)
        values[value], names[value] = structure, name
    if not values:
        raise DataError(
            f'{source}: the label table names no structure; write one like {{"liver": 1}}'
        )
    others = tuple(names[value] for value, structure in values.items() if structure is None)
    return LabelTable(values, others)


def _entry(key: str, entry: Any, source: str) -> tuple[str, int]:
    """Name and value of an entry, whichever way round it is written."""
    if isinstance(entry, dict) and not any(isinstance(value, list) for value in entry.values()):
        raise DataError(
            f"{source}: {shown(key)} holds a table of its own; write names and values only, as "
            '{"liver": 1}'
        )
    if isinstance(entry, list | dict):
        raise DataError(
            f"{source}: {shown(key)} is a region of several values, which is not supported; "
            'list each structure with its one value, as {"liver": 1}'
        )
    if isinstance(entry, float) and entry.is_integer():
        entry = int(entry)
    name, number = (entry, key) if _is_number(key) else (key, str(entry))
    if not isinstance(name, str) or not name.strip() or not _is_number(number):
        raise DataError(
            f"{source}: label entry {shown(key)} is not a name with a whole number from 1 to "
            f'{LARGEST}; mend it, as {{"liver": 1}}'
        )
    value = int(number) if len(number.strip()) < 10 else LARGEST + 1
    if value > LARGEST:
        raise DataError(
            f"{source}: {shown(name)} has a value above {LARGEST}; give it a smaller one, here and "
            "in the labels"
        )
    return name, value


def _is_number(text: str) -> bool:
    return text.strip().isdecimal()


def _refuse_background(name: str, structure: str | None, source: str) -> None:
    """The value 0 is background; an organ or 'ignore' there would be trained as such."""
    if plain_name(name) in UNLABELLED:
        return
    if structure == IGNORE:
        raise DataError(
            f"{source}: {shown(name)} has the value 0, which is background; name it 'background', "
            "or, if nobody annotated those voxels, give them another value, here and in the labels"
        )
    if structure is not None:
        raise DataError(
            f"{source}: {shown(name)} has the value 0, which is background; give it another value, "
            "here and in the labels"
        )


def _refuse_repeated(
    name: str,
    structure: str | None,
    values: Mapping[int, str | None],
    names: Mapping[int, str],
    source: str,
) -> None:
    """Two values of one organ: its own two sides, say, under one name."""
    if structure is None or structure == IGNORE:
        return
    first = next((names[value] for value, known in values.items() if known == structure), None)
    if first is not None:
        raise DataError(
            f"{source}: two label values stand for one organ, {structure}: {shown(first)} and "
            f"{shown(name)}; give it one value in the labels, and one entry here"
        )
