"""The rules inside a round: screened claims, memory with the model, terms on record."""

import json

import numpy as np
import pytest

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.round import Round
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.run_state import RunState
from fedvox.aggregation.weighing import WEIGHING
from fedvox.errors import UpdateRefused

START = {"w": np.zeros(4, np.float32), "v": np.ones((2, 2), np.float32)}
ROUNDS = ("abc", "abc", "ab", "abcd", "acd")
"""Who is there: c misses a round, d is new, b leaves."""


def play(folder, update_of, rule: str, resumed: bool) -> RunState:
    """Rounds of made-up updates; a resumed run reads everything from disk before each."""
    state, model, memory = RunState(folder), START, Memory()
    for index, sites in enumerate(ROUNDS):
        if resumed:
            state = RunState(folder)
            model, memory = state.load_last() or START, state.load_memory()
        current = Round(index, model, state.store, RoundRules(rule), memory=memory)
        for site in sites:
            random = np.random.default_rng([index, ord(site)])
            parts = sorted(model.items())  # read from disk they come in another order
            arrays = {n: (a + random.normal(size=a.shape)).astype("f4") for n, a in parts}
            claims = {"cases": ord(site) - 90, "quality": float(random.uniform())}
            validation = {"ct": (float(random.uniform()), 2)}
            current.accept(update_of(site, arrays, round=index, validation=validation, **claims))
        following, record = current.close()
        state.finish_round(model, following, record, current.memory)
        model, memory = following, current.memory
    return state


@pytest.mark.parametrize("rule", list(WEIGHING))
def test_a_resumed_run_weighs_bit_for_bit_as_one_undisturbed(tmp_path, update_of, rule):
    whole = play(tmp_path / "whole", update_of, rule, resumed=False)
    again = play(tmp_path / "again", update_of, rule, resumed=True)
    paths = [whole.model_path(5).name]
    paths += [whole.memory_path(5).name] if whole.load_memory() else []
    assert len(paths) == 1 + (rule in ("adaptive", "fedce", "fedpid"))
    for name in paths:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    weights = [[e["weight"] for e in r["contributors"]] for r in whole.rounds()]
    assert weights == [[e["weight"] for e in r["contributors"]] for r in again.rounds()]
    for own in weights:
        assert sum(own) == pytest.approx(1.0) and min(own) > 0


def test_terms_stand_in_the_record_and_are_json(tmp_path, update_of):
    for rule, names in (
        ("adaptive", {"by_quality", "by_dice", "by_divergence", "norm", "cosine"}),
        ("fedce", {"by_direction", "by_error", "norm", "cosine"}),
        ("fedpid", {"share_of_cases", "share_of_drop", "share_of_total"}),
    ):
        record = play(tmp_path / rule, update_of, rule, resumed=False).rounds()[-1]
        text = json.dumps(record, allow_nan=False)
        for entry in json.loads(text)["contributors"]:
            assert set(entry["terms"]) >= names
            if "norm" in names:
                assert entry["terms"]["norm"] == pytest.approx(entry["update_norm"])


def adaptive_round(tmp_path, **registered):
    return Round(0, START, RunState(tmp_path).store, RoundRules("adaptive"), **registered)


def test_a_rule_sees_only_scores_that_are_registered(tmp_path, update_of):
    held = {"a": {"ct": 4}, "b": {"ct": 4}, "c": {"ct": 4}}
    current = adaptive_round(tmp_path, registered=held, validation={s: {"ct": 1} for s in "ab"})
    for site, dice in (("a", 0.2), ("b", 0.4), ("c", 1.0)):
        own = update_of(site, START, validation={"ct": (dice, 1)}, modality="ct")
        current.accept(own)
    _, record = current.close()
    seen = {entry["site"]: entry["terms"]["dice"] for entry in record["contributors"]}
    assert seen == pytest.approx({"a": 0.2, "b": 0.4, "c": 0.3})  # c: the mean of the others


def test_more_cases_than_registered_are_refused_and_fewer_count(tmp_path, update_of):
    current = adaptive_round(tmp_path, registered={"a": {"ct": 4}, "b": {"ct": 9}})
    with pytest.raises(UpdateRefused):
        current.accept(update_of("a", START, cases=5))
    current.accept(update_of("b", START, cases=3))
    _, record = current.close()
    assert record["contributors"][0]["terms"]["by_cases"] == 3.0


@pytest.mark.parametrize("quality", [float("nan"), float("inf"), -0.1, 1.1, None])
def test_an_impossible_quality_is_refused(tmp_path, update_of, quality):
    current = adaptive_round(tmp_path)
    with pytest.raises(UpdateRefused, match="claims a data quality of"):
        current.accept(update_of("a", START, quality=quality))
    assert [entry["site"] for entry in current.refusals.entries] == ["a"]
