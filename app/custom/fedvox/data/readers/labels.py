"""Label tables as data sets write them, in either direction."""

from collections.abc import Mapping
from typing import Any

from fedvox.data.organs import canonical_organ
from fedvox.errors import DataError


def label_values(table: Mapping[str, Any], source: str) -> dict[int, str | None]:
    """Reads ``{"liver": 1}`` or ``{"1": "liver"}`` into value -> canonical organ.

    Args:
        table: the table; background (value 0) may be left out.
        source: the file to name in errors.

    Returns:
        Value -> canonical organ, None for structures that FedVox has no name for.

    Raises:
        DataError: an entry is neither form, or two names share a value or an organ.
    """
    values: dict[int, str | None] = {}
    for key, entry in table.items():
        name, value = (entry, key) if str(key).isdecimal() else (key, entry)
        if not str(value).isdecimal() or not isinstance(name, str):
            raise DataError(f"{source}: label entry '{key}' is not a name with a whole number")
        if int(value) == 0:
            if canonical_organ(name) is not None:
                raise DataError(f"{source}: '{name}' has the value 0, which is background; mend it")
            continue
        if int(value) in values:
            raise DataError(f"{source}: label value {value} stands twice; give each its own")
        values[int(value)] = canonical_organ(name)
    organs = [organ for organ in values.values() if organ is not None]
    if len(organs) != len(set(organs)):
        raise DataError(f"{source}: two label values stand for one organ; merge them first")
    return values
