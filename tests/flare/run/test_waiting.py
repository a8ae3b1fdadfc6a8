import pytest

from fedvox.flare.run.waiting import LEAST_SECONDS, MOST_SECONDS, evaluation_timeout, scored_tests


def record(*seconds: float | None) -> dict:
    return {"contributors": [{"site": "a", "answer_seconds": value} for value in seconds]}


def test_slowest_answer_times_models_times_work_times_the_margin():
    # w = 1 + (4 + 10) / 4; 3 * 100 s * 2 models * 4.5
    assert evaluation_timeout([record(7.0, 100.0), record(50.0)], 2, [(4, 10), (9, 0)], 3.0) == 2700


def test_few_validation_cases_do_not_make_the_wait_endless():
    # w = 1 + (0 + 8) / 4
    assert evaluation_timeout([record(100.0)], 2, [(0, 8)], 3.0) == 1800


@pytest.mark.parametrize("rounds", [[], [record()], [record(None)], [record(0.5)], [{"round": 0}]])
def test_short_or_unmeasured_rounds_get_the_least_time(rounds):
    assert evaluation_timeout(rounds, 2, [(1, 1)], 3.0) == LEAST_SECONDS


@pytest.mark.parametrize("cases", [(0, 22), (1, 21), (2, 20)])
def test_short_rounds_leave_time_for_every_case_and_model(cases):
    # 22 cases, 4 models; a round of 3 s would suggest at most 252 s
    assert evaluation_timeout([record(3.0)], 4, [cases, (0, 2)], 3.0) == 60 * 22 * 4


def test_wait_ends_after_a_day():
    assert evaluation_timeout([record(40_000.0)], 9, [(4, 100)], 3.0) == MOST_SECONDS


def test_subsets_count_for_the_models_that_are_scored_on_them():
    held = {"t1+t1ce+t2+flair": 4, "t1": 2}
    assert scored_tests(held, 2, 0) == 4 * 15 + 2
    assert scored_tests(held, 2, 4) == 25  # (2 * 62 + 4 * 6) / 6, rounded up
    assert scored_tests({}, 1, 0) == 0
