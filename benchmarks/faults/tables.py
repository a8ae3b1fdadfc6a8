"""Faults of label tables, and of what a job asks of them."""

from collections.abc import Mapping

import numpy as np

from faults.changes import Change, save, stored
from faults.fault import ERROR, SITE, Fault
from faults.room import CASES, ORGANS, Room
from fedvox.data.settings import DataSettings
from fedvox.finding import WARN


def table(content: Mapping[str, object]) -> Change:
    """Writes the label table."""
    return lambda room: room.write(content)


def renamed(**names: str) -> Change:
    """The label table with other names."""
    return table({names.get(organ, organ): value for organ, value in ORGANS.items()})


def relabelled(old: int, new: int) -> Change:
    """Another value in the labels of every case."""

    def apply(room: Room) -> None:
        for case in CASES:
            data, affine = stored(room.label(case))
            save(room.label(case), np.where(data == old, new, data).astype(np.int32), affine)

    return apply


def outlined(organ_of_table: int) -> Change:
    """Outlines a further structure in every case: a corner of the scan."""

    def apply(room: Room) -> None:
        for case in CASES:
            data, affine = stored(room.label(case))
            data[:2, :2, :2] = organ_of_table
            save(room.label(case), data.astype(np.uint8), affine)

    return apply


def both(*changes: Change) -> Change:
    """One change after the other."""

    def apply(room: Room) -> None:
        for change in changes:
            change(room)

    return apply


def asked(*organs: str) -> Change:
    """A job that trains these organs."""

    def apply(room: Room) -> None:
        room.job = DataSettings(organs=organs, spacing=(12.0, 12.0, 12.0), patch=(8, 8, 8))

    return apply


def without(organ: str) -> dict[str, int]:
    """The table without an organ."""
    return {name: value for name, value in ORGANS.items() if name != organ}


SOUND = table(ORGANS)
NAMES = "rename what is one of FedVox's organs"
UNKNOWN = "which FedVox does not know: it trains them as background"
GERMAN = {"Leber": 1, "Milz": 2, "Niere rechts": 3, "Niere links": 4, "Pankreas": 5}
GERMAN |= {"Gallenblase": 6}
KIDNEYS = {"kidneys": 3, **{n: v for n, v in ORGANS.items() if "kidney" not in n}}
ONE_KIDNEY = relabelled(4, 3)
"""Both kidneys have one value."""


def told_by_side(room: Room) -> None:
    """Gives each kidney a value and an entry of its own."""
    for case in CASES:
        held = room.archive / room.label(case).relative_to(room.root)
        room.label(case).write_bytes(held.read_bytes())
    room.write(ORGANS)


