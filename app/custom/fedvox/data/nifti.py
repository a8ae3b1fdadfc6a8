"""NIfTI in and out, with every check that a silent misreading would need.

``nibabel`` alone accepts most damaged files: a gzip stream is read here to its end, which checks
its CRC, and geometry is checked before a voxel is used. Messages carry no file name.
"""

import dataclasses
import gzip
import logging
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from fedvox.errors import DataError

# nibabel says on stderr what it finds in a header; what matters of it is refused here, in words.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)

VOXEL_MM = (0.05, 30.0)
_GZIP = b"\x1f\x8b\x08"
_NIFTI = b"n+1\0"


@dataclass(frozen=True)
class Volume:
    """A volume as stored.

    Attributes:
        data: ``(X, Y, Z)`` array, float32 for images and int16 for labels.
        affine: voxel to world (RAS, mm), ``(4, 4)``.
        header: the NIfTI header, kept for writing a result on the same grid.
        slices: of a DICOM series, the place along Z of each file in the order of the names.
        lossy: whether the image was compressed with loss at some time, as a DICOM series tells.
    """

    data: np.ndarray
    affine: np.ndarray
    header: Any
    slices: tuple[int, ...] = ()
    lossy: bool = False

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along the stored axes."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)


def without_voxels(volume: Volume) -> Volume:
    """The same grid with zeros that take no memory, where only the place of voxels matters."""
    return dataclasses.replace(volume, data=np.broadcast_to(np.float32(0), volume.data.shape))


def load_image(path: Path) -> Volume:
    """Reads an image as float32.

    Raises:
        DataError: missing, truncated, damaged, not 3D, not finite, constant, or without geometry.
    """
    image = _open(path)
    data = _voxels(image, np.float32)
    check_values(data)
    return Volume(data, affine_of(image), image.header)


def check_values(data: np.ndarray) -> None:
    """Refuses an image whose voxels cannot be an image.

    Raises:
        DataError: NaN, infinite or constant.
    """
    if not np.isfinite(data).all():
        count = int(data.size - np.isfinite(data).sum())
        raise DataError(f"the image holds {count} voxels that are NaN or infinite; export it again")
    if data.min() == data.max():
        raise DataError("the image is constant; export it again")


def load_label(path: Path) -> Volume:
    """Reads a label volume as int16.

    Raises:
        DataError: as for images, or values that are not whole numbers of 16 bits.
    """
    image = _open(path)
    data = _voxels(image)
    whole = np.issubdtype(data.dtype, np.integer)
    if not whole and not np.isfinite(data).all():
        raise DataError("the label holds voxels that are NaN or infinite; save it as whole numbers")
    if not whole and not np.array_equal(data, np.rint(data)):
        raise DataError("the label holds fractions; save it as whole numbers")
    limits = np.iinfo(np.int16)
    if data.min() < limits.min or data.max() > limits.max:
        raise DataError(f"the label holds values beyond {limits.max}; give organs small numbers")
    return Volume(data.astype(np.int16), affine_of(image), image.header)


def check_same_grid(image: Volume, label: Volume) -> None:
    """Refuses a label that does not lie on its image's grid.

    Raises:
        DataError: other shape, or an affine that moves a corner by more than a tenth of a voxel.
    """
    if image.data.shape != label.data.shape:
        raise DataError(
            f"the label's shape {label.data.shape} is not the image's {image.data.shape}; "
            "resample the label onto the image"
        )
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners[:, :3] *= np.array(image.data.shape) - 1
    moved = np.abs(corners @ (image.affine - label.affine).T).max()
    if moved > 0.1 * min(image.spacing):
        raise DataError(f"the label lies up to {moved:.1f} mm off its image; align their affines")


def on_axes_of(image: Volume, label: Volume) -> Volume:
    """A label with its axes in the order and directions of its image's; no voxel changes place.

    A DICOM series has no axes of its own, so each program that outlines one picks others.
    """
    from nibabel.orientations import io_orientation, ornt_transform

    turn = ornt_transform(io_orientation(label.affine), io_orientation(image.affine))
    turned = nib.Nifti1Image(label.data, label.affine).as_reoriented(turn)
    return dataclasses.replace(label, data=np.asarray(turned.dataobj), affine=turned.affine)


def save_label(path: Path, labels: np.ndarray, like: Volume) -> None:
    """Writes labels ``(X, Y, Z)`` as uint8 on exactly the grid of ``like``, atomically."""
    from fedvox.files import atomic_path  # loads torch, which reading does without

    header = like.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    image = nib.Nifti1Image(labels.astype(np.uint8), None, header)
    with atomic_path(path) as temporary:
        nib.save(image, temporary)


