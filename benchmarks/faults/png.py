"""Faults of labels in PNG, one per slice of a DICOM series."""

import shutil
from collections.abc import Callable

import numpy as np
from PIL import Image

from faults.changes import Change, again
from faults.fault import Fault
from faults.room import Room


def pictures(change: Callable[[Image.Image], Image.Image]) -> Change:
    """Changes every PNG of the label."""

    def apply(room: Room) -> None:
        for path in room.label().iterdir():
            with Image.open(path) as picture:
                changed = change(picture)
            changed.save(path)

    return apply


def palette(picture: Image.Image) -> Image.Image:
    """The same numbers as indices of colours."""
    coloured = Image.fromarray(np.asarray(picture), "P")
    coloured.putpalette([value for index in range(9) for value in (index * 20, 5, 200)])
    return coloured


def fewer(room: Room) -> None:
    """One PNG got lost."""
    (room.label() / "003.png").unlink()


def restored(room: Room) -> None:
    """Restores the missing one."""
    held = room.archive / room.label().relative_to(room.root)
    shutil.copy(held / "003.png", room.label())


def bright(room: Room) -> None:
    """Grey values that viewers show well, under a table that numbers organs."""
    pictures(lambda p: Image.fromarray(np.asarray(p) * np.uint8(40)))(room)


def numbered(room: Room) -> None:
    """Corrects the label: the values are the table's."""
    pictures(lambda p: Image.fromarray(np.asarray(p) // np.uint8(40)))(room)


FAULTS = (
    Fault(
        "PNG too few",
        fewer,
        "label",
        "the label has .* PNG, the DICOM series .* slices",
        "restore the missing ones",
        restored,
        layout="png",
    ),
    Fault(
        "coloured PNG",
        pictures(lambda picture: picture.convert("RGB")),
        "label",
        "not grey of 8 bits or 1 bit but coloured",
        "save the labels as grey of 8 bits, without alpha",
        pictures(lambda picture: picture.convert("L")),
        layout="png",
    ),
    Fault(
        "PNG with a palette",
        pictures(palette),
        "label",
        "a palette of colours",
        "save the labels as grey of 8 bits, one value for each structure",
        again,
        layout="png",
    ),
    Fault(
        "PNG of another size",
        pictures(lambda picture: picture.resize((9, 8), Image.Resampling.NEAREST)),
        "label",
        "a label PNG has the shape",
        "export the labels again",
        again,
        layout="png",
    ),
    Fault(
        "damaged PNG",
        lambda room: (room.label() / "003.png").write_bytes(b"\x89PNG\r\n"),
        "label",
        "a label PNG is damaged",
        "copy the labels again",
        again,
        layout="png",
    ),
    Fault(
        "grey values that the table lacks",
        bright,
        "label",
        r"label values \[40, 80, 120, 160, 200\] are not in the label table",
        "^correct the label",
        numbered,
        layout="png",
    ),
)
