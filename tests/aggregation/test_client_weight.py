import pytest

from fedvox.aggregation.client_weight import client_weight


@pytest.mark.parametrize(
    ("rule", "weight", "reason"),
    [
        ("cases", 24.0, "24 training cases"),
        ("steps", 80.0, "80 steps"),
        ("uniform", 1.0, "uniform"),
    ],
)
def test_weight_follows_the_rule_and_says_why(update_of, rule, weight, reason):
    assert client_weight(update_of("a", {}, cases=24, steps=80), rule) == (weight, reason)
