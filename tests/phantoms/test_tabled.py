import numpy as np

from fedvox.phantoms.tabled import tabled_contrasts

BLOOD = (1, 2)
TABLES = {"ct": {0: -1000.0, 3: 50.0, 1: 300.0, 2: 250.0}, "mr": dict.fromkeys(range(4), 0.5)}
CT, MR = tabled_contrasts(TABLES, alike=[BLOOD], agent_hu=200)


def drawn(contrast) -> np.ndarray:
    """Signals of 400 scans, shape (400, 4)."""
    return np.stack([contrast.signals(np.random.default_rng(seed), 0) for seed in range(400)])


def test_signals_scatter_around_the_table_by_tissue_id():
    assert (CT.name, MR.name) == ("ct", "mr")
    np.testing.assert_allclose(drawn(CT).mean(0), [-1000, 300, 250, 50], atol=4)
    np.testing.assert_allclose(drawn(MR).mean(0), 0.5, atol=0.01)


def test_tissues_that_are_alike_move_together_and_the_others_alone():
    moved = drawn(CT) - [-1000, 300, 250, 50]
    np.testing.assert_allclose(moved[:, 1], moved[:, 2], atol=1e-3)
    assert abs(np.corrcoef(moved[:, 1], moved[:, 3])[0, 1]) < 0.2


def test_air_stays_in_a_ct_and_contrast_agent_scatters_most():
    air, blood, _, tissue = drawn(CT).std(0)
    assert air == 0 and 2.5 < blood / tissue < 5
    assert drawn(MR).std(0).min() > 0.02