FAULTS = (
    Fault(
        "misspelt organ",
        renamed(spleen="splen"),
        "organs",
        rf"'splen' \(spleen\?\), {UNKNOWN}",
        NAMES,
        SOUND,
        status=WARN,
        who=SITE,
    ),
    Fault(
        "organ in another language",
        renamed(spleen="Milz"),
        "organs",
        rf"'Milz' \(spleen\?\), {UNKNOWN}",
        NAMES,
        SOUND,
        status=WARN,
        who=SITE,
    ),
    Fault(
        "both kidneys under one name",
        both(ONE_KIDNEY, table(KIDNEYS)),
        "organs",
        r"'kidneys' \(kidney_right, kidney_left\?\)",
        "one per side where there are two",
        told_by_side,
        status=WARN,
        who=SITE,
    ),
    Fault(
        "table in which nothing is known",
        table(GERMAN),
        "organs",
        "the label table names no organ that FedVox knows",
        "name organs as docs/data.md does",
        SOUND,
        who=SITE,
        beside=UNKNOWN,
    ),
    Fault(
        "organ that nobody outlined",
        table(ORGANS | {"aorta": 7}),
        "organs",
        "the label table names organs that no case holds: aorta",
        "remove the table entries of what nobody outlined",
        SOUND,
        status=WARN,
        who=SITE,
    ),
    Fault(
        "organ that nobody outlined where a label cannot be read",
        both(table(ORGANS | {"aorta": 7}), lambda room: room.label().write_bytes(b"")),
        "organs",
        "organs that none of the 3 cases that could be read holds: aorta",
        r"^mend the cases that could not be read \(1\) and check again",
        lambda room: room.again(),
        status=WARN,
        who=SITE,
        beside="the file is empty",
        left="the label table names organs that no case holds: aorta",
    ),
    Fault(
        "organ of the job that nobody annotates",
        both(asked("liver", "spleen"), renamed(spleen="lesion")),
        "organs",
        "no case annotates spleen, which the job trains",
        "if the labels hold it, name it as docs/data.md does",
        SOUND,
        status=WARN,
        who=SITE,
    ),
    Fault(
        "no organ of the job",
        both(asked("liver"), renamed(liver="lesion")),
        "organs",
        r"no case annotates an organ of the job \(liver\)",
        "compare the label table with the job's organs",
        SOUND,
        who=SITE,
        beside="the label holds none of the job's organs",
    ),
    Fault(
        "no label table",
        lambda room: (room.root / "labels.json").unlink(),
        "error",
        r"no labels\.json",
        r'write one like {"liver": 1}',
        SOUND,
        who=ERROR,
    ),
    Fault(
        "table that is no JSON",
        lambda room: (room.root / "labels.json").write_text('{"liver": 1,}'),
        "error",
        r"labels\.json: .*line 1",
        "mend",
        SOUND,
        who=ERROR,
    ),
    Fault(
        "empty table",
        table({}),
        "error",
        "the label table names no structure",
        r'write one like {"liver": 1}',
        SOUND,
        who=ERROR,
    ),
    Fault(
        "only background",
        table({"background": 0}),
        "error",
        "the label table names no structure",
        r'write one like {"liver": 1}',
        SOUND,
        who=ERROR,
    ),
    Fault(
        "value twice",
        table(ORGANS | {"aorta": 6}),
        "error",
        "label value 6 stands twice, for 'gallbladder' and for 'aorta'",
        "give each its own",
        both(outlined(7), table(ORGANS | {"aorta": 7})),
        who=ERROR,
    ),
    Fault(
        "two values of one organ",
        both(outlined(7), table(ORGANS | {"Liver": 7})),
        "error",
        "two label values stand for one organ, liver: 'liver' and 'Liver'",
        "give it one value in the labels, and one entry here",
        both(relabelled(7, 1), SOUND),
        who=ERROR,
    ),
    Fault(
        "value above 16 bits",
        both(relabelled(1, 40000), table(ORGANS | {"liver": 40000})),
        "error",
        "'liver' has a value above 32767",
        "give it a smaller one, here and in the labels",
        both(relabelled(40000, 1), SOUND),
        who=ERROR,
    ),
    Fault(
        "region of several values",
        table(ORGANS | {"whole": [1, 2]}),
        "error",
        "'whole' is a region of several values, which is not supported",
        "list each structure with its one value",
        SOUND,
        who=ERROR,
    ),
    Fault(
        "value that is no number",
        table(ORGANS | {"liver": "one"}),
        "error",
        "'liver' is not a name with a whole number",
        "mend it",
        SOUND,
        who=ERROR,
    ),
    Fault(
        "ignore is 0",
        table(ORGANS | {"ignore": 0}),
        "error",
        "'ignore' has the value 0, which is background",
        "if nobody annotated those voxels, give them another value, here and in the labels",
        both(relabelled(0, 9), table(ORGANS | {"ignore": 9})),
        who=ERROR,
    ),
    Fault(
        "organ is 0",
        both(relabelled(6, 0), table(ORGANS | {"gallbladder": 0})),
        "error",
        "'gallbladder' has the value 0, which is background",
        "give it another value, here and in the labels",
        told_by_side,
        who=ERROR,
    ),
)
