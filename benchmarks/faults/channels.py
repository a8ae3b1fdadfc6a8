"""Faults of cases of several images, for a job with channels: all needed, or some of them."""

import shutil
from collections.abc import Sequence
from dataclasses import replace

from faults.fault import SITE, Change, Fault
from faults.room import CASES, CHANNELS, CONTRASTS, FAULTY, Room
from fedvox.finding import WARN

FLAIR = f"{FAULTY}/{FAULTY}_flair.nii.gz"
SOME = replace(CHANNELS, missing_channels=True)
"""Of a job whose cases may lack a channel."""


def restored(room: Room) -> None:
    """Restores the images of the case."""
    for kind in CONTRASTS:
        path = room.root / FLAIR.replace("flair", kind)
        path.unlink(missing_ok=True)
        shutil.copy(room.archive / path.relative_to(room.root), path)


def without(*names: str, cases: Sequence[str] = (FAULTY,)) -> Change:
    """Cases lose images, in a job that lets them lack some."""

    def apply(room: Room) -> None:
        room.job = SOME
        for case in cases:
            for name in names:
                (room.root / case / f"{case}_{name}.nii.gz").unlink()

    return apply


def moved_away(room: Room) -> None:
    """A link in place of an image, whose file was moved."""
    without("flair")(room)
    (room.root / FLAIR).symlink_to(room.root / "moved" / "flair.nii.gz")


def of_another_set(room: Room) -> None:
    """The site file names modalities that the job does not have."""
    room.job, room.modalities = SOME, ("t1ce", "t2")


def names_modalities(*names: str) -> Change:
    """The site file names them."""
    return lambda room: setattr(room, "modalities", names)


FAULTS = (
    Fault(
        "case without a channel",
        lambda room: (room.root / FLAIR).unlink(),
        "channels",
        r"the case has no image of flair, the job needs t1\+flair",
        "restore it, or leave the case out",
        restored,
        layout="brats",
    ),
    Fault(
        "site file without a channel",
        names_modalities("t1"),
        "modality",
        "the site file lists t1, every case of the job needs t1, flair",
        "add flair to 'modalities' in the site file",
        names_modalities(*CONTRASTS),
        who=SITE,
        layout="brats",
    ),
    Fault(
        "several images for a job of one",
        lambda room: setattr(room, "job", replace(CHANNELS, channels=())),
        "modality",
        r"each case has 2 modalities \(flair, t1\), this job takes one image per case",
        "list one under 'modalities' in the site file",
        names_modalities("t1"),
        who=SITE,
        layout="brats",
    ),
    Fault(
        "case without any image",
        without(*CONTRASTS),
        "channels",
        r"the case has no image of t1, flair, the job needs at least one of t1\+flair",
        "restore it, or leave the case out",
        restored,
        layout="brats",
    ),
    Fault(
        "link that leads nowhere, where an image may be missing",
        moved_away,
        "image",
        "the flair image: the file is a link that leads nowhere",
        "mend it or restore the file",
        restored,
        layout="brats",
    ),
    Fault(
        "site of none of the job's modalities",
        of_another_set,
        "modality",
        "the site file lists t1ce, t2, the job uses t1, flair, of which a site needs at least one",
        "add those that the site has to 'modalities' in the site file",
        names_modalities("t1ce", "t2", "flair"),
        who=SITE,
        layout="brats",
    ),
    Fault(
        "modality that the site file lists and no case has",
        without("flair", cases=CASES),
        "channels",
        "the site file lists flair, and no case has such an image",
        "if the site has none, take flair out of 'modalities' in the site file",
        names_modalities("t1"),
        status=WARN,
        who=SITE,
        layout="brats",
    ),
)
