"""Changes of NIfTI files and folders, of which faults and their remedies are made."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import from_matvec
from nibabel.eulerangles import euler2mat

from faults.room import Room

Voxels = Callable[[np.ndarray], np.ndarray]
Change = Callable[[Room], object]


def again(room: Room) -> None:
    """Exports, copies or restores the faulty case again."""
    room.again()


def stored(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels as they are stored, in float64, and affine."""
    image = nib.load(path)
    return np.asarray(image.dataobj).astype(np.float64), image.affine


def save(path: Path, data: np.ndarray, affine: np.ndarray | None) -> None:
    """Writes a volume as NIfTI-1."""
    nib.save(nib.Nifti1Image(data, affine), path)


def image_voxels(change: Voxels) -> Change:
    """Changes the voxels of the image."""

    def apply(room: Room) -> None:
        data, affine = stored(room.image())
        save(room.image(), change(data).astype(np.float32), affine)

    return apply


def label_voxels(change: Voxels, kind: type = np.uint8) -> Change:
    """Changes the voxels of the label."""

    def apply(room: Room) -> None:
        data, affine = stored(room.label())
        save(room.label(), change(data).astype(kind), affine)

    return apply


def one_voxel(value: float) -> Voxels:
    """Sets the middle voxel."""

    def change(data: np.ndarray) -> np.ndarray:
        data = data.copy()
        data[tuple(length // 2 for length in data.shape)] = value
        return data

    return change


def circle(data: np.ndarray, value: float) -> np.ndarray:
    """Pads what lies outside a circle in plane."""
    x, y, _ = np.indices(data.shape)
    middle = (np.array(data.shape[:2]) - 1) / 2
    far = ((x - middle[0]) / middle[0]) ** 2 + ((y - middle[1]) / middle[1]) ** 2 > 1
    return np.where(far, value, data)


def image_bytes(change: Callable[[bytes], bytes]) -> Change:
    """Changes the bytes of the image's file."""
    return lambda room: room.image().write_bytes(change(room.image().read_bytes()))


def flip_bit(content: bytes, position: int) -> bytes:
    """One bit of a file turned over."""
    changed = bytearray(content)
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)


def files_of(room: Room, label: bool = True) -> list[Path]:
    """Image and label, or the image alone."""
    return [room.image(), room.label()] if label else [room.image()]


def plant_fields(label: bool = True, **values: object) -> Change:
    """Raw fields of the header, stored without compression, of image and label or of the image."""

    def apply(room: Room) -> None:
        for path in files_of(room, label):
            volume = nib.load(path)
            content = nib.Nifti1Image(np.asarray(volume.dataobj), None, volume.header).to_bytes()
            path.with_suffix("").write_bytes(content)
            path.unlink()
        set_fields(label, **values)(room)

    return apply


def set_fields(label: bool = True, **values: object) -> Change:
    """Sets raw fields of headers that are stored without compression."""

    def apply(room: Room) -> None:
        for path in files_of(room, label):
            content = path.read_bytes()
            header = nib.Nifti1Header(content[:348], check=False)
            for name, value in values.items():
                header.structarr[name] = value
            path.write_bytes(header.binaryblock + content[348:])

    return apply


def affines(change: Voxels, image: bool = True) -> Change:
    """Changes the affine of image and label, or of the label alone; voxels stay."""

    def apply(room: Room) -> None:
        for path in files_of(room) if image else [room.label()]:
            volume = nib.load(path)
            save(path, np.asarray(volume.dataobj), change(volume.affine))

    return apply


def qform(change: Voxels, image: bool = True) -> Change:
    """Another qform beside the sform, in image and label or in the label alone."""

    def apply(room: Room) -> None:
        for path in files_of(room) if image else [room.label()]:
            volume = nib.load(path)
            volume = nib.Nifti1Image(np.asarray(volume.dataobj), volume.affine)
            volume.set_qform(change(volume.affine), 1)
            volume.set_sform(volume.affine, 1)
            nib.save(volume, path)

    return apply


def one_form(room: Room) -> None:
    """Stores the sform as both."""
    for path in files_of(room):
        volume = nib.load(path)
        volume = nib.Nifti1Image(np.asarray(volume.dataobj), volume.affine)
        volume.set_sform(volume.affine, 1)
        volume.set_qform(volume.affine, 1)
        nib.save(volume, path)


def shifted(affine: np.ndarray) -> np.ndarray:
    """Moved by 100 mm."""
    moved = affine.copy()
    moved[2, 3] += 100
    return moved


def mirrored(affine: np.ndarray) -> np.ndarray:
    """Right and left exchanged."""
    return np.diag([-1.0, 1, 1, 1]) @ affine


def rotated(affine: np.ndarray) -> np.ndarray:
    """Turned by 0.5 about the long axis of the body, 29 degrees."""
    return from_matvec(euler2mat(z=0.5)) @ affine


def sheared(affine: np.ndarray) -> np.ndarray:
    """Axes that are not perpendicular, with voxels of the old size."""
    skewed = np.linalg.norm(affine[:3, 1]) * (
        affine[:3, 0] / np.linalg.norm(affine[:3, 0])
        + affine[:3, 1] / np.linalg.norm(affine[:3, 1])
    )
    return np.column_stack([affine[:, 0], [*skewed / 2**0.5, 0], affine[:, 2:]])


def resample(path: Path, onto: Path, order: int, outside: float) -> None:
    """Resamples a volume onto the grid of another."""
    from nibabel.processing import resample_from_to

    grid = nib.load(onto)
    moved = resample_from_to(nib.load(path), (grid.shape, grid.affine), order=order, cval=outside)
    save(path, np.asarray(moved.dataobj), grid.affine)
