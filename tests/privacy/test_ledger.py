"""A site's ledger: what was spent stays spent, whatever happens to processes and files."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from fedvox.errors import BudgetSpent, ConfigError
from fedvox.privacy.accountant import Spend, spent
from fedvox.privacy.ledger import Ledger
from fedvox.privacy.noise_settings import NoiseSettings

SETTINGS = NoiseSettings(noise=4.0, epsilon=5.0)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "state" / "privacy_site-1.jsonl")


def lines(ledger) -> list[dict]:
    return [json.loads(line) for line in ledger.path.read_text().splitlines()]


def test_every_update_is_on_record_over_all_jobs_and_processes(ledger):
    first = ledger.spend(SETTINGS, "job-1", 0, Spend(4.0))
    second = Ledger(ledger.path).spend(SETTINGS, "job-2", 0, Spend(4.0))
    assert [first.epsilon, second.epsilon] == [
        spent([Spend(4.0)], 1e-5),
        spent([Spend(4.0), Spend(4.0)], 1e-5),
    ]
    assert [(line["job"], line["epsilon"]) for line in lines(ledger)] == [
        ("job-1", first.epsilon),
        ("job-2", second.epsilon),
    ]
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600


def test_what_is_beyond_the_budget_is_refused_and_not_written(ledger):
    for index in range(10):
        try:
            ledger.check(SETTINGS, Spend(4.0))
        except BudgetSpent:
            break
        ledger.spend(SETTINGS, "job", index, Spend(4.0))
    assert len(lines(ledger)) == 4  # 4 updates cost 4.6, 5 cost 5.3
    with pytest.raises(BudgetSpent, match=r"4 updates left, .* of 5 \(delta 1e-05\)"):
        ledger.spend(SETTINGS, "another job", 0, Spend(4.0))
    assert len(lines(ledger)) == 4
    ledger.spend(NoiseSettings(noise=4.0, epsilon=6.0), "job", 5, Spend(4.0))


def test_more_noise_later_counts_with_what_it_was(ledger):
    ledger.spend(SETTINGS, "job", 0, Spend(4.0))
    total = ledger.spend(NoiseSettings(noise=9), "job", 1, Spend(9.0))
    assert total.epsilon == spent([Spend(4.0), Spend(9.0)], 1e-5) and total.unit == "site"


def test_noise_in_steps_and_on_updates_add_up_and_hide_cases(ledger):
    steps = Spend(4.0, rate=0.25, steps=100)
    ledger.spend(SETTINGS, "job", 0, Spend(4.0))
    total = ledger.spend(SETTINGS, "job", 1, steps)
    assert total.epsilon == spent([Spend(4.0), steps], 1e-5) and total.unit == "case"
    assert [line.get("rate") for line in lines(ledger)] == [None, 0.25]
    after = ledger.spend(SETTINGS, "job", 2, Spend(4.0))
    assert after.unit == "case" and after.epsilon > total.epsilon


@pytest.mark.parametrize("rest", ['{"job": "j", "noi', '{"noise": 4.0}', "\0\0\0"])
def test_a_line_that_a_power_cut_left_open_was_never_sent(ledger, rest):
    ledger.spend(SETTINGS, "job", 0, Spend(4.0))
    with ledger.path.open("a") as file:
        file.write(rest)
    assert ledger.spend(SETTINGS, "job", 1, Spend(4.0)).epsilon == spent(
        [Spend(4.0), Spend(4.0)], 1e-5
    )
    assert [line["round"] for line in lines(ledger)] == [0, 1]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[4.0]",
        '{"noise": 0.0}',
        '{"noise": NaN}',
        "4",
        '{"noise": 4.0, "rate": 0.0, "steps": 3}',
        '{"noise": 4.0, "rate": 1.5, "steps": 3}',
        '{"noise": 4.0, "rate": 0.5, "steps": 0}',
        '{"noise": 4.0, "rate": 0.5, "steps": 1.5}',
        '{"noise": 4.0, "steps": 3}',
    ],
)
def test_a_damaged_ledger_stops_everything_and_keeps_its_content(ledger, line):
    ledger.spend(SETTINGS, "job", 0, Spend(4.0))
    text = ledger.path.read_text() + line + "\n"
    ledger.path.write_text(text)
    for ask in (
        lambda settings: ledger.check(settings, Spend(4.0)),
        lambda settings: ledger.spend(settings, "job", 1, Spend(4.0)),
    ):
        with pytest.raises(ConfigError, match=r"line 2 of privacy_site-1\.jsonl is damaged"):
            ask(SETTINGS)
    assert ledger.path.read_text() == text


def test_several_processes_never_spend_the_same_budget_twice(ledger):
    def one(index: int) -> bool:
        try:
            Ledger(ledger.path).spend(SETTINGS, "job", index, Spend(4.0))
        except BudgetSpent:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(one, range(16)))
    assert sum(sent) == len(lines(ledger)) == 4
