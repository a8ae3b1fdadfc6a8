"""NIfTI in and out, with every check that a silent misreading would need.

``nibabel`` alone accepts most damaged files: a gzip stream is read here to its end, which checks
its CRC, and geometry is checked before a voxel is used. Messages carry no file name.
"""

import dataclasses
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import nibabel as nib
import numpy as np

from fedvox.data.images.nifti_forms import DAMAGED, check_offset, read_bytes
from fedvox.data.images.nifti_grid import HeaderGrid, read_grid
from fedvox.errors import DataError

# nibabel says on stderr what it finds in a header; what matters of it is refused here, in words.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)


FILLING_BYTES = 4096
FORMS_REMEDY = (
    "look at the scan in a viewer, and store the form that shows the patient rightly as both, e.g. "
    "by nibabel's set_sform and set_qform"
)
"""What to do about sform and qform that contradict each other."""


@dataclass(frozen=True)
class Volume:
    """A volume as stored.

    Attributes:
        data: ``(X, Y, Z)`` array, float32 for images and int16 for labels.
        affine: voxel to world (RAS, mm), ``(4, 4)``.
        header: the NIfTI header, kept for writing a result on the same grid.
        slices: of a DICOM series, the place along Z of each file in the order of the names.
        lossy: whether the image was compressed with loss at some time, as a DICOM series tells.
        told: the modality that a DICOM header names, e.g. ``CT``; empty where there is none.
        conflict: how the header's sform and qform contradict each other, empty where they do not.
    """

    data: np.ndarray
    affine: np.ndarray
    header: Any
    slices: tuple[int, ...] = ()
    lossy: bool = False
    told: str = ""
    conflict: str = ""

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along the stored axes."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)


AnyVolume = TypeVar("AnyVolume", bound=Volume)


def without_voxels(volume: Volume) -> Volume:
    """The same grid with zeros that take no memory, where only the place of voxels matters."""
    return dataclasses.replace(volume, data=np.broadcast_to(np.float32(0), volume.data.shape))


def load_image(path: Path) -> Volume:
    """Reads an image as float32.

    Raises:
        DataError: missing, truncated, damaged, not 3D, not finite, constant, or without geometry.
    """
    image, grid = _open(path)
    data = _voxels(image, np.float32)
    check_values(data)
    return Volume(data, grid.affine, image.header, conflict=grid.conflict)


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
    image, grid = _open(path)
    data = _voxels(image)
    whole = np.issubdtype(data.dtype, np.integer)
    if not whole and not np.isfinite(data).all():
        raise DataError(
            "the label holds voxels that are NaN or infinite; export it again as whole numbers"
        )
    if not whole and not np.array_equal(data, np.rint(data)):
        raise DataError(
            "the label holds fractions, as interpolation makes; export it again as whole numbers, "
            "by nearest neighbour if it is resampled (rounding makes other organs of the edges)"
        )
    limits = np.iinfo(np.int16)
    if data.min() < limits.min or data.max() > limits.max:
        raise DataError(f"the label holds values beyond {limits.max}; give organs small numbers")
    return Volume(data.astype(np.int16), grid.affine, image.header, conflict=grid.conflict)


def check_same_grid(image: Volume, other: Volume, name: str = "label", whose: str = "") -> None:
    """Refuses a label, or another image of the case, that does not lie on the image's grid.

    Args:
        image: whose grid holds.
        other: on the image's axes, see :func:`on_axes_of`.
        name: of the other, in words.
        whose: the image's name, of a case with several.

    Raises:
        DataError: other shape, or an affine that moves a corner by more than a tenth of a voxel.
    """
    own = whose or "image"
    if image.data.shape != other.data.shape:
        raise DataError(
            f"the {name}'s shape {other.data.shape} is not the {own}'s {image.data.shape}; "
            f"resample the {name} onto the {own}"
        )
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners[:, :3] *= np.array(image.data.shape) - 1
    moved = np.abs(corners @ (image.affine - other.affine).T).max()
    if moved > 0.1 * min(image.spacing):
        raise DataError(
            f"the {name} lies up to {moved:.1f} mm off {f'the {whose}' if whose else 'its image'}; "
            f"export it again on the {own}'s own grid, from the program that made it"
        )


