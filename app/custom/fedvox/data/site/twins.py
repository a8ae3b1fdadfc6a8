"""The same voxels under two names: a leak between splits, or a double weight in one."""

from fedvox.data.cases.prepared import PreparedCase
from fedvox.errors import DataError

Owners = dict[str, tuple[str, str]]
"""Mark of an image -> identifier and part of the case that has it."""


def refuse_twin(ready: PreparedCase, owners: Owners, case_id: str, part: str) -> None:
    """Refuses a case of which an earlier one holds an image; one suffices, a copy may lack others.

    Args:
        ready: the prepared case.
        owners: of the images of earlier cases; a case that is not refused is noted in it.
        case_id: its identifier.
        part: the part of the split in which it stands.

    Raises:
        DataError: says where the other one stands.
    """
    first = next((owners[mark] for mark in ready.marks if mark in owners), (case_id, part))
    if first[0] == case_id:
        owners.update(dict.fromkeys(ready.marks, first))
        return
    if first[1] == part:
        raise DataError(f"its voxels are those of another case under '{part}'; keep one")
    raise DataError(
        f"its voxels are those of a case under '{first[1]}', it stands under '{part}'; keep one"
    )
