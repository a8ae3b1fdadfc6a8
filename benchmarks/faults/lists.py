"""Faults of what lies in a data folder, and of lists in ``dataset.json``."""

import shutil
from collections.abc import Mapping

import nibabel as nib

from faults.changes import Change
from faults.fault import ERROR, SITE, Fault
from faults.room import CASES, LISTING, Room
from fedvox.finding import WARN

STRAY = "s0009"


def listed(image: str = "imagesTr/{}.nii.gz", label: str = "labelsTr/{}.nii.gz") -> list[object]:
    """The list ``training`` of ``dataset.json``."""
    return [{"image": image.format(name), "label": label.format(name)} for name in CASES]


def listing(**entries: object) -> Change:
    """``dataset.json`` with other entries; None takes one away."""
    content: Mapping[str, object] = LISTING | entries
    kept = {name: entry for name, entry in content.items() if entry is not None}
    return lambda room: room.write(kept, "dataset.json")


def repaired(room: Room) -> None:
    """``dataset.json`` as it should be."""
    room.write(LISTING, "dataset.json")


def foreign(room: Room, folder: str, case: str) -> None:
    """A volume in another form."""
    (room.root / folder / f"{case}.nrrd").write_bytes(b"NRRD0005\ntype: short\n" * 30)


def all_foreign(room: Room) -> None:
    """A folder of NRRD alone."""
    for case in CASES:
        for path, folder in ((room.image(case), "images"), (room.label(case), "labels")):
            path.unlink()
            foreign(room, folder, case)


def converted(room: Room) -> None:
    """Converts images and labels to NIfTI."""
    for folder in ("images", "labels"):
        for path in (room.root / folder).glob("*.nrrd"):
            path.unlink()
            name = f"{folder}/{path.stem}.nii.gz"
            if (room.archive / name).exists():
                shutil.copy(room.archive / name, room.root / name)


def beside(room: Room) -> None:
    """One case more, in NRRD."""
    for folder in ("images", "labels"):
        foreign(room, folder, STRAY)


def converted_beside(room: Room) -> None:
    """Converts the case's image and label; it stands in no list, so the split leaves it out."""
    for folder, source in (("images", room.image()), ("labels", room.label())):
        shutil.copy(source, room.root / folder / f"{STRAY}.nii.gz")
        (room.root / folder / f"{STRAY}.nrrd").unlink()


def both_endings(room: Room) -> None:
    """A case as .nii beside .nii.gz."""
    volume = nib.load(room.image())
    nib.save(volume, room.image().with_suffix(""))


def unused(room: Room) -> None:
    """An image that has no label."""
    shutil.copy(room.image(), room.root / f"imagesTr/{STRAY}_0000.nii.gz")


def with_label(room: Room) -> None:
    """Adds its label; there is no list."""
    shutil.copy(room.label(), room.root / f"labelsTr/{STRAY}.nii.gz")


def to_tests(room: Room) -> None:
    """Moves it to imagesTs."""
    (room.root / "imagesTs").mkdir()
    path = room.root / f"imagesTr/{STRAY}_0000.nii.gz"
    path.rename(room.root / "imagesTs" / path.name)


def lone_label(room: Room) -> None:
    """A label whose image has another name."""
    room.label().rename(room.root / f"labels/{STRAY}.nii.gz")


def label_named(room: Room) -> None:
    """Names the label as its image."""
    (room.root / f"labels/{STRAY}.nii.gz").rename(room.root / f"labels/{CASES[0]}.nii.gz")


def two_channels(room: Room) -> None:
    """A second channel of each case."""
    for case in CASES:
        image = room.root / f"imagesTr/{case}_0000.nii.gz"
        shutil.copy(image, image.with_name(f"{case}_0001.nii.gz"))
    listing(channel_names={"0": "CT", "1": "CT"})(room)


def one_channel(room: Room) -> None:
    """A folder with the files of one channel, ending in _0000, and one entry in the list."""
    for path in (room.root / "imagesTr").glob("*_0001.nii.gz"):
        path.rename(path.with_name(path.name.replace("_0001", "_0000")))
    repaired(room)


def notes(room: Room) -> None:
    """A text in the folder of images."""
    (room.root / "images/notes.txt").write_text("s0003: motion")


