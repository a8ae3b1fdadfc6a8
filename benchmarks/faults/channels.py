"""Faults of cases of several images, for a job with channels."""

import shutil
from dataclasses import replace

from faults.fault import SITE, Fault
from faults.room import CHANNELS, CONTRASTS, FAULTY, Room

FLAIR = f"{FAULTY}/{FAULTY}_flair.nii.gz"


def restored(room: Room) -> None:
    """Restores the image of the second channel."""
    shutil.copy(room.archive / FLAIR, room.root / FLAIR)


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
        lambda room: setattr(room, "modalities", ("t1",)),
        "modality",
        "the site file lists t1, every case of the job needs t1, flair",
        "add flair to 'modalities' in the site file",
        lambda room: setattr(room, "modalities", CONTRASTS),
        who=SITE,
        layout="brats",
    ),
    Fault(
        "several images for a job of one",
        lambda room: setattr(room, "job", replace(CHANNELS, channels=())),
        "modality",
        r"each case has 2 modalities \(flair, t1\), this job takes one image per case",
        "list one under 'modalities' in the site file",
        lambda room: setattr(room, "modalities", ("t1",)),
        who=SITE,
        layout="brats",
    ),
)
