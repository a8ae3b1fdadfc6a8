"""What a scanner does to a clean image: noise, texture, bias field, ghost, scale."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fedvox.phantoms.body import Image


def scan_ct(rng: np.random.Generator, clean: Image, noise: float = 1.0) -> Image:
    """CT: noise of 15 to 25 HU that is correlated between neighbours, and soft texture.

    Args:
        rng: source of randomness.
        clean: shape (X, Y, Z), HU.
        noise: multiple of the usual noise; 2 is a quarter of the dose.
    """
    from scipy import ndimage

    grain = rng.normal(size=clean.shape).astype(np.float32)
    # Reconstruction kernels correlate the noise of neighbours.
    grain = ndimage.gaussian_filter(grain, 0.5)
    grain *= noise * rng.uniform(15, 25) / max(float(grain.std()), 1e-6)
    texture = 4.0 * _smooth_noise(rng, clean.shape, 12) * (clean > -200)
    return (clean + grain + texture).clip(-1024, 3071)


def scan_mr(rng: np.random.Generator, clean: Image, noise: float = 1.0) -> Image:
    """MRI: texture, bias field, ghost of half the field of view, Rice's noise, another scale.

    Args:
        rng: source of randomness.
        clean: shape (X, Y, Z); about 1 for bright tissue.
        noise: multiple of the usual noise of each channel of the receiver.
    """
    texture = 1 + 0.04 * _smooth_noise(rng, clean.shape, 12)
    bias = np.exp(0.18 * _smooth_noise(rng, clean.shape, 3))
    signal = clean * texture * bias
    axis = int(rng.integers(3))
    shift = clean.shape[axis] // 2
    signal = signal + rng.uniform(0.01, 0.05) * np.roll(signal, shift, axis=axis)
    sigma = noise * rng.uniform(0.02, 0.045)
    real, imaginary = rng.normal(scale=sigma, size=(2, *clean.shape)).astype(np.float32)
    # The magnitude of a complex signal with normal noise has Rice's distribution.
    magnitude = np.sqrt((signal + real) ** 2 + imaginary**2)
    return magnitude * rng.uniform(200, 2000)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], knots: int) -> Image:
    """Draws a smooth random field of unit variance per knot, shape ``shape``.

    It is ``ndimage.zoom`` of the knots with cubic splines, an axis at a time: a spline over a grid
    is a product of one per axis, so a few small products replace 64 terms for each voxel. In
    float64 both round to the same float32.
    """
    field = rng.normal(size=(knots,) * len(shape)).astype(np.float32).astype(np.float64)
    for length in shape:
        # The first axis is summed over and comes back as the last: after all axes, in order again.
        field = np.tensordot(field, _spline(length, knots), axes=(0, 1))
    return field.astype(np.float32)


@lru_cache(maxsize=64)
def _spline(length: int, knots: int) -> npt.NDArray[np.float64]:
    """What each of some places on an axis takes from each knot, ``(length, knots)``."""
    from scipy import ndimage

    zoomed = [
        ndimage.zoom(knot, length / knots, order=3, mode="nearest", grid_mode=True)
        for knot in np.eye(knots)
    ]
    return np.stack(zoomed, axis=1)