def _open(path: Path) -> Any:
    if path.is_symlink() and not path.exists():
        raise DataError("the file is a link that leads nowhere; mend it or restore the file")
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise DataError("it is no regular file; put the scan itself there")
    try:
        content = path.read_bytes()
        if not content:
            raise DataError("the file is empty; copy it again")
        _refuse_wrong_ending(path, content)
        if path.name.endswith(".gz"):
            content = gzip.decompress(content)
        image = nib.Nifti1Image.from_bytes(content)
    except FileNotFoundError:
        raise DataError(
            "the file is missing; restore it, or leave the case out by a split file"
        ) from None
    except PermissionError:
        raise DataError("the file may not be read by this user; mend its rights") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        kind = type(error).__name__
        raise DataError(f"the file is damaged or truncated ({kind}); copy it again") from None
    except (MemoryError, DataError):
        raise
    except Exception as error:
        kind = type(error).__name__
        raise DataError(f"the file is not readable as NIfTI ({kind}); export it again") from None
    check_geometry(image)
    _refuse_short(image, len(content))
    return image


def _refuse_wrong_ending(path: Path, content: bytes) -> None:
    """Notices a volume whose name says the wrong thing about its compression."""
    if path.name.endswith(".gz") and content[344:348] == _NIFTI:
        raise DataError("the file is not compressed, as .gz in its name says; rename it to .nii")
    if not path.name.endswith(".gz") and content[:3] == _GZIP:
        raise DataError("the file is compressed; rename it so that it ends in .nii.gz")


def _refuse_short(image: Any, size: int) -> None:
    """Notices a file that is shorter than its header says before memory is taken for its voxels."""
    voxels = math.prod(int(edge) for edge in image.shape) * image.get_data_dtype().itemsize
    missing = int(image.dataobj.offset) + voxels - size
    if missing > 0:
        raise DataError(
            f"the file is damaged or truncated ({missing} bytes are missing); copy it again"
        )


def _voxels(image: Any, dtype: Any = None) -> np.ndarray:
    """Reads the voxels."""
    if image.get_data_dtype().kind not in "iuf":
        raise DataError("the voxels are colour or complex, not plain numbers; export it again")
    try:
        return np.asarray(image.dataobj, dtype=dtype)
    except MemoryError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise DataError(f"the file is damaged or truncated ({kind}); copy it again") from None


def check_geometry(image: Any) -> None:
    """Refuses a header that does not say where a voxel lies.

    Args:
        image: nibabel image.

    Raises:
        DataError: not one 3D volume, or without orientation, plausible voxel size or right angles.
    """
    if len(image.shape) != 3 or min(image.shape) < 2:
        raise DataError(f"the volume's shape is {image.shape}; a single 3D volume is needed")
    if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
        raise DataError("the header has neither sform nor qform; orientation is unknown: re-export")
    affine = affine_of(image)
    axes = affine[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    if not np.isfinite(affine).all():
        raise DataError("the header's affine holds NaN or infinity; export it again")
    if not all(VOXEL_MM[0] <= size <= VOXEL_MM[1] for size in spacing):
        raise DataError(
            f"voxel size {np.round(spacing, 6).tolist()} mm is not plausible; re-export"
        )
    angles = (axes / spacing).T @ (axes / spacing) - np.eye(3)
    if np.abs(angles).max() > 0.02:
        raise DataError("the affine's axes are not perpendicular; resample the volume first")


def affine_of(image: Any) -> np.ndarray:
    """Voxel to world (RAS, mm): the sform where there is one, else the qform.

    The sform's voxel size must be the header's. One of 1 mm that is not was written without the
    size, as ACDC's are for voxels of 1.3 by 1.3 by 10 mm (nnU-Net's issue 2741); the qform holds.

    Args:
        image: nibabel image.

    Raises:
        DataError: the sizes differ otherwise, or there is no qform.
    """
    sizes = np.array(image.header.get_zooms()[:3], dtype=float)
    sform = np.linalg.norm(image.affine[:3, :3], axis=0)
    if not np.isfinite(sform).all() or np.allclose(sform, sizes, rtol=0.02):
        return image.affine
    if int(image.header["qform_code"]) and np.allclose(sform, 1.0):
        try:
            return image.header.get_qform()
        except Exception:  # of nibabel: the quaternion is none
            raise DataError("neither sform nor qform can be right; export it again") from None
    raise DataError(
        f"the sform's voxel size {np.round(sform, 3).tolist()} mm is not the header's "
        f"{np.round(sizes, 3).tolist()} mm; export it again"
    )
