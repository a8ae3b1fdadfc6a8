"""Faults of a split file."""

from collections.abc import Mapping

from faults.changes import Change
from faults.fault import SITE, Fault
from faults.room import CASES, SPLIT, Room
from fedvox.finding import WARN

ONE, TWO, THREE, FOUR = CASES


def split(content: Mapping[str, object]) -> Change:
    """Writes the split file."""
    return lambda room: room.write(content, "split.json")


def changed(**parts: object) -> Change:
    """The split file with other parts."""
    return split(SPLIT | parts)


def repaired(room: Room) -> None:
    """The split file as it should be."""
    room.write(SPLIT, "split.json")


FILL = "list cases under {} in the split file, each in one part only"
FAULTS = (
    Fault(
        "patient in two parts",
        changed(val=[THREE, ONE]),
        "split",
        "one patient is under 'train' and 'val'",
        "list each patient once",
        repaired,
        who=SITE,
    ),
    Fault(
        "patient in two parts, allowed",
        changed(val=[THREE, ONE], allow_overlap=True),
        "split",
        "1 of 4 cases stand in several parts",
        "use allow_overlap for a dry run only",
        repaired,
        status=WARN,
        who=SITE,
    ),
    Fault(
        "nothing to train",
        changed(train=[]),
        "cases",
        "no case of 2 can be used for training",
        FILL.format("'train'"),
        repaired,
        who=SITE,
    ),
    Fault(
        "nothing to validate or test",
        split({"train": [ONE, TWO]}),
        "split",
        "no case stands under 'val': the site has no say.*no case stands under 'test': nothing is",
        FILL.format("'val' and 'test'"),
        repaired,
        status=WARN,
        who=SITE,
    ),
    Fault(
        "file names in place of identifiers",
        changed(train=[f"images/{ONE}.nii.gz", f"{TWO}.nii.gz"]),
        "split",
        "2 ids under 'train' are not in the data set, the first at place 1",
        r"leave out folders and endings \(.nii.gz, _0000\)",
        repaired,
        who=SITE,
    ),
    Fault(
        "unknown identifier",
        changed(train=[TWO, "s0077"]),
        "split",
        "1 ids under 'train' are not in the data set, the first at place 2",
        "mend the list",
        changed(train=[TWO]),
        who=SITE,
    ),
    Fault(
        "identifier twice",
        changed(train=[ONE, ONE]),
        "split",
        "'train' repeats 1 of its ids",
        "list each once",
        changed(train=[ONE]),
        who=SITE,
    ),
    Fault(
        "unknown part",
        split({"training": [ONE, TWO], "val": [THREE], "test": [FOUR]}),
        "split",
        r"unknown keys \(1\)",
        "allowed: train, val, test, allow_overlap",
        repaired,
        who=SITE,
    ),
    Fault(
        "identifiers that are numbers",
        changed(train=[1, 2]),
        "split",
        "'train' must be a list of case identifiers, each a text",
        "mend the list",
        repaired,
        who=SITE,
    ),
)
