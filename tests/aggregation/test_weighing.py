import pytest

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.weighing import WEIGHING


def weights(rule: str, *updates) -> dict[str, float]:
    shares = WEIGHING[rule]({update.site: update for update in updates}, None, {}, Memory())
    return {site: share.weight for site, share in shares.items()}


@pytest.mark.parametrize(
    ("rule", "weight", "reason"),
    [
        ("cases", 24.0, "24 training cases"),
        ("steps", 80.0, "80 steps"),
        ("uniform", 1.0, "uniform"),
    ],
)
def test_weight_follows_the_rule_and_says_why(update_of, rule, weight, reason):
    update = update_of("a", {}, cases=24, steps=80)
    (share,) = WEIGHING[rule]({"a": update}, None, {}, Memory()).values()
    assert (share.weight, share.reason) == (weight, reason)


def test_modality_first_gives_every_modality_the_same_weight(update_of):
    found = weights(
        "modality_first",
        update_of("a", {}, cases=30, modality="ct"),
        update_of("b", {}, cases=10, modality="ct"),
        update_of("c", {}, cases=5, modality="mr"),
    )
    assert found == pytest.approx({"a": 0.375, "b": 0.125, "c": 0.5})


def test_a_site_of_two_modalities_counts_half_for_each(update_of):
    found = weights(
        "modality_first",
        update_of("a", {}, cases=20, modality="ct,mr"),
        update_of("b", {}, cases=10, modality="ct"),
    )
    assert found == pytest.approx({"a": 0.75, "b": 0.25})


def test_with_one_modality_modality_first_weighs_by_cases(update_of):
    sites = [update_of(name, {}, cases=n, modality="mr") for name, n in (("a", 3), ("b", 9))]
    assert weights("modality_first", *sites) == pytest.approx({"a": 0.25, "b": 0.75})
