"""Sound oddities: rare but legal forms, of which nothing may be said and no organ may change."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from PIL import Image

from faults.changes import (
    Change,
    circle,
    files_of,
    image_voxels,
    one_voxel,
    qform,
    save,
    stored,
)
from faults.channels import without
from faults.dicom import slices
from faults.lists import listed, listing
from faults.png import pictures
from faults.room import CASES, LISTING, ORGANS, SPLIT, Room


def other_axes(room: Room) -> None:
    """The label's axes in another order and direction, as its program likes them."""
    label = nib.load(room.label())
    nib.save(label.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]])), room.label())


def as_kind(kind: Any, endian: str = "<") -> Change:
    """Image and label in another form of NIfTI, or another order of bytes."""

    def apply(room: Room) -> None:
        for path in files_of(room):
            volume = nib.load(path)
            data = np.asarray(volume.dataobj)
            header = kind.header_class(endianness=endian)
            header.set_data_dtype(data.dtype)
            nib.save(kind(data, volume.affine, header), path)

    return apply


def as_type(image: str, label: str) -> Change:
    """Other number types, which hold the same."""

    def apply(room: Room) -> None:
        for path, name in ((room.image(), image), (room.label(), label)):
            data, affine = stored(path)
            save(path, np.rint(data).astype(name), affine)

    return apply


def scaled(room: Room) -> None:
    """The image's values behind a slope and an intercept."""
    data, affine = stored(room.image())
    volume = nib.Nifti1Image(np.rint(data), affine)
    volume.header.set_data_dtype(np.int16)
    nib.save(volume, room.image())


def one_of_4d(room: Room) -> None:
    """A fourth axis of length 1."""
    data, affine = stored(room.image())
    save(room.image(), data[..., None].astype(np.float32), affine)


def in_metres(room: Room) -> None:
    """Places in metres, and the header says so."""
    for path in files_of(room):
        data, affine = stored(path)
        volume = nib.Nifti1Image(data.astype(np.int16), np.diag([1e-3, 1e-3, 1e-3, 1]) @ affine)
        volume.header.set_xyzt_units("meter")
        nib.save(volume, path)


def forms(sform: int, qform_code: int) -> Change:
    """Codes of sform and qform, which say the same."""

    def apply(room: Room) -> None:
        for path in files_of(room):
            volume = nib.load(path)
            volume = nib.Nifti1Image(np.asarray(volume.dataobj), volume.affine)
            volume.set_sform(volume.affine, sform)
            volume.set_qform(volume.affine, qform_code)
            nib.save(volume, path)

    return apply


def nearly(affine: np.ndarray) -> np.ndarray:
    """Rounded."""
    moved = affine.copy()
    moved[2, 3] += 0.3
    return moved


def plain(path: Path) -> None:
    """A volume without compression."""
    nib.save(nib.load(path), path.with_suffix(""))
    path.unlink()


def with_extension(room: Room) -> None:
    """A header with a comment behind it."""
    volume = nib.load(room.image())
    volume.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"head first"))
    nib.save(
        nib.Nifti1Image(np.asarray(volume.dataobj), volume.affine, volume.header), room.image()
    )


def hidden(room: Room) -> None:
    """What file managers leave behind."""
    for folder in ("images", "labels"):
        (room.root / folder / ".DS_Store").write_bytes(bytes(99))
        (room.root / folder / "._s0000.nii.gz").write_bytes(bytes(99))


def bare(room: Room) -> None:
    """DICOM without preamble and ending."""
    for path in sorted(room.image().iterdir()):
        content = path.read_bytes()
        path.unlink()
        path.with_suffix("").write_bytes(content[132:])


def report_beside(room: Room) -> None:
    """A text report among the slices."""
    report = pydicom.dcmread(room.image() / "IMG-0000.dcm")
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    del report.PixelData
    report.save_as(room.image() / "report.dcm")


def own_identifiers(dataset: Any, place: int) -> None:
    """As some anonymisers give every file."""
    dataset.SeriesInstanceUID = f"1.2.5.{place}"
    dataset.FrameOfReferenceUID = f"1.2.6.{place}"


def emptied(dataset: Any, place: int) -> None:
    """Fields that an anonymiser emptied."""
    dataset["SOPClassUID"].value = None
    dataset["StudyInstanceUID"].value = None


def rounded(dataset: Any, place: int) -> None:
    """Positions to a tenth of a mm."""
    dataset.ImagePositionPatient = [round(float(v), 1) for v in dataset.ImagePositionPatient]


def grey_palette(picture: Image.Image) -> Image.Image:
    """The same greys through a palette."""
    found = Image.fromarray(np.asarray(picture), "P")
    found.putpalette([value for index in range(9) for value in 3 * [index]])
    return found


