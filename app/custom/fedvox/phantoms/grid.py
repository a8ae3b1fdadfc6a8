"""The grid of a phantom's scan: orientation and voxel size by the site, place by the case."""

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import numpy.typing as npt

from fedvox.seeding import derive_seed

# Sites take these in turn; the lengths differ, so orientation and spacing pair up anew.
_ORIENTATIONS = ("LPS", "PIR", "RAS", "ASL", "LAS", "SRP")
_SPACING_FACTORS = (
    (0.9, 0.9, 1.1),
    (1.1, 0.95, 0.9),
    (1.0, 1.0, 1.0),
    (0.95, 1.05, 1.05),
    (1.05, 0.9, 0.95),
)


@dataclass(frozen=True)
class Grid:
    """Where a scan's voxels lie.

    Attributes:
        shape: (X, Y, Z) of the array as stored.
        affine: voxel index to world mm (RAS), shape (4, 4).
    """

    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]

    def finer(self, factor: int) -> "Grid":
        """The same field of view with ``factor`` times as many voxels along each axis."""
        x, y, z = (length * factor for length in self.shape)
        affine = self.affine.copy()
        affine[:3, :3] /= factor
        inset = (1 / factor - 1) / 2
        affine[:3, 3] += self.affine[:3, :3].sum(axis=1) * inset
        return Grid((x, y, z), affine)


def site_grid(site: int, case_seed: int, size_mm: float, spacing_mm: float) -> Grid:
    """Draws the grid of one scan.

    Args:
        site: number of the site, from 1; fixes orientation and spacing.
        case_seed: the case; moves the field of view by up to 8 mm and its size by up to 4%.
        size_mm: mean side of the field of view, mm.
        spacing_mm: mean voxel spacing, mm.
    """
    rng = np.random.default_rng(derive_seed(case_seed, "phantom-grid"))
    factors = _SPACING_FACTORS[(site - 1) % len(_SPACING_FACTORS)]
    spacing = np.round(spacing_mm * np.asarray(factors), 4)
    lengths = np.rint(size_mm * rng.uniform(0.98, 1.04, 3) / spacing).astype(int)
    centre = rng.uniform(-8, 8, 3)
    return oriented_grid(lengths, spacing, centre, _ORIENTATIONS[(site - 1) % len(_ORIENTATIONS)])


def oriented_grid(
    lengths: npt.ArrayLike, spacing: npt.ArrayLike, centre: npt.ArrayLike, axes: str
) -> Grid:
    """Lays a grid over the world and stores it in an orientation.

    Args:
        lengths: voxels along right, anterior and superior.
        spacing: mm along right, anterior and superior.
        centre: world position of the middle of the field of view, mm.
        axes: where the stored array's axes point, e.g. ``LPS``.

    Returns:
        The same voxel centres for every value of ``axes``, in another order.
    """
    counts, steps = np.asarray(lengths, int), np.asarray(spacing, float)
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = np.asarray(centre, float) - steps * (counts - 1) / 2
    change = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes)
    )
    affine = affine @ nib.orientations.inv_ornt_aff(change, tuple(counts))
    stored = np.empty(3, int)
    stored[change[:, 0].astype(int)] = counts
    return Grid((int(stored[0]), int(stored[1]), int(stored[2])), affine)
