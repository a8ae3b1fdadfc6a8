"""One phantom patient in a scanner: its images, on one grid, and its labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fedvox.phantoms.body import Body, Ids
from fedvox.phantoms.grid import Grid
from fedvox.phantoms.render import render
from fedvox.phantoms.volume import tissue_volume

_SUPERSAMPLING = 2


def scan(
    body: Body, case_seed: int, contrasts: Sequence[str], grid: Grid, noise: float = 1.0
) -> tuple[list[npt.NDArray[np.int16]], Ids]:
    """Scans one patient.

    Args:
        body: what is scanned.
        case_seed: the patient.
        contrasts: names of the body's contrasts.
        grid: where the voxels lie.
        noise: of the scanner, as a multiple of the usual.

    Returns:
        An image for each contrast, and the labels (1, 2, ... in the order of the body's organs),
        all of shape ``grid.shape``.

    Raises:
        ConfigError: a contrast that the body does not have.
    """
    wanted = [body.contrast(name) for name in contrasts]
    patient = body.draw(case_seed)
    fine = grid.finer(_SUPERSAMPLING)
    tissues = tissue_volume(patient, fine.shape, fine.affine)
    images = [render(tissues, contrast, case_seed, _SUPERSAMPLING, noise) for contrast in wanted]
    tissues = tissue_volume(patient, grid.shape, grid.affine)
    if body.stripped:
        outside = np.isin(tissues, list(body.stripped))
        for image in images:
            image[outside] = 0
    return images, body.labels(tissues)
