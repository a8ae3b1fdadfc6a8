import pytest

from fedvox.job.settings import TrainingSettings
from fedvox.training.schedule import learning_rate


def settings(**values) -> TrainingSettings:
    return TrainingSettings(
        **{"rounds": 4, "steps": 25, "learning_rate": 0.5, "warmup": 0.0} | values
    )


def test_poly_starts_at_the_learning_rate_and_falls_with_power_nine_tenths():
    poly = settings(schedule="poly")
    assert learning_rate(poly, 0) == 0.5
    assert learning_rate(poly, 50) == pytest.approx(0.5 * 0.5**0.9)
    assert learning_rate(poly, 100) == 0.0


def test_cosine_is_half_way_in_the_middle():
    cosine = settings(schedule="cosine")
    assert learning_rate(cosine, 0) == 0.5
    assert learning_rate(cosine, 50) == pytest.approx(0.25)
    assert learning_rate(cosine, 100) == pytest.approx(0.0, abs=1e-12)


def test_constant_stays():
    assert {learning_rate(settings(schedule="constant"), step) for step in range(100)} == {0.5}


def test_warm_up_rises_linearly_and_ends_at_the_learning_rate():
    warm = settings(warmup=0.1, schedule="poly")
    rates = [learning_rate(warm, step) for step in range(11)]
    assert rates[:10] == pytest.approx([0.05 * (step + 1) for step in range(10)])
    assert rates[10] == 0.5


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_rate_never_rises_after_the_warm_up_and_stays_positive(schedule):
    chosen = settings(warmup=0.1, schedule=schedule)
    rates = [learning_rate(chosen, step) for step in range(10, 100)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0


def test_schedule_spans_all_rounds():
    assert learning_rate(settings(rounds=2, steps=50), 75) == learning_rate(settings(), 75)


def test_step_after_the_last_round_has_the_final_rate():
    assert learning_rate(settings(schedule="poly"), 1000) == 0.0
