"""Where the voxels of a NIfTI file lie, from its header's raw fields.

nibabel mends a header while it reads: a voxel size of 0 becomes 1 mm, an unknown code 0, a lost
sign plus. Each of these moves or resizes organs, so the fields are read here as they are stored.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fedvox.errors import DataError

VOXEL_MM = (0.05, 30.0)
KNOWN_CODES = range(6)
UNITS_MM = {1: 1000.0, 3: 0.001}
"""Unit of length in ``xyzt_units`` -> mm: metres, micrometres; anything else counts as mm."""
UNIT_NAMES = {1: "metres", 3: "micrometres"}
SAME_SIZE = 0.02
ROUNDING_MM = 0.5
"""Up to this, or to half a voxel, sform and qform may place a corner apart."""
LEAST_DEGREES = 0.5
FARTHEST_MM = 1e5
"""No scanner puts a voxel farther away; in such numbers the shift of a label could not be seen."""


@dataclass(frozen=True)
class HeaderGrid:
    """A file's grid in the world.

    Attributes:
        affine: voxel to world (RAS, mm), ``(4, 4)``.
        conflict: how sform and qform contradict each other, empty where they do not.
    """

    affine: np.ndarray
    conflict: str = ""


def read_grid(header: Any, shape: tuple[int, ...]) -> HeaderGrid:
    """The sform where there is one, else the qform.

    The sform's voxel size must be the header's. One of 1 mm that is not was written without the
    size, as ACDC's are for voxels of 1.3 by 1.3 by 10 mm (nnU-Net's issue 2741); the qform holds.

    Args:
        header: nibabel NIfTI header, not mended (``check=False``).
        shape: ``(X, Y, Z)``.

    Raises:
        DataError: orientation, voxel size or right angles are missing or cannot be believed.
    """
    has_sform, has_qform = _code(header, "sform"), _code(header, "qform")
    if not has_sform and not has_qform:
        raise DataError("the header has neither sform nor qform; orientation is unknown: re-export")
    unit = int(header["xyzt_units"]) & 7
    scale = UNITS_MM.get(unit, 1.0)
    sizes = _sizes(header)
    qform = _qform(header, sizes) if has_qform else None
    sform = _sform(header) if has_sform else None
    affine, conflict = _choose(sform, qform, sizes, bool(has_qform))
    if not conflict and sform is not None and has_qform:
        conflict = _conflict(_in_mm(sform, scale), _in_mm(qform, scale), shape)
    affine = _in_mm(affine, scale)
    _check_axes(affine, unit)
    return HeaderGrid(affine, conflict)


def _code(header: Any, form: str) -> int:
    code = int(header[f"{form}_code"])
    if code not in KNOWN_CODES:
        raise DataError(f"the header's {form} code is {code}, which NIfTI lacks; export it again")
    return code


def _sizes(header: Any) -> np.ndarray:
    sizes = np.array(header["pixdim"][1:4], dtype=float)
    if not np.isfinite(sizes).all() or not sizes.all():
        raise DataError(
            f"the header's voxel size {np.round(sizes, 3).tolist()} mm is not plausible; "
            "export the scan again"
        )
    return sizes


def _sform(header: Any) -> np.ndarray:
    rows = [np.array(header[f"srow_{axis}"], dtype=float) for axis in "xyz"]
    sform = np.vstack([*rows, [0.0, 0.0, 0.0, 1.0]])
    if not np.isfinite(sform).all():
        raise DataError("the header's affine holds NaN or infinity; export it again")
    return sform


def _qform(header: Any, sizes: np.ndarray) -> np.ndarray | None:
    """The affine of the quaternion, or None where the fields are none."""
    vector = np.array([header[f"quatern_{name}"] for name in "bcd"], dtype=float)
    offset = np.array([header[f"qoffset_{axis}"] for axis in "xyz"], dtype=float)
    sign = float(header["pixdim"][0])
    square = float(vector @ vector)
    if not np.isfinite([square, sign, *offset]).all() or square > 1 + 1e-5:
        return None
    if (sign < 0 and sign != -1.0) or (sizes < 0).any():
        return None  # programs read such a sign in different ways
    b, c, d = vector
    a = max(0.0, 1.0 - square) ** 0.5
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = rotation * sizes * [1.0, 1.0, -1.0 if sign < 0 else 1.0]
    affine[:3, 3] = offset
    return affine


def _choose(
    sform: np.ndarray | None, qform: np.ndarray | None, sizes: np.ndarray, has_qform: bool
) -> tuple[np.ndarray, str]:
    """The affine that holds, and what is to be said of the other."""
    if sform is None:
        if qform is None:
            raise DataError(
                "the header's qform is no rotation with a known sign and size; export it again"
            )
        return qform, ""
    length = np.linalg.norm(sform[:3, :3], axis=0)
    if np.allclose(length, np.abs(sizes), rtol=SAME_SIZE):
        return sform, ""
    if has_qform and np.allclose(length, 1.0):
        if qform is None:
            raise DataError("neither sform nor qform can be right; export it again")
        return qform, (
            f"the sform's voxels of 1 mm are not the header's of {np.round(sizes, 3).tolist()} mm, "
            "so the qform is used"
        )
    raise DataError(
        f"the sform's voxel size {np.round(length, 3).tolist()} mm is not the header's "
        f"{np.round(np.abs(sizes), 3).tolist()} mm; export it again"
    )


def _in_mm(affine: np.ndarray | None, scale: float) -> Any:
    if affine is None or scale == 1.0:
        return affine
    scaled = affine.copy()
    scaled[:3] *= scale
    return scaled


def _check_axes(affine: np.ndarray, unit: int) -> None:
    axes = affine[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    if not all(VOXEL_MM[0] <= size <= VOXEL_MM[1] for size in spacing):
        remedy = "re-export"
        if unit in UNIT_NAMES:
            remedy = f"the header's unit is {UNIT_NAMES[unit]}: set xyzt_units to mm, or re-export"
        raise DataError(f"voxel size {np.round(spacing, 6).tolist()} mm is not plausible; {remedy}")
    if np.abs(affine[:3, 3]).max() > FARTHEST_MM:
        raise DataError(
            f"the header places the scan {np.abs(affine[:3, 3]).max():.3g} mm away from the "
            "scanner's centre; export it again"
        )
    angles = (axes / spacing).T @ (axes / spacing) - np.eye(3)
    if np.abs(angles).max() > 0.02:
        raise DataError("the affine's axes are not perpendicular; resample the volume first")


def _conflict(sform: np.ndarray, qform: np.ndarray | None, shape: tuple[int, ...]) -> str:
    """What sform and qform say differently, beyond rounding."""
    if qform is None:
        return "the qform is no rotation with a known sign and size, so the sform is used"
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners[:, :3] *= np.array(shape) - 1
    apart = np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1)
    spacing = np.linalg.norm(sform[:3, :3], axis=0)
    allowed = max(ROUNDING_MM, 0.5 * float(spacing.min()))
    if apart.max() <= allowed:
        return ""
    kinds = _kinds(sform, qform, spacing)
    centre = float(np.linalg.norm(corners.mean(axis=0) @ (sform - qform).T))
    if centre > allowed:
        kinds.append(f"shifted by {centre:.1f} mm")
    return (
        f"sform and qform disagree, by up to {apart.max():.1f} mm"
        + "".join(f", {kind}" for kind in kinds)
        + "; the sform is used"
    )


def _kinds(sform: np.ndarray, qform: np.ndarray, spacing: np.ndarray) -> list[str]:
    """Other sizes, mirrored, rotated."""
    other = np.linalg.norm(qform[:3, :3], axis=0)
    kinds = []
    if not np.allclose(spacing, other, rtol=SAME_SIZE):
        sizes = [np.round(found, 3).tolist() for found in (spacing, other)]
        kinds.append(f"voxel sizes {sizes[0]} and {sizes[1]} mm")
    turn = (qform[:3, :3] / other) @ np.linalg.inv(sform[:3, :3] / spacing)
    if np.linalg.det(turn) < 0:
        return [*kinds, "mirrored"]
    cosine = np.clip((np.trace(turn) - 1) / 2, -1.0, 1.0)
    degrees = float(np.degrees(np.arccos(cosine)))
    return [*kinds, f"rotated by {degrees:.0f} degrees"] if degrees > LEAST_DEGREES else kinds