FOLDER = "--list FILE names them"
FAULTS = (
    Fault(
        "all volumes NRRD",
        all_foreign,
        "error",
        r"images/ holds no NIfTI .* but 4 volumes in another form, as \.nrrd",
        "convert images and labels to NIfTI",
        converted,
        who=ERROR,
    ),
    Fault(
        "NRRD beside NIfTI",
        beside,
        "folder",
        r"volumes in images/ in a form that is not read, as \.nrrd or \.mha: 1",
        rf"convert them to NIfTI \(\.nii\.gz\), images and labels alike; {FOLDER}",
        converted_beside,
        status=WARN,
        who=SITE,
        beside="volumes in labels/ in a form that is not read",
    ),
    Fault(
        "NRRD in the list",
        listing(training=listed("imagesTr/{}.nrrd", "labelsTr/{}.nrrd")),
        "error",
        "lists 8 volumes in a form that is not read, as .nrrd",
        r"convert images and labels to NIfTI \(\.nii\.gz\) and name those in the list",
        listing(training=listed()),
        who=ERROR,
        layout="msd",
    ),
    Fault(
        "image that no case uses, with its label",
        unused,
        "folder",
        "images in imagesTr/ that no training case uses: 1",
        "^add its label, and both to 'training' if there is such a list",
        with_label,
        status=WARN,
        who=SITE,
        layout="msd",
    ),
    Fault(
        "image that no case uses, moved",
        unused,
        "folder",
        "images in imagesTr/ that no training case uses: 1",
        "or move it to imagesTs",
        to_tests,
        status=WARN,
        who=SITE,
        layout="msd",
    ),
    Fault(
        "case under training and test",
        listing(training=listed(), test=[f"imagesTr/{CASES[0]}.nii.gz"]),
        "folder",
        "cases that dataset.json lists under 'training' and under 'test': 1",
        "take each out of one of the two lists",
        listing(training=listed(), test=[]),
        status=WARN,
        who=SITE,
        layout="msd",
    ),
    Fault(
        "two channels",
        two_channels,
        "error",
        r"dataset\.json lists 2 channels",
        "make a folder with the files of that channel, ending in _0000, and one entry",
        one_channel,
        who=ERROR,
        layout="msd",
    ),
    Fault(
        "list of another modality",
        listing(channel_names={"0": "MRI"}),
        "error",
        "says 'MRI', the site file says 'ct'",
        "correct one of them",
        repaired,
        who=ERROR,
        layout="msd",
    ),
    Fault(
        "list without labels",
        listing(labels=None),
        "error",
        r"dataset\.json has no 'labels' table",
        'add one, as {"liver": 1}',
        repaired,
        who=ERROR,
        layout="msd",
    ),
    Fault(
        "file outside the folder",
        listing(training=listed("../secret/{}.nii.gz")),
        "error",
        "lists a file outside 'root'",
        "list paths below the data folder only",
        listing(training=listed()),
        who=ERROR,
        layout="msd",
    ),
    Fault(
        "case twice in the list",
        listing(training=[*listed(), listed()[0]]),
        "error",
        "1 cases repeat another's name",
        "keep one of each",
        listing(training=listed()),
        who=ERROR,
        layout="msd",
    ),
    Fault(
        ".nii beside .nii.gz",
        both_endings,
        "error",
        "1 cases repeat another's name",
        "keep one of each",
        lambda room: room.image().unlink(),
        who=ERROR,
    ),
    Fault(
        "label without image",
        lambda room: shutil.copy(room.label(), room.root / f"labels/{STRAY}.nii.gz"),
        "folder",
        "labels without an image of their name: 1",
        f"keep one of each, or move them elsewhere; {FOLDER}",
        lambda room: (room.root / f"labels/{STRAY}.nii.gz").rename(room.root / f"{STRAY}.nii.gz"),
        status=WARN,
        who=SITE,
    ),
    Fault(
        "label under another name",
        lone_label,
        "label",
        "the file is missing",
        "restore it",
        label_named,
        beside="labels without an image of their name: 1",
    ),
    Fault(
        "text among the images",
        notes,
        "folder",
        "entries of images/ that are neither NIfTI nor a folder of DICOM: 1",
        f"or move them elsewhere; {FOLDER}",
        lambda room: (room.root / "images/notes.txt").rename(room.root / "notes.txt"),
        status=WARN,
        who=SITE,
    ),
    Fault(
        "folder of images under another name",
        lambda room: shutil.move(room.root / "images", room.root / "imagesTr"),
        "error",
        r"no images/\*\.nii or images/\*\.nii\.gz",
        "put the scans into a folder 'images' there",
        lambda room: shutil.move(room.root / "imagesTr", room.root / "images"),
        who=ERROR,
    ),
)
