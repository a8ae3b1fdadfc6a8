"""Faults of an image's file and of its numbers."""

import nibabel as nib
import numpy as np

from faults.changes import (
    again,
    circle,
    flip_bit,
    image_bytes,
    image_voxels,
    one_voxel,
    save,
    stored,
)
from faults.fault import ALL, Fault
from faults.room import CASES, FAULTY, SPLIT, Room
from faults.series import write_series

NEW = "s0009"


def several(room: Room) -> None:
    """Two volumes in one file, as of a perfusion."""
    data, affine = stored(room.image())
    save(room.image(), np.stack([data, data + 1], -1).astype(np.float32), affine)


def first_volume(room: Room) -> None:
    """Keeps the first volume."""
    data, affine = stored(room.image())
    save(room.image(), data[..., 0].astype(np.float32), affine)


def not_compressed(room: Room) -> None:
    """A .nii called .nii.gz."""
    volume = nib.load(room.image())
    content = nib.Nifti1Image(np.asarray(volume.dataobj), volume.affine).to_bytes()
    room.image().write_bytes(content)


def renamed(room: Room) -> None:
    """To .nii; the label is found by its image's name."""
    room.image().rename(room.image().with_suffix(""))


def coloured(room: Room) -> None:
    """Three numbers a voxel."""
    data, affine = stored(room.image())
    colours = np.zeros(data.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    save(room.image(), colours, affine)


def one_slice(room: Room) -> None:
    """The file of a DICOM slice under the scan's name."""
    room.image().write_bytes(bytes(128) + b"DICM" + bytes(900))


def dangling(room: Room) -> None:
    """A link into an archive that was moved."""
    path = room.image()
    path.unlink()
    path.symlink_to(room.archive / "moved" / path.name)


def series(room: Room) -> None:
    """Puts the folder of its series in the scan's place."""
    room.image().unlink()
    data, affine = stored(room.archive / f"images/{FAULTY}.nii.gz")
    write_series(room.root / f"images/{FAULTY}", data.clip(-1024), affine)


def named(modality: str) -> Fault:
    """A folder whose site file names the other modality."""
    other = "mr" if modality == "ct" else "ct"

    def name(what: str) -> object:
        return lambda room: setattr(room, "modality", what)

    ct = modality == "ct"
    return Fault(
        name=f"{modality.upper()} declared as {other.upper()}",
        plant=lambda room: setattr(room, "modality", other),
        check="modality",
        reason="as air in a CT does" if ct else "no value below 0, as a CT in HU has",
        remedy="if all are so, name 'ct' under 'modalities'"
        if ct
        else "if all are MRI, the site file names the wrong modality",
        mend=lambda room: setattr(room, "modality", modality),
        who=ALL,
        layout="plain" if ct else "plain mr",
        beside="no case of 4 can be used for training|none of the 1 cases under '(val|test)'",
    )


def twin(room: Room) -> None:
    """A training image once more among the validation cases, turned and with a new number type."""
    source = nib.load(room.image(CASES[1]))
    codes = nib.orientations.axcodes2ornt("SAR")
    change = nib.orientations.ornt_transform(nib.io_orientation(source.affine), codes)
    turned = source.as_reoriented(change)
    save(room.root / f"images/{NEW}.nii.gz", turned.get_fdata().astype(np.float64), turned.affine)
    label = nib.load(room.label(CASES[1])).as_reoriented(change)
    nib.save(label, room.root / f"labels/{NEW}.nii.gz")
    room.write(SPLIT | {"val": [CASES[2], NEW]}, "split.json")


def without_twin(room: Room) -> None:
    """Keeps one of the two."""
    for part in ("images", "labels"):
        (room.root / part / f"{NEW}.nii.gz").unlink()
    room.write(SPLIT, "split.json")


def stretched(room: Room) -> None:
    """Grey values of 8 bits, padded, as an export for viewing makes."""
    image_voxels(lambda d: circle(np.rint((d.clip(-160, 240) + 160) / 400 * 255), -1))(room)


UNITS = "so they are no HU but were scaled"
HU = "export the scan in HU"
DAMAGED = "damaged or truncated"
COPY = "^copy it again$"
FAULTS = (
    Fault("truncated gzip", image_bytes(lambda c: c[: len(c) // 2]), "image", DAMAGED, COPY, again),
    Fault("empty file", image_bytes(lambda c: b""), "image", "the file is empty", COPY, again),
    Fault(
        "bit flip",
        image_bytes(lambda c: flip_bit(c, 8 * (len(c) // 2))),
        "image",
        DAMAGED,
        COPY,
        again,
    ),
    Fault(
        "page of an error called NIfTI",
        image_bytes(lambda c: b"<html>not found</html>" * 99),
        "image",
        "damaged or truncated, or no NIfTI",
        "export it again",
        again,
    ),
    Fault(
        "missing file",
        lambda room: room.label().unlink(),
        "label",
        "the file is missing",
        "^restore it, or leave the case out by a split file",
        again,
    ),
    Fault(
        "missing file, left out",
        lambda room: room.label().unlink(),
        "label",
        "the file is missing",
        "or leave the case out by a split file$",
        lambda room: room.write(SPLIT | {"train": [CASES[1]]}, "split.json"),
    ),
    Fault(
        "link that leads nowhere",
        dangling,
        "image",
        "a link that leads nowhere",
        "mend it or restore the file",
        again,
    ),
    Fault(
        "NaN",
        image_voxels(one_voxel(np.nan)),
        "image",
        "1 voxels that are NaN or infinite",
        "export it again",
        again,
    ),
    Fault(
        "Inf",
        image_voxels(one_voxel(np.inf)),
        "image",
        "1 voxels that are NaN or infinite",
        "export it again",
        again,
    ),
    Fault("4D image", several, "image", r"shape is \(.*2\)", "save one volume of it", first_volume),
    Fault(
        "not compressed",
        not_compressed,
        "image",
        "not compressed, as .gz in its name says",
        "rename",
        renamed,
    ),
    Fault("coloured", coloured, "image", "colour or complex", "save the grey values", again),
    Fault(
        "one DICOM slice as scan",
        one_slice,
        "image",
        "a DICOM file and no NIfTI",
        "name the folder of its series",
        series,
    ),
    Fault(
        "constant image",
        image_voxels(np.ones_like),
        "image",
        "is constant",
        "export it again",
        again,
    ),
    Fault(
        "intercept lost",
        image_voxels(lambda d: (d + 1024).clip(0)),
        "modality",
        "rescale intercept lost: tissue lies around 1024",
        "subtract 1024",
        image_voxels(lambda d: d - 1024),
    ),
    Fault(
        "intercept lost, circle at -2000",
        image_voxels(lambda d: circle((d + 1024).clip(0), -2000)),
        "modality",
        "rescale intercept lost: tissue lies around 1024",
        "subtract 1024",
        image_voxels(lambda d: d - 1024),
    ),
    Fault(
        "intercept applied twice",
        image_voxels(lambda d: circle(d - 1024, -3024)),
        "modality",
        "rescale intercept applied twice",
        "add 1024",
        image_voxels(lambda d: d + 1024),
    ),
    Fault(
        "CT scaled to [-1, 1]",
        image_voxels(lambda d: circle(d.clip(-1000, 1000) / 1000, -1000)),
        "modality",
        UNITS,
        HU,
        again,
    ),
    Fault(
        "CT as z-scores",
        image_voxels(lambda d: circle((d - d.mean()) / d.std(), -9)),
        "modality",
        UNITS,
        HU,
        again,
    ),
    Fault(
        "CT in 8 bits", stretched, "modality", "grey values from 0 to 255", "export it in HU", again
    ),
    named("ct"),
    named("mr"),
    Fault(
        "training image among validation",
        twin,
        "twin",
        "its voxels are those of case .* under 'train', it stands under 'val'",
        "keep one of the two",
        without_twin,
        who=(NEW,),
    ),
)
