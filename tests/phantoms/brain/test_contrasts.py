"""Drawn and scanned brains: the four contrasts tell different things, so no subset replaces all.

Separation of a tissue from what lies within 15 mm around it: difference of the means over the
pooled standard deviation of both, so noise, bias field, texture and partial volumes count.
"""

import numpy as np
import pytest
from scipy import ndimage

from fedvox.phantoms.brain.tissue import Tissue
from fedvox.phantoms.find_body import body_named
from fedvox.phantoms.grid import site_grid
from fedvox.phantoms.scan import scan
from fedvox.phantoms.volume import tissue_volume
from fedvox.seeding import derive_seed

ALL = ("t1", "t1ce", "t2", "flair")
BRAIN = (Tissue.GREY, Tissue.WHITE, Tissue.GLIOSIS)
AROUND_RIM = (Tissue.NECROTIC, Tissue.OEDEMA, Tissue.GREY, Tissue.WHITE)
SEEDS = range(4)


@pytest.fixture(scope="module")
def brains() -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Images by contrast and tissue ids of four patients, on 5 mm."""
    body, found = body_named("brain"), []
    for number in SEEDS:
        seed = derive_seed(0, 1, number, "phantom")
        grid = site_grid(1, seed, body.size_mm, 5.0)
        images, _ = scan(body, seed, ALL, grid)
        tissues = tissue_volume(body.draw(seed), grid.shape, grid.affine)
        found.append((dict(zip(ALL, map(np.float64, images), strict=True)), tissues))
    return found


def separation(brain, tissue: Tissue, others: tuple[Tissue, ...]) -> dict[str, float]:
    """By contrast; above 0 where the tissue is the brighter one."""
    images, tissues = brain
    own = tissues == tissue
    near = ndimage.binary_dilation(own, iterations=3) & np.isin(tissues, others)
    assert min(own.sum(), near.sum()) > 30

    def between(inside: np.ndarray, outside: np.ndarray) -> float:
        pooled = np.sqrt((inside.var() + outside.var()) / 2)
        return float((inside.mean() - outside.mean()) / pooled)

    return {name: between(image[own], image[near]) for name, image in images.items()}


@pytest.mark.parametrize("number", SEEDS)
def test_oedema_is_seen_in_flair_and_hardly_in_t1(brains, number):
    seen = separation(brains[number], Tissue.OEDEMA, BRAIN)
    assert seen["flair"] > 2 > 1.3 > max(abs(seen["t1"]), abs(seen["t1ce"]))
    assert seen["flair"] > 2 * abs(seen["t1"])


@pytest.mark.parametrize("number", SEEDS)
def test_flair_alone_tells_oedema_from_fluid_which_t2_takes_for_the_same(brains, number):
    seen = separation(brains[number], Tissue.OEDEMA, (Tissue.FLUID,))
    assert seen["flair"] > 3 > 1 > abs(seen["t2"])


@pytest.mark.parametrize("number", SEEDS)
def test_the_enhancing_rim_is_seen_in_t1ce_only(brains, number):
    seen = separation(brains[number], Tissue.ENHANCING, AROUND_RIM)
    assert seen.pop("t1ce") > 3.5
    assert max(map(abs, seen.values())) < 1.5


def test_each_contrast_shows_another_part_best(brains):
    """Mean over patients: the rows of parts differ, so training on one contrast is no other's."""
    parts = {
        "oedema": separation_of_all(brains, Tissue.OEDEMA, BRAIN),
        "rim": separation_of_all(brains, Tissue.ENHANCING, AROUND_RIM),
    }
    best = {part: max(seen, key=lambda name: abs(seen[name])) for part, seen in parts.items()}
    assert best == {"oedema": "flair", "rim": "t1ce"}


def separation_of_all(brains, tissue, others) -> dict[str, float]:
    found = [separation(brain, tissue, others) for brain in brains]
    return {name: float(np.mean([seen[name] for seen in found])) for name in ALL}
