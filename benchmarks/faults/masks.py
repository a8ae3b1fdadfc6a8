"""Faults of folders with a mask per structure, as TotalSegmentator's."""

import shutil

import nibabel as nib
import numpy as np

from faults.changes import save, stored
from faults.fault import ERROR, SITE, Fault
from faults.room import CASES, Room
from fedvox.finding import WARN


def misspelt(room: Room) -> None:
    """Every spleen is called splen."""
    for case in CASES:
        room.mask("spleen", case).rename(room.mask("splen", case))


def renamed(room: Room) -> None:
    """Renames them to spleen."""
    for case in CASES:
        room.mask("splen", case).rename(room.mask("spleen", case))


def empty(room: Room) -> None:
    """A mask of an organ that no case shows."""
    for case in CASES:
        data, affine = stored(room.mask("liver", case))
        save(room.mask("urinary_bladder", case), np.zeros(data.shape, np.uint8), affine)


def removed(room: Room) -> None:
    """Removes these masks."""
    for case in CASES:
        room.mask("urinary_bladder", case).unlink()


def grown(room: Room) -> None:
    """The spleen's mask covers half of the liver, and with it the spleen's."""
    data, affine = stored(room.mask("spleen"))
    liver, _ = stored(room.mask("liver"))
    liver[: int(np.argwhere(liver)[:, 0].mean())] = 0
    save(room.mask("spleen"), np.maximum(data, liver).astype(np.uint8), affine)


def covered(room: Room) -> None:
    """The spleen's mask is a copy of the liver's."""
    shutil.copy(room.mask("liver"), room.mask("spleen"))


def apart(room: Room) -> None:
    """Takes the common voxels out of the spleen's mask."""
    data, affine = stored(room.mask("spleen"))
    liver, _ = stored(room.mask("liver"))
    save(room.mask("spleen"), np.where(liver > 0, 0, data).astype(np.uint8), affine)


def other_grid(room: Room) -> None:
    """One mask lies elsewhere."""
    volume = nib.load(room.mask("spleen"))
    moved = volume.affine.copy()
    moved[0, 3] += 50
    save(room.mask("spleen"), np.asarray(volume.dataobj), moved)


def two_values(room: Room) -> None:
    """A mask that is none: it holds a label map."""
    data, affine = stored(room.mask("spleen"))
    save(room.mask("spleen"), (3 * data).astype(np.uint8), affine)


def as_mask(room: Room) -> None:
    """Corrects the label: 1 where the organ is."""
    data, affine = stored(room.mask("spleen"))
    save(room.mask("spleen"), (data > 0).astype(np.uint8), affine)


def blind(room: Room) -> None:
    """A folder that was not unpacked as a whole."""
    shutil.copytree(room.root / CASES[0], room.root / "s0009")
    (room.root / "s0009/ct.nii.gz").unlink()


def unpacked(room: Room) -> None:
    """Unpacks it again, with its image; it stands in meta.csv as in the release."""
    shutil.copy(room.image(), room.root / "s0009/ct.nii.gz")
    meta = room.root / "meta.csv"
    meta.write_text(meta.read_text() + "\ns0009;train")


def shortened(room: Room) -> None:
    """meta.csv without its last row."""
    meta = room.root / "meta.csv"
    meta.write_text("\n".join(meta.read_text().splitlines()[:-1]))


def restored(room: Room) -> None:
    """Restores meta.csv from the release."""
    shutil.copy(room.archive / "meta.csv", room.root / "meta.csv")


FAULTS = (
    Fault(
        "misspelt mask",
        misspelt,
        "organs",
        r"masks under names that FedVox does not know, .* background: 1 \(perhaps spleen\)",
        "rename what is one of FedVox's organs",
        renamed,
        status=WARN,
        who=SITE,
        layout="masks",
    ),
    Fault(
        "empty masks",
        empty,
        "organs",
        "there are masks of organs that no case holds: bladder",
        "remove the mask files of what nobody outlined",
        removed,
        status=WARN,
        who=SITE,
        layout="masks",
    ),
    Fault(
        "masks that overlap",
        grown,
        "overlap",
        "the masks of liver and spleen overlap by up to .* and these voxels become spleen",
        "take the common voxels out of the mask of spleen",
        apart,
        status=WARN,
        layout="masks",
    ),
    Fault(
        "mask that another covers",
        covered,
        "overlap",
        "liver and spleen overlap by up to 100.00% of the smaller one",
        "take the common voxels out of the mask of spleen",
        apart,
        status=WARN,
        layout="masks",
    ),
    Fault(
        "mask on another grid",
        other_grid,
        "label",
        "50.0 mm off its image",
        "export it again on the image's own grid",
        lambda room: room.again(),
        layout="masks",
    ),
    Fault(
        "mask with another value",
        two_values,
        "label",
        r"label values \[3\] are not in the label table",
        "correct the label",
        as_mask,
        layout="masks",
    ),
    Fault(
        "damaged mask",
        lambda room: room.mask("liver").write_bytes(room.mask("liver").read_bytes()[:90]),
        "label",
        "damaged or truncated",
        "copy it again",
        lambda room: room.again(),
        layout="masks",
    ),
    Fault(
        "case folder without image",
        blind,
        "folder",
        "folders without ct.nii.gz or mri.nii.gz that this user may read: 1",
        "unpack the release again",
        unpacked,
        status=WARN,
        who=SITE,
        layout="masks",
    ),
    Fault(
        "cases that meta.csv does not list",
        shortened,
        "error",
        r"meta\.csv does not list 1 of the 4 cases",
        "restore it",
        restored,
        who=ERROR,
        layout="masks",
    ),
    Fault(
        "release of the other modality",
        lambda room: setattr(room, "modality", "mr"),
        "error",
        r"no sNNNN/mri\.nii\.gz",
        "it holds ct: correct 'modalities'",
        lambda room: setattr(room, "modality", "ct"),
        who=ERROR,
        layout="masks",
    ),
)
