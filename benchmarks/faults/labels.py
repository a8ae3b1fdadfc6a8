"""Faults of a label's file: its grid, its values and where it lies."""

import nibabel as nib
import numpy as np

from faults.changes import (
    affines,
    again,
    label_voxels,
    mirrored,
    resample,
    save,
    shifted,
    stored,
)
from faults.fault import Fault
from faults.room import CASES, ORGANS, SPLIT, Room
from fedvox.finding import WARN

IGNORED = 9


def coarse(room: Room) -> None:
    """A label on a grid of its own, as from a program that thins slices out."""
    data, affine = stored(room.label())
    grid = affine @ np.diag([1.0, 1.0, 2.0, 1.0])
    save(room.label(), data[:, :, ::2].astype(np.uint8), grid)


def onto_image(room: Room) -> None:
    """Resamples the label onto the image."""
    resample(room.label(), room.image(), 0, 0.0)


def interpolated(room: Room) -> None:
    """Values between two organs, as linear interpolation makes."""
    from scipy import ndimage

    label_voxels(lambda data: ndimage.gaussian_filter(data, 0.5), np.float32)(room)


def never_annotated(room: Room) -> None:
    """All voxels are 'ignore'."""
    room.write(ORGANS | {"ignore": IGNORED})
    label_voxels(lambda data: np.full_like(data, IGNORED))(room)


def taken_out(room: Room) -> None:
    """Takes the case out of the split."""
    room.write(SPLIT | {"train": [CASES[1]]}, "split.json")


def partly_annotated(room: Room) -> None:
    """Annotates a part: what the archive holds, but for the upper half."""
    room.again()

    def part(data: np.ndarray) -> np.ndarray:
        data = data.copy()
        data[:, :, data.shape[2] // 2 :] = IGNORED
        return data

    label_voxels(part)(room)


def flipped_in_grid(room: Room) -> None:
    """Right and left of the label's voxels exchanged, under the affine of before."""
    volume = nib.load(room.label())
    right = int(nib.io_orientation(volume.affine)[:, 0].tolist().index(0))
    label_voxels(lambda data: np.flip(data, right))(room)


def moved_in_grid(room: Room) -> None:
    """The label's voxels moved to the front by 70 mm, under the affine of before."""
    volume = nib.load(room.label())
    front = int(nib.io_orientation(volume.affine)[:, 0].tolist().index(1))
    sign = int(nib.io_orientation(volume.affine)[front, 1])
    label_voxels(lambda data: np.roll(data, 7 * sign, front))(room)


OWN_GRID = "export it again on the image's own grid"
FAULTS = (
    Fault(
        "label shape",
        coarse,
        "grid",
        "label's shape .* is not the image's",
        "resample the label onto the image",
        onto_image,
    ),
    Fault(
        "unknown label value",
        label_voxels(lambda d: np.where(d == 1, 77, d)),
        "label",
        r"label values \[77\] are not in the label table",
        "^correct the label",
        label_voxels(lambda d: np.where(d == 77, 1, d)),
    ),
    Fault(
        "unknown label value, of a structure",
        label_voxels(lambda d: np.where(d == 0, 77, d)),
        "label",
        r"label values \[77\] are not in the label table",
        "or add them if they are real structures",
        lambda room: room.write(ORGANS | {"lesion": 77}),
    ),
    Fault(
        "unknown label value, not annotated",
        label_voxels(lambda d: np.where(d == 0, 255, d)),
        "label",
        r"label values \[255\] are not in the label table",
        "or 'ignore' where nobody annotated",
        lambda room: room.write(ORGANS | {"ignore": 255}),
    ),
    Fault(
        "fractional label",
        interpolated,
        "label",
        "holds fractions, as interpolation makes",
        "export it again as whole numbers, by nearest neighbour if it is resampled",
        again,
    ),
    Fault(
        "label with NaN",
        label_voxels(lambda d: np.where(d == 1, np.nan, d), np.float32),
        "label",
        "voxels that are NaN or infinite",
        "export it again as whole numbers",
        again,
    ),
    Fault(
        "label beyond 16 bits",
        label_voxels(lambda d: np.where(d == 1, 40000, d), np.uint16),
        "label",
        "holds values beyond 32767",
        "give organs small numbers",
        label_voxels(lambda d: np.where(d == 40000, 1, d)),
    ),
    Fault(
        "empty label",
        label_voxels(np.zeros_like),
        "organs",
        "holds none of FedVox's organs",
        "look whether the segmentation got lost",
        again,
        status=WARN,
    ),
    Fault(
        "label all ignore, taken out",
        never_annotated,
        "organs",
        "all voxels of the label are 'ignore'",
        "take the case out",
        taken_out,
        status=WARN,
    ),
    Fault(
        "label all ignore, annotated",
        never_annotated,
        "organs",
        "all voxels of the label are 'ignore'",
        "or annotate a part of it",
        partly_annotated,
        status=WARN,
    ),
    Fault(
        "flipped label affine",
        affines(mirrored, image=False),
        "grid",
        "mm off its image",
        OWN_GRID,
        again,
        beside="liver does not lie right of spleen",
    ),
    Fault(
        "label 100 mm off",
        affines(shifted, image=False),
        "grid",
        "100.0 mm off its image",
        OWN_GRID,
        again,
    ),
    Fault(
        "label mirrored in its grid",
        flipped_in_grid,
        "placement",
        "does not lie",
        "look whether label or image was flipped when saved",
        flipped_in_grid,
        status=WARN,
    ),
    Fault(
        "label of another place",
        moved_in_grid,
        "placement",
        "of the labelled voxels lie in air or outside the body",
        "look whether the label is shifted",
        again,
        status=WARN,
    ),
)
