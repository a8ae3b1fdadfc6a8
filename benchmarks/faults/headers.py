"""Faults of NIfTI headers: what they say of place, size and numbers."""

import numpy as np

from faults.changes import (
    affines,
    again,
    mirrored,
    one_form,
    plant_fields,
    qform,
    resample,
    rotated,
    set_fields,
    sheared,
    shifted,
)
from faults.fault import Fault
from faults.room import Room
from fedvox.finding import WARN


def no_orientation(room: Room) -> None:
    """Neither sform nor qform."""
    plant_fields(sform_code=0, qform_code=0)(room)


def upright(room: Room) -> None:
    """Resamples image and label from slanted axes onto perpendicular ones."""
    for path, order, outside in ((room.image(), 1, -1000.0), (room.label(), 0, 0.0)):
        held = room.archive / path.relative_to(room.root)
        resample(path, held, order, outside)


SAME = "store the form that shows the patient rightly as both"
AGAIN = "export it again"
BOTH = "image|label"
FAULTS = (
    Fault(
        "no sform and qform",
        no_orientation,
        BOTH,
        "neither sform nor qform",
        "orientation is unknown: re-export",
        again,
    ),
    Fault(
        "voxel size 1e-6 mm",
        affines(lambda a: a @ np.diag([1e-6, 1e-6, 1e-6, 1])),
        BOTH,
        "voxel size .* is not plausible",
        "export",
        again,
    ),
    Fault(
        "voxel size 0",
        plant_fields(pixdim=[1, 12, 12, 0, 1, 1, 1, 1], sform_code=0, qform_code=1),
        BOTH,
        r"voxel size \[12.0, 12.0, 0.0\] mm is not plausible",
        "export the scan again",
        again,
    ),
    Fault(
        "metres that are mm",
        plant_fields(xyzt_units=1),
        BOTH,
        "is not plausible",
        "set xyzt_units to mm",
        set_fields(xyzt_units=2),
    ),
    Fault(
        "slope 0 with an intercept",
        plant_fields(label=False, scl_slope=0, scl_inter=-3),
        "image",
        "an intercept of -3 and a slope of 0",
        "set scl_slope to 1",
        set_fields(label=False, scl_slope=1),
    ),
    Fault(
        "slope NaN",
        plant_fields(label=False, scl_slope=np.nan),
        "image",
        "scl_slope nan, scl_inter 0.* is no number",
        "set scl_slope to 1 and scl_inter to 0 if the stored numbers hold",
        set_fields(label=False, scl_slope=1, scl_inter=0),
    ),
    Fault(
        "shape of half the slices",
        plant_fields(label=False, dim=[3, 26, 28, 11, 1, 1, 1, 1]),
        "image",
        "bytes more than the header's shape",
        AGAIN,
        again,
    ),
    Fault(
        "voxels within the header",
        plant_fields(label=False, vox_offset=0),
        "image",
        "voxels begin within it",
        AGAIN,
        again,
    ),
    Fault(
        "sform without a column",
        plant_fields(srow_z=[0, 0, 0, -16]),
        BOTH,
        "the sform's voxel size .* is not the header's",
        AGAIN,
        again,
    ),
    Fault("sform of NaN", plant_fields(srow_y=[0, np.nan, 0, 0]), BOTH, "NaN or inf", AGAIN, again),
    Fault(
        "unknown sform code",
        plant_fields(sform_code=9),
        BOTH,
        "sform code is 9, which NIfTI lacks",
        AGAIN,
        again,
    ),
    Fault(
        "mirrored qform", qform(mirrored), "orientation", "mirrored", SAME, one_form, status=WARN
    ),
    Fault(
        "rotated qform",
        qform(rotated),
        "orientation",
        "rotated by 29 degrees",
        SAME,
        one_form,
        status=WARN,
    ),
    Fault(
        "qform 100 mm apart",
        qform(shifted),
        "orientation",
        r"shifted by 100\.0 mm",
        SAME,
        one_form,
        status=WARN,
    ),
    Fault(
        "qform of the label mirrored",
        qform(mirrored, image=False),
        "orientation",
        "of the label",
        SAME,
        one_form,
        status=WARN,
    ),
    Fault(
        "non-orthonormal affine",
        affines(sheared),
        BOTH,
        "not perpendicular",
        "resample the volume",
        upright,
    ),
)
