import numpy as np
import pytest

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.weighing import build_weighing
from fedvox.aggregation.weighing.settings import FedCESettings

CHANGES = {"a": {"w": [3.0, 0.0]}, "b": {"w": [4.0, 3.0]}, "c": {"w": [0.0, 2.0]}}
DICE = {"a": {"mr": (0.5, 1)}, "b": {"mr": (0.8, 1)}, "c": {"mr": (0.9, 1)}}


def weights(settings, given_round, memory=None):
    shares, kept = build_weighing(settings)(*given_round, memory or Memory())
    return {site: share.weight for site, share in shares.items()}, kept


def expected(mode: str, cosines: dict[str, float]) -> dict[str, float]:
    turned = {site: 1 - cosine for site, cosine in cosines.items()}
    errors = {"a": 0.5, "b": 0.2, "c": 0.1}
    turned = {site: value / sum(turned.values()) for site, value in turned.items()}
    errors = {site: value / sum(errors.values()) for site, value in errors.items()}
    both = {s: turned[s] + errors[s] if mode == "plus" else turned[s] * errors[s] for s in turned}
    return {site: value / sum(both.values()) for site, value in both.items()}


def cosine(own, others) -> float:
    return float(np.dot(own, others) / np.linalg.norm(own) / np.linalg.norm(others))


FIRST = {
    "a": cosine([3, 0], [4, 5]),
    "b": cosine([4, 3], [3, 2]),
    "c": cosine([0, 2], [7, 3]),
}


@pytest.mark.parametrize("mode", ["plus", "times"])
def test_weights_are_those_of_the_formula(sites_of, mode):
    found, _ = weights(FedCESettings(mode=mode), sites_of(CHANGES, validation=DICE))
    assert found == pytest.approx(expected(mode, FIRST))


def test_the_others_are_weighed_as_the_round_before_and_cosines_are_averaged(sites_of):
    given_round = sites_of(CHANGES, validation=DICE)
    before, memory = weights("fedce", given_round)
    found, _ = weights("fedce", given_round, memory)
    vectors = {site: np.array(own["w"]) for site, own in CHANGES.items()}
    now = {
        site: cosine(vectors[site], sum(before[s] * vectors[s] for s in vectors if s != site))
        for site in vectors
    }
    means = {site: (FIRST[site] + now[site]) / 2 for site in now}
    assert found == pytest.approx(expected("plus", means))


def test_who_was_away_keeps_its_place_and_a_new_site_has_the_weight_of_one_more(sites_of):
    _, memory = weights("fedce", sites_of(CHANGES, validation=DICE))
    before = memory.numbers["fedce"]
    changes = {"a": {"w": [1.0, 0.0]}, "c": {"w": [0.0, 1.0]}, "d": {"w": [1.0, 1.0]}}
    shares, memory = build_weighing("fedce")(*sites_of(changes), memory)
    others = np.array([before["weights"]["a"], before["weights"]["c"]])
    assert shares["d"].terms["cosine"] == pytest.approx(cosine([1, 1], others))
    new = 1 / 4  # three are known
    others = np.array([0.0, before["weights"]["c"]]) + new * np.array([1, 1])
    assert shares["a"].terms["cosine"] == pytest.approx(cosine([1, 0], others))
    after = memory.numbers["fedce"]
    assert after["weights"]["b"] == before["weights"]["b"]
    assert after["cosines"]["b"] == before["cosines"]["b"] == [pytest.approx(FIRST["b"]), 1]
    assert [after["cosines"][site][1] for site in "acd"] == [2, 2, 1]


def test_it_gives_flares_own_weights_where_the_scores_are_the_same(sites_of):
    import torch
    from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
    from nvflare.app_opt.pt.fedce import FedCEModelAggregator

    random = np.random.default_rng(1)
    flare, memory = FedCEModelAggregator(), Memory()
    for _ in range(3):
        changes = {s: {"w": random.normal(size=5)} for s in ("site-a", "site-b", "site-c")}
        dice = {site: float(random.uniform(0.2, 0.9)) for site in changes}
        flare.reset_stats()
        for site, own in changes.items():
            flare.accept_model(
                FLModel(
                    params={"w": torch.tensor(np.float32(own["w"]))},
                    params_type=ParamsType.DIFF,
                    meta={"client_name": site, "fedce_minus_val": 1 - dice[site]},
                )
            )
        told = flare.aggregate_model().meta["fedce_coef"]
        validation = {site: {"mr": (own, 1)} for site, own in dice.items()}
        found, memory = weights("fedce", sites_of(changes, validation=validation), memory)
        assert found == pytest.approx(told, rel=1e-5)  # FLARE computes in float32


def test_a_site_alone_and_sites_that_nobody_validates_have_weights(sites_of):
    assert weights("fedce", sites_of({"a": {"w": [1.0, 0.0]}}))[0] == {"a": 1.0}
    alike = sites_of({"a": {"w": [1.0, 0.0]}, "b": {"w": [1.0, 0.0]}})
    assert weights("fedce", alike)[0] == pytest.approx({"a": 0.5, "b": 0.5})
