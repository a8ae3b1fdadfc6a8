"""Tissue ids to scanner images: CT in HU, or magnetic resonance in arbitrary units.

The order of the tissues' intensities differs between the contrasts, so no monotone map turns one
into another. Phantoms are a test instrument, not evidence about patients.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from fedvox.errors import ConfigError
from fedvox.phantoms.abdomen.tissue import Tissue
from fedvox.seeding import derive_seed

CONTRASTS = ("ct", "mr_t1", "mr_t2")

Image = npt.NDArray[np.float32]

# CT in HU (portal venous phase); MR as a fraction of the brightest tissue.
_TABLES: dict[str, dict[Tissue, float]] = {
    "ct": {
        Tissue.AIR: -1000,
        Tissue.LIVER: 105,
        Tissue.SPLEEN: 125,
        Tissue.KIDNEY_RIGHT: 170,
        Tissue.KIDNEY_LEFT: 170,
        Tissue.PANCREAS: 85,
        Tissue.GALLBLADDER: 12,
        Tissue.FAT: -100,
        Tissue.MUSCLE: 55,
        Tissue.BONE: 350,
        Tissue.VESSEL: 160,
        Tissue.BOWEL: 30,
        Tissue.GAS: -950,
        Tissue.LUNG: -820,
        Tissue.SPINAL_FLUID: 15,
        Tissue.COUCH: -250,
    },
    # Gradient echo after contrast agent, equilibrium phase, fat not suppressed and brightest.
    "mr_t1": {
        Tissue.AIR: 0.0,
        Tissue.LIVER: 0.54,
        Tissue.SPLEEN: 0.60,
        Tissue.KIDNEY_RIGHT: 0.72,
        Tissue.KIDNEY_LEFT: 0.72,
        Tissue.PANCREAS: 0.46,
        Tissue.GALLBLADDER: 0.10,
        Tissue.FAT: 0.90,
        Tissue.MUSCLE: 0.18,
        Tissue.BONE: 0.50,
        Tissue.VESSEL: 0.60,
        Tissue.BOWEL: 0.15,
        Tissue.GAS: 0.02,
        Tissue.LUNG: 0.06,
        Tissue.SPINAL_FLUID: 0.14,
        Tissue.COUCH: 0.0,
    },
    # Turbo spin echo with a long echo time: fluid brightest, fat above liver.
    "mr_t2": {
        Tissue.AIR: 0.0,
        Tissue.LIVER: 0.28,
        Tissue.SPLEEN: 0.70,
        Tissue.KIDNEY_RIGHT: 0.84,
        Tissue.KIDNEY_LEFT: 0.84,
        Tissue.PANCREAS: 0.54,
        Tissue.GALLBLADDER: 0.90,
        Tissue.FAT: 0.38,
        Tissue.MUSCLE: 0.10,
        Tissue.BONE: 0.20,
        Tissue.VESSEL: 0.10,
        Tissue.BOWEL: 0.75,
        Tissue.GAS: 0.02,
        Tissue.LUNG: 0.05,
        Tissue.SPINAL_FLUID: 0.95,
        Tissue.COUCH: 0.0,
    },
}


def render(
    tissues: npt.NDArray[np.uint8], contrast: str, seed: int, supersampling: int = 1
) -> npt.NDArray[np.int16]:
    """Renders one contrast.

    Args:
        tissues: :class:`Tissue` ids, shape (s X, s Y, s Z), where s is ``supersampling``.
        contrast: ``ct`` (HU), ``mr_t1`` or ``mr_t2`` (arbitrary units, case by case another scale).
        seed: the scan; equal seeds give equal images.
        supersampling: s; blocks of s voxels per axis are averaged, which gives partial volumes.

    Returns:
        Shape (X, Y, Z).

    Raises:
        ConfigError: unknown contrast; names the known ones.
    """
    if contrast not in CONTRASTS:
        raise ConfigError(f"unknown contrast '{contrast}'; choose one of: {', '.join(CONTRASTS)}")
    rng = np.random.default_rng(derive_seed(seed, "phantom-render", contrast))
    table = _draw_table(rng, contrast)
    clean = _average_blocks(table[tissues], supersampling)
    # A scanner's point spread reaches a little beyond its voxel.
    clean = ndimage.gaussian_filter(clean, 0.4)
    image = _scan_ct(rng, clean) if contrast == "ct" else _scan_mr(rng, clean)
    return np.rint(image).clip(-32768, 32767).astype(np.int16)


def _draw_table(rng: np.random.Generator, contrast: str) -> Image:
    means = np.zeros(len(Tissue))
    for tissue, mean in _TABLES[contrast].items():
        means[tissue] = mean
    jitter = np.clip(rng.normal(size=len(Tissue)), -2, 2)
    jitter[Tissue.KIDNEY_LEFT] = jitter[Tissue.KIDNEY_RIGHT]
    if contrast == "ct":
        jitter[Tissue.AIR] = 0.0
        return (means + 7.0 * jitter).astype(np.float32)
    return (means * (1 + 0.07 * jitter)).astype(np.float32)


def _average_blocks(image: Image, size: int) -> Image:
    if size == 1:
        return image
    x, y, z = (length // size for length in image.shape)
    return image.reshape(x, size, y, size, z, size).mean(axis=(1, 3, 5), dtype=np.float32)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], knots: int) -> Image:
    """Draws a smooth random field of unit variance per knot, shape ``shape``."""
    coarse = rng.normal(size=(knots,) * len(shape)).astype(np.float32)
    zoom = [length / knots for length in shape]
    return ndimage.zoom(coarse, zoom, order=3, mode="nearest", grid_mode=True)


def _scan_ct(rng: np.random.Generator, clean: Image) -> Image:
    noise = rng.normal(size=clean.shape).astype(np.float32)
    # Reconstruction kernels correlate the noise of neighbours.
    noise = ndimage.gaussian_filter(noise, 0.5)
    noise *= rng.uniform(15, 25) / max(float(noise.std()), 1e-6)
    texture = 4.0 * _smooth_noise(rng, clean.shape, 12) * (clean > -200)
    return (clean + noise + texture).clip(-1024, 3071)


def _scan_mr(rng: np.random.Generator, clean: Image) -> Image:
    texture = 1 + 0.04 * _smooth_noise(rng, clean.shape, 12)
    bias = np.exp(0.18 * _smooth_noise(rng, clean.shape, 3))
    signal = clean * texture * bias
    axis = int(rng.integers(3))
    shift = clean.shape[axis] // 2
    signal = signal + rng.uniform(0.01, 0.05) * np.roll(signal, shift, axis=axis)
    sigma = rng.uniform(0.02, 0.045)
    real, imaginary = rng.normal(scale=sigma, size=(2, *clean.shape)).astype(np.float32)
    # The magnitude of a complex signal with normal noise has Rice's distribution.
    magnitude = np.sqrt((signal + real) ** 2 + imaginary**2)
    return magnitude * rng.uniform(200, 2000)
