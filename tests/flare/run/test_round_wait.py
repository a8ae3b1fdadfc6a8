import pytest

from fedvox.flare.run import round_wait
from fedvox.flare.run.round_wait import LEAST_SECONDS, RoundWait, patient
from fedvox.job.waiting_settings import WaitingSettings


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(round_wait.time, "monotonic", lambda: now[0])
    return now


def record(**seconds: float) -> dict:
    parts = [{"site": site, "answer_seconds": value} for site, value in seconds.items()]
    return {"contributors": parts}


def opened(targets="ab", rounds=(), **settings) -> RoundWait:
    wait = RoundWait(WaitingSettings(**settings))
    wait.open(list(targets), rounds)
    return wait


def test_a_round_ends_when_all_have_answered(clock):
    wait = opened()
    clock[0] += 5
    assert wait.answer("a") == 3600.0  # nobody was measured yet
    assert wait.answer("b") == 5.0
    assert wait.close() == []


def test_measured_sites_are_waited_for_thrice_their_longest_of_five_rounds(clock):
    rounds = [record(a=900.0), record(a=30.0, b=20.0), *[record(a=40.0, b=20.0)] * 4]
    assert opened(rounds=rounds).limit == 120.0
    assert opened(rounds=rounds, margin=4.0).limit == 160.0
    assert opened("abc", rounds).limit == 3600.0  # c was never heard
    assert opened("abc", rounds, first=77.0).limit == 77.0
    assert opened(rounds=rounds, round=7.0).limit == 7.0
    assert opened(rounds=[record(a=1.0, b=1.0)]).limit == LEAST_SECONDS


def test_no_round_ends_before_as_many_sites_answered_as_the_job_needs(clock):
    wait = opened("abc", sites=2, round=10.0)
    assert wait.answer("a") == 0.0
    clock[0] += 99
    assert wait.answer("b") == 99.0  # the wait was over already
    assert opened("a", sites=2, round=10.0).answer("a") > 0  # no more are connected


def test_the_simulator_waits_for_every_site_unless_the_job_sets_a_time(clock):
    wait = RoundWait(patient(WaitingSettings()))
    wait.open(["a", "b"], [record(a=1.0, b=1.0)])
    clock[0] += 9999
    assert wait.answer("a") == 0.0  # never
    wait = RoundWait(patient(WaitingSettings(round=10.0)))
    wait.open(["a", "b"], [])
    assert wait.answer("a") == 10.0


def test_a_stuck_site_costs_one_wait_and_is_waited_for_again_once_it_answers(clock):
    wait, rounds = opened(rounds=[record(a=30.0, b=30.0)]), [record(a=30.0, b=30.0)]
    assert wait.answer("a") == 90.0
    clock[0] += 90
    assert wait.close() == ["b"]
    wait.open(["a", "b"], rounds)
    clock[0] += 30
    assert wait.answer("a") == 30.0  # without b
    assert wait.close() == []
    wait.hear("b")  # 120 s after it was asked first
    wait.open(["a", "b"], rounds)
    assert wait.limit == 180.0  # twice the last limit: a slow site catches up, a stuck one cannot
    assert wait.answer("a") == 180.0
    assert wait.answer("b") < 1.0


def test_a_site_that_was_a_little_late_gets_the_margin_over_what_it_took(clock):
    wait = opened(round=0.0, rounds=[record(a=100.0, b=1.0)], margin=1.5)
    wait.answer("a")
    clock[0] += 160
    wait.close()
    wait.hear("b")
    wait.open(["a", "b"], [record(a=100.0, b=1.0)])
    assert wait.limit == 240.0


def test_when_nobody_answers_somebody_is_waited_for(clock):
    wait = opened(round=10.0)
    wait.close()
    wait.open(["a", "b"], [])
    assert wait.answer("a") == 10.0
