import numpy as np
import pytest

from fedvox.errors import ConfigError
from fedvox.phantoms import render as rendering
from fedvox.phantoms.abdomen import BODY
from fedvox.phantoms.abdomen.anatomy import draw_anatomy
from fedvox.phantoms.abdomen.tissue import Tissue
from fedvox.phantoms.volume import tissue_volume

CONTRASTS = ("ct", "mr_t1", "mr_t2")


def render(tissues: np.ndarray, contrast: str, seed: int, supersampling: int = 1) -> np.ndarray:
    return rendering.render(tissues, BODY.contrast(contrast), seed, supersampling)


@pytest.fixture(scope="module")
def tissues() -> np.ndarray:
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[:3, 3] = -141.0
    return tissue_volume(draw_anatomy(1), (48, 48, 48), affine)


def median(image: np.ndarray, tissues: np.ndarray, tissue: Tissue) -> float:
    return float(np.median(image[tissues == tissue]))


def test_ct_is_in_hounsfield_units(tissues):
    image = render(tissues, "ct", seed=0)
    assert image.dtype == np.int16 and image.shape == tissues.shape
    assert median(image, tissues, Tissue.AIR) == pytest.approx(-1000, abs=10)
    # Tissue means vary by up to 14 HU between cases; edges add some on top.
    assert median(image, tissues, Tissue.LIVER) == pytest.approx(105, abs=20)
    assert median(image, tissues, Tissue.FAT) == pytest.approx(-100, abs=25)


def test_ct_noise_is_about_20_hu():
    liver = np.full((32, 32, 32), Tissue.LIVER, np.uint8)
    assert 14 < render(liver, "ct", seed=0).std() < 28


@pytest.mark.parametrize("seed", range(3))
def test_contrasts_order_the_organs_differently(tissues, seed):
    ct, t1, t2 = (render(tissues, contrast, seed) for contrast in CONTRASTS)

    def order(image: np.ndarray, first: Tissue, second: Tissue) -> bool:
        return median(image, tissues, first) > median(image, tissues, second)

    assert order(t1, Tissue.LIVER, Tissue.BOWEL)
    assert not order(t2, Tissue.LIVER, Tissue.BOWEL)
    assert order(ct, Tissue.LIVER, Tissue.FAT) and order(t1, Tissue.FAT, Tissue.LIVER)
    assert order(t2, Tissue.GALLBLADDER, Tissue.LIVER)
    assert order(ct, Tissue.LIVER, Tissue.GALLBLADDER)


def test_mr_is_non_negative_and_of_arbitrary_scale(tissues):
    images = [render(tissues, "mr_t1", seed) for seed in range(6)]
    highest = [np.percentile(image, 99) for image in images]
    assert min(image.min() for image in images) >= 0
    assert max(highest) > 1.5 * min(highest)


def test_mr_background_has_the_mean_of_rician_noise():
    air = np.zeros((32, 32, 32), np.uint8)
    image = render(air, "mr_t2", seed=2).astype(float)
    # Without signal Rice's distribution is Rayleigh's: mean / standard deviation = 1.913.
    assert image.mean() / image.std() == pytest.approx(1.913, rel=0.03)


def test_mr_bias_field_varies_within_one_tissue():
    liver = np.full((48, 48, 48), Tissue.LIVER, np.uint8)
    image = render(liver, "mr_t1", seed=0).astype(float)
    blocks = image.reshape(3, 16, 3, 16, 3, 16).mean(axis=(1, 3, 5))
    assert blocks.std() / blocks.mean() > 0.03


def test_equal_seeds_give_equal_images_and_others_differ(tissues):
    for contrast in CONTRASTS:
        assert np.array_equal(render(tissues, contrast, 1), render(tissues, contrast, 1))
        assert not np.array_equal(render(tissues, contrast, 1), render(tissues, contrast, 2))


def test_supersampling_gives_partial_volumes():
    halves = np.zeros((16, 16, 16), np.uint8)
    halves[:7] = Tissue.LIVER
    image = render(halves, "ct", seed=0, supersampling=2)
    assert image.shape == (8, 8, 8)
    # Voxel 3 is half liver, half air.
    assert image[3].mean() == pytest.approx((105 - 1000) / 2, abs=40)


def test_unknown_contrast_names_the_known_ones(tissues):
    with pytest.raises(ConfigError, match="ct, mr_t1, mr_t2"):
        render(tissues, "pet", seed=0)
