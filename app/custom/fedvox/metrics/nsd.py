"""NSD: agreement of two surfaces within a tolerance."""

import warnings

from fedvox.metrics.metric import Masks


def surface_dice(masks: Masks) -> float:
    """Share of both surfaces that lies within the tolerance of the other, 0 to 1.

    Surfaces are counted in voxels. Below every edge of the voxels only those that coincide count;
    along a larger edge one slice of error is already wrong.

    Reference:
        Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for
        radiotherapy", JMIR 2021.
    """
    from monai.metrics import compute_surface_dice  # here: MONAI takes seconds to load

    # MONAI calls its own function in a way that it will drop itself; users can do nothing about it.
    warnings.filterwarnings("ignore", r".*get_mask_edges:always_return_as_numpy", FutureWarning)
    value = compute_surface_dice(
        *masks.tensors,
        class_thresholds=[masks.nsd_tolerance_mm],
        include_background=True,
        spacing=masks.spacing,
    )
    return float(value)
