"""Tissue ids to scanner images. Phantoms are a test instrument, not evidence about patients."""

import numpy as np
import numpy.typing as npt

from fedvox.phantoms.body import Contrast, Ids, Image
from fedvox.seeding import derive_seed


def render(
    tissues: Ids, contrast: Contrast, seed: int, supersampling: int = 1, noise: float = 1.0
) -> npt.NDArray[np.int16]:
    """Renders one contrast.

    Args:
        tissues: tissue ids, shape (s X, s Y, s Z), where s is ``supersampling``.
        contrast: one of the body's.
        seed: the patient; equal seeds give equal images.
        supersampling: s; blocks of s voxels per axis are averaged, which gives partial volumes.
        noise: of the scanner, as a multiple of the usual.

    Returns:
        Shape (X, Y, Z): HU, or for MRI arbitrary units with another scale in each scan.
    """
    from scipy import ndimage

    rng = np.random.default_rng(derive_seed(seed, "phantom-render", contrast.name))
    clean = _average_blocks(contrast.signals(rng, seed)[tissues], supersampling)
    # A scanner's point spread reaches a little beyond its voxel.
    clean = ndimage.gaussian_filter(clean, 0.4)
    return np.rint(contrast.scanner(rng, clean, noise)).clip(-32768, 32767).astype(np.int16)


def _average_blocks(image: Image, size: int) -> Image:
    if size == 1:
        return image
    x, y, z = (length // size for length in image.shape)
    return image.reshape(x, size, y, size, z, size).mean(axis=(1, 3, 5), dtype=np.float32)
