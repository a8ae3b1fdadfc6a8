import numpy as np
import pytest

from fedvox.errors import ConfigError
from fedvox.phantoms.find_body import body_named
from fedvox.phantoms.grid import oriented_grid
from fedvox.phantoms.scan import scan

GRID = oriented_grid([25] * 3, [8.0] * 3, [0.0] * 3, "LPS")
BRAIN = body_named("brain")
NAMES = [contrast.name for contrast in BRAIN.contrasts]


@pytest.fixture(scope="module")
def scanned():
    return scan(BRAIN, 3, NAMES, GRID)


def test_all_images_and_labels_lie_on_one_grid(scanned):
    images, labels = scanned
    assert [image.shape for image in images] == [GRID.shape] * 4 and labels.shape == GRID.shape


def test_skull_and_air_are_exactly_0_in_every_contrast_and_tumours_are_not(scanned):
    images, labels = scanned
    outside = [image == 0 for image in images]
    # Fluid is dark in FLAIR, where noise may leave a 0; that is no skull.
    assert (outside[0] == outside[2]).mean() > 0.999
    assert 0.6 < outside[0].mean() < 0.9
    assert not any(zero[labels > 0].any() for zero in outside)


def test_a_contrast_does_not_depend_on_which_others_are_scanned_nor_on_their_order(scanned):
    images, labels = scanned
    (flair, t1), again = scan(BRAIN, 3, ["flair", "t1"], GRID)
    assert np.array_equal(flair, images[3]) and np.array_equal(t1, images[0])
    assert np.array_equal(again, labels)


def test_a_contrast_of_another_body_is_refused():
    with pytest.raises(ConfigError, match="unknown contrast 'ct'; choose one of: t1, t1ce"):
        scan(BRAIN, 0, ["ct"], GRID)
