"""Does a label lie where its organs can be? What geometry cannot tell, seen from the voxels.

These are hints, never refusals: a label that was shifted within the body, or a body that is built
the other way round, looks like any other to a rule.
"""

import numpy as np

from fedvox.data.images.modality import AIR_HU
from fedvox.data.images.nifti import Volume
from fedvox.data.images.slabs import thinned
from fedvox.data.images.tissue import measured_values
from fedvox.data.organs import CANONICAL
from fedvox.data.structures import STRUCTURES
from fedvox.finding import WARN, Finding

HOLDS_GAS = tuple(structure.name for structure in STRUCTURES if structure.gas)
OUTSIDE_SHARE = 0.1
WRONG_WAY_MM = 20.0
SAMPLE = 2_000_000
LEAST_VOXELS = 30
"""Of an organ, in the sample, before its place is judged."""
BODY = 0.1
"""Of the robust range of an MRI from 0: brighter than this is body."""

RIGHT_OF = (
    ("liver", "spleen"),
    ("gallbladder", "spleen"),
    ("kidney_right", "kidney_left"),
    ("adrenal_right", "adrenal_left"),
)
ABOVE = (("liver", "bladder"), ("spleen", "bladder"), ("liver", "prostate_uterus"))


def label_outside(image: Volume, organs: np.ndarray, modality: str) -> Finding | None:
    """Notices a label of which much lies in air.

    Args:
        image: the image.
        organs: map of organs on its grid, from :func:`fedvox.data.check.organs.read_organs`.
        modality: ``ct``, or any other for MRI.
    """
    places = thinned(image.data.shape, SAMPLE)
    labelled = np.isin(organs[places], [_value(o) for o in CANONICAL if o not in HOLDS_GAS])
    if not labelled.any():
        return None
    values = image.data[places]
    air = values < AIR_HU if modality == "ct" else ~body_of(values)
    share = float(air[labelled].mean())
    if share <= OUTSIDE_SHARE:
        return None
    return Finding(
        "placement",
        WARN,
        f"{share:.0%} of the labelled voxels lie in air or outside the body",
        "look whether the label is shifted or belongs to another image",
    )


def body_of(values: np.ndarray) -> np.ndarray:
    """The body in an MRI: what is brighter than air, and the dark places that it encloses.

    Args:
        values: intensities ``(X, Y, Z)``.

    Returns:
        Boolean mask of that shape.
    """
    from scipy import ndimage

    measured = measured_values(values)
    floor, ceiling = np.percentile(measured, (0.5, 99.5))
    floor = min(floor, 0.0)  # a scan that was cut out of the body holds no air
    mask = ndimage.binary_closing(
        np.pad(values > floor + BODY * (ceiling - floor), 3), iterations=2
    )
    for axis in range(3):
        planes = np.moveaxis(mask, axis, 0)
        for plane in planes:
            plane[:] = ndimage.binary_fill_holes(plane)
    return mask[3:-3, 3:-3, 3:-3]


def organs_mirrored(organs: Volume) -> Finding | None:
    """Notices organs on the wrong side: a label or an affine that was flipped.

    Args:
        organs: map of organs with its affine, from
            :func:`fedvox.data.check.organs.read_organs`.
    """
    centres = _centres(organs)
    for axis, pairs, words in ((0, RIGHT_OF, "right of"), (2, ABOVE, "above")):
        for first, second in pairs:
            if first not in centres or second not in centres:
                continue
            if centres[first][axis] < centres[second][axis] - WRONG_WAY_MM:
                return Finding(
                    "placement",
                    WARN,
                    f"{_plain(first)} does not lie {words} {_plain(second)}",
                    "look whether label or image was flipped when saved, or values exchanged",
                )
    return None


def _centres(organs: Volume) -> dict[str, np.ndarray]:
    """World position in mm (RAS) of each organ that the sample shows well enough."""
    places = thinned(organs.data.shape, SAMPLE)
    sample = organs.data[places]
    step = places[0].step
    centres = {}
    for value in np.flatnonzero(np.bincount(sample.ravel("K"))[1:]) + 1:
        voxels = np.argwhere(sample == value) * step
        if len(voxels) >= LEAST_VOXELS:
            centre = organs.affine[:3, :3] @ voxels.mean(axis=0) + organs.affine[:3, 3]
            centres[CANONICAL[value - 1]] = centre
    return centres


def _value(organ: str) -> int:
    return CANONICAL.index(organ) + 1


def _plain(organ: str) -> str:
    return organ.replace("_", " ")
