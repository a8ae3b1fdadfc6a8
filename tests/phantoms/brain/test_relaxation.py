import numpy as np
import pytest

from fedvox.phantoms.brain.relaxation import CONTRASTS, draw_relaxation, signals
from fedvox.phantoms.brain.tissue import Tissue

SEEDS = range(40)
BRAIN = (Tissue.FLUID, Tissue.GREY, Tissue.WHITE)
TUMOUR = (Tissue.NECROTIC, Tissue.OEDEMA, Tissue.ENHANCING)


def medians(name: str) -> np.ndarray:
    """Signal of each tissue, over patients."""
    return np.median([signals(name, seed) for seed in SEEDS], axis=0)


@pytest.mark.parametrize(
    ("name", "rising"),
    [
        ("t1", (Tissue.FLUID, Tissue.NECROTIC, Tissue.OEDEMA, Tissue.GREY, Tissue.WHITE)),
        ("t2", (Tissue.WHITE, Tissue.GREY, Tissue.ENHANCING, Tissue.OEDEMA, Tissue.FLUID)),
        ("flair", (Tissue.FLUID, Tissue.WHITE, Tissue.GREY, Tissue.ENHANCING, Tissue.OEDEMA)),
        ("t1ce", (Tissue.FLUID, Tissue.GREY, Tissue.WHITE, Tissue.ENHANCING)),
    ],
)
def test_tissues_stand_in_the_order_that_radiologists_know(name, rising):
    values = medians(name)[list(rising)]
    assert (np.diff(values) > 0).all()


def test_fluid_is_suppressed_in_flair_and_brightest_in_t2():
    flair, t2 = medians("flair"), medians("t2")
    assert flair[Tissue.FLUID] < 0.25 * flair[Tissue.GREY]
    assert t2[Tissue.FLUID] > 1.8 * t2[Tissue.GREY]
    assert flair[Tissue.OEDEMA] > 1.5 * flair[Tissue.WHITE]


def test_contrast_agent_changes_the_rim_and_nothing_else():
    for seed in SEEDS:
        before, after = signals("t1", seed), signals("t1ce", seed)
        ratio = after[list(BRAIN)] / before[list(BRAIN)]
        assert np.allclose(ratio, ratio[0], rtol=1e-5)
        assert after[Tissue.ENHANCING] / before[Tissue.ENHANCING] > 2 * ratio[0]
        assert after[Tissue.ENHANCING] > 1.5 * max(after[list(BRAIN)])


def test_contrasts_of_a_patient_are_correlated():
    def grey(name: str) -> np.ndarray:
        return np.array([signals(name, seed)[Tissue.GREY] for seed in SEEDS])

    t1, t1ce, t2, flair = map(grey, ("t1", "t1ce", "t2", "flair"))
    assert np.corrcoef(t1, t1ce)[0, 1] > 0.999
    assert np.corrcoef(t2, flair)[0, 1] > 0.7
    assert t1.std() / t1.mean() > 0.02 and t2.std() / t2.mean() > 0.02


def test_signals_are_about_1_at_most_and_none_is_negative():
    for contrast in CONTRASTS:
        values = np.array([contrast.signals(np.random.default_rng(0), seed) for seed in SEEDS])
        assert values.min() >= 0 and values[:, [*BRAIN, *TUMOUR]].max() < 1.6
        assert 0.7 < np.median(values[:, [*BRAIN, *TUMOUR]].max(axis=1)) < 1.3


def test_equal_seeds_give_equal_tissues_and_others_differ():
    first, again, other = draw_relaxation(1), draw_relaxation(1), draw_relaxation(2)
    assert np.array_equal(first.t1, again.t1) and not np.array_equal(first.t1, other.t1)
    assert (np.abs(first.t2 / other.t2 - 1) < 0.4).all()