def outside_view(room: Room) -> None:
    """An organ of the other cases lies outside this scan: its mask is empty."""
    data, affine = stored(room.mask("gallbladder"))
    save(room.mask("urinary_bladder"), np.zeros(data.shape, np.uint8), affine)
    other, affine = stored(room.mask("gallbladder", CASES[1]))
    other = np.zeros(other.shape, np.uint8)
    other[:2, :2, :2] = 1
    save(room.mask("urinary_bladder", CASES[1]), other, affine)


def other_structure(room: Room) -> None:
    """A mask of a structure that nobody trains."""
    data, affine = stored(room.mask("liver"))
    save(room.mask("vertebrae_L1"), np.zeros(data.shape, np.uint8), affine)


def fewer_listed(room: Room) -> None:
    """A split that leaves a case out knowingly."""
    room.write(SPLIT | {"train": [CASES[0]]}, "split.json")


NAMES = {"liver": "Liver", "kidney_left": "Left Kidney", "kidney_right": "right_kidney"}
SOUND: dict[str, tuple[str, Change]] = {
    "label of other axes": ("plain", other_axes),
    "NIfTI-2": ("plain", as_kind(nib.Nifti2Image)),
    "big-endian": ("plain", as_kind(nib.Nifti1Image, ">")),
    "NIfTI-2, big-endian": ("plain", as_kind(nib.Nifti2Image, ">")),
    "float64 and a label in float32": ("plain", as_type("f8", "f4")),
    "int32 and a label in uint16": ("plain", as_type("i4", "u2")),
    "slope and intercept": ("plain", scaled),
    "one volume of 4D": ("plain", one_of_4d),
    "metres": ("plain", in_metres),
    "sform alone": ("plain", forms(1, 0)),
    "qform alone": ("plain", forms(0, 1)),
    "forms apart by rounding": ("plain", qform(nearly)),
    "image not compressed": ("plain", lambda room: plain(room.image())),
    "label not compressed": ("plain", lambda room: plain(room.label())),
    "header with an extension": ("plain", with_extension),
    "hidden files": ("plain", hidden),
    "circle at -3024": ("plain", image_voxels(lambda d: circle(d, -3024))),
    "circle at -2000": ("plain", image_voxels(lambda d: circle(d, -2000))),
    "air cut off at -1024": ("plain", image_voxels(lambda d: d.clip(-1024))),
    "metal at 20000": ("plain", image_voxels(one_voxel(20000))),
    "window of the abdomen": ("plain", image_voxels(lambda d: d.clip(-160, 240))),
    "MRI within padding": ("plain mr", image_voxels(lambda d: circle(d, -1000))),
    "MRI as z-scores": ("plain mr", image_voxels(lambda d: (d - d.mean()) / d.std())),
    "table from value to name": (
        "plain",
        lambda room: room.write({str(value): name for name, value in ORGANS.items()}),
    ),
    "table in other spellings": (
        "plain",
        lambda room: room.write({NAMES.get(n, n): v for n, v in ORGANS.items()}),
    ),
    "table with a structure that nobody trains": (
        "plain",
        lambda room: room.write(ORGANS | {"lesion": 7, "ignore": 8}),
    ),
    "split that leaves a case out": ("plain", fewer_listed),
    "DICOM without preamble": ("dicom", bare),
    "DICOM of an anonymiser": ("dicom", slices(own_identifiers)),
    "DICOM with emptied fields": ("dicom", slices(emptied)),
    "DICOM with rounded positions": ("dicom", slices(rounded)),
    "DICOM beside a report": ("dicom", report_beside),
    "PNG with a grey palette": ("png", pictures(grey_palette)),
    "list without _0000": ("msd", listing(training=listed())),
    "list with backslashes": (
        "msd",
        listing(training=listed("imagesTr\\{}.nii.gz", ".\\labelsTr\\{}.nii.gz")),
    ),
    "list of another machine": (
        "msd",
        listing(training=listed("/home/x/D/imagesTr/{}.nii.gz", "D:\\x\\labelsTr\\{}.nii.gz")),
    ),
    "list with the other ending": (
        "msd",
        listing(training=listed("imagesTr/{}.nii", "labelsTr/{}.nii")),
    ),
    "list of texts": ("msd", listing(training=[f"imagesTr/{name}.nii.gz" for name in CASES])),
    "list of nnU-Net 1": (
        "msd",
        listing(
            channel_names=None,
            modality={"0": "CT"},
            labels={str(value): name for name, value in LISTING["labels"].items()},
            training=listed(),
        ),
    ),
    "masks without meta.csv": ("masks", lambda room: (room.root / "meta.csv").unlink()),
    "mask of an organ outside the scan": ("masks", outside_view),
    "mask of a structure that nobody trains": ("masks", other_structure),
    "case without an image that it may lack": ("brats", without("flair")),
}
"""Kind -> layout of the room and what is done to it."""