def on_axes_of(image: Volume, other: AnyVolume) -> AnyVolume:
    """A volume with its axes in the order and directions of the image's; no voxel changes place.

    Programs that outline a scan pick axes of their own, and a DICOM series has none. The header
    of the result is still the file's.
    """
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    turn = io_orientation(np.linalg.inv(image.affine) @ other.affine)
    if np.isnan(turn).any() or np.array_equal(turn, [[0, 1], [1, 1], [2, 1]]):
        return other
    data = apply_orientation(other.data, turn)
    affine = other.affine @ inv_ornt_aff(turn, other.data.shape)
    return dataclasses.replace(other, data=data, affine=affine)


def save_label(path: Path, labels: np.ndarray, like: Volume) -> None:
    """Writes labels ``(X, Y, Z)`` as uint8 on exactly the grid of ``like``, atomically."""
    from fedvox.files import atomic_path  # loads torch, which reading does without

    header = like.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    image = kind(labels.astype(np.uint8), None, header)
    with atomic_path(path) as temporary:
        nib.save(image, temporary)


def _open(path: Path) -> tuple[Any, HeaderGrid]:
    """A file's image, of which no voxel was read yet, and its grid."""
    if path.is_symlink() and not path.exists():
        raise DataError("the file is a link that leads nowhere; mend it or restore the file")
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise DataError("it is no regular file; put the scan itself there")
    try:
        content, kind, header = read_bytes(path)
        check_offset(header)
        grid = read_grid(header, volume_shape(header.get_data_shape()))
        image = kind.from_bytes(content)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            "the file is missing; restore it, or leave the case out by a split file"
        ) from None
    except PermissionError:
        raise DataError("the file may not be read by this user; mend its rights") from None
    except DAMAGED as error:
        name = type(error).__name__
        raise DataError(f"the file is damaged or truncated ({name}); copy it again") from None
    except (MemoryError, DataError):
        raise
    except Exception as error:
        name = type(error).__name__
        raise DataError(f"the file is not readable as NIfTI ({name}); export it again") from None
    _refuse_other_size(image, len(content))
    return image, grid


def volume_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The three edges of a volume; further axes of length 1 say nothing.

    Raises:
        DataError: it is not one 3D volume.
    """
    if len(shape) < 3 or min(shape[:3]) < 2 or any(length != 1 for length in shape[3:]):
        remedy = "save one volume of it as a file of its own"
        if len(shape) < 3 or min(shape[:3]) < 2:
            remedy = "export all slices of the scan together"
        raise DataError(f"the volume's shape is {shape}; a single 3D volume is needed: {remedy}")
    return int(shape[0]), int(shape[1]), int(shape[2])


def _refuse_other_size(image: Any, size: int) -> None:
    """Notices a file that is not as long as its header says before memory is taken for its voxels.

    A few bytes more may be filling; a whole slice means that the shape or number type is wrong.
    """
    voxels = math.prod(int(edge) for edge in image.shape) * image.get_data_dtype().itemsize
    missing = int(image.dataobj.offset) + voxels - size
    if missing > 0:
        raise DataError(
            f"the file is damaged or truncated ({missing} bytes are missing); copy it again"
        )
    if -missing >= max(FILLING_BYTES, voxels // int(image.shape[2])):
        raise DataError(
            f"the file holds {-missing} bytes more than the header's shape and number type say, so "
            "one of these is wrong; export it again"
        )


def _voxels(image: Any, dtype: Any = None) -> np.ndarray:
    """Reads the voxels as ``(X, Y, Z)``."""
    if image.get_data_dtype().kind not in "iuf":
        raise DataError(
            "the voxels are colour or complex, not plain numbers; save the grey values, or the "
            "magnitude"
        )
    try:
        data = np.asarray(image.dataobj, dtype=dtype)
    except MemoryError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise DataError(f"the file is damaged or truncated ({kind}); copy it again") from None
    return data.reshape(data.shape[:3], order="F")
