"""A rule that weighs by a moving average: what it remembers is written with the round's model."""

import json

import numpy as np
import pytest

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.round import Round
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.run_state import RunState
from fedvox.aggregation.weighing import WEIGHING
from fedvox.aggregation.weighing.settings import WeighingSettings
from fedvox.aggregation.weighing.share import Share

START = {"w": np.zeros(3, np.float32)}
LOSSES = ({"a": 0.7, "b": 0.1}, {"a": 0.3, "b": 0.9}, {"a": 0.1}, {"a": 0.6, "b": 0.2})
KEEP = 0.9


def by_mean_loss(updates, read, model, memory):
    """Sites weigh by the moving average of their training loss; the last sums are kept too."""
    averages = dict(memory.numbers.get("loss", {}))
    sums = {}
    for site, update in sorted(updates.items()):
        averages[site] = KEEP * averages.get(site, update.loss) + (1 - KEEP) * update.loss
        sums[f"sum.{site}"] = memory.arrays.get(f"sum.{site}", 0.0) + read(site, "w")
    shares = {site: Share(averages[site], "loss", {"mean": averages[site]}) for site in updates}
    return shares, Memory(sums, {"loss": averages})


@pytest.fixture
def rule(monkeypatch) -> str:
    monkeypatch.setitem(WEIGHING._entries, "mean_loss", lambda settings: by_mean_loss)
    monkeypatch.setitem(WEIGHING._settings, "mean_loss", WeighingSettings)
    return "mean_loss"


def play(folder, update_of, rule: str, resumed: bool, momentum: float) -> RunState:
    """The rounds of the losses; a resumed run reads everything from disk before each."""
    state, model, memory = RunState(folder), START, Memory()
    for index, losses in enumerate(LOSSES):
        if resumed:
            state = RunState(folder)
            model, memory = state.load_last() or START, state.load_memory()
        current = Round(
            index, model, state.store, RoundRules(rule, momentum=momentum), memory=memory
        )
        for number, (site, loss) in enumerate(losses.items()):
            arrays = {"w": np.full(3, number + loss, np.float32)}
            current.accept(update_of(site, arrays, round=index, loss=loss))
        following, record = current.close()
        state.finish_round(model, following, record, current.memory)
        model, memory = following, current.memory
    return state


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_resumed_run_weighs_by_the_same_averages_bit_for_bit(tmp_path, update_of, rule, momentum):
    whole = play(tmp_path / "whole", update_of, rule, False, momentum)
    again = play(tmp_path / "again", update_of, rule, True, momentum)
    for name in (whole.model_path(4).name, whole.memory_path(4).name):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    shares = [[e["weight"] for e in r["contributors"]] for r in whole.rounds()]
    assert shares == [[e["weight"] for e in r["contributors"]] for r in again.rounds()]


def test_averages_follow_the_recurrence_over_all_rounds(tmp_path, update_of, rule):
    state = play(tmp_path, update_of, rule, True, 0.9)
    expected = {}
    for losses in LOSSES:
        for site, loss in losses.items():
            expected[site] = KEEP * expected.get(site, loss) + (1 - KEEP) * loss
    memory = state.load_memory()
    assert memory.numbers == {"loss": expected}  # also of b, which one round lacked
    assert set(memory.arrays) == {"momentum.w", "sum.a", "sum.b"}
    terms = [entry["terms"]["mean"] for entry in state.rounds()[-1]["contributors"]]
    assert terms == [expected["a"], expected["b"]]


def test_a_round_whose_mean_is_not_taken_leaves_no_trace(tmp_path, update_of, rule):
    before = Memory({}, {"loss": {"a": 0.5}})
    current = Round(0, START, RunState(tmp_path).store, RoundRules(rule), memory=before)
    current.aggregate = lambda model, read, shares: {"w": np.full(3, np.inf)}
    current.accept(update_of("a", {"w": np.ones(3, np.float32)}, loss=0.9))
    current.close()
    assert current.memory is before and json.dumps(before.numbers) == '{"loss": {"a": 0.5}}'
