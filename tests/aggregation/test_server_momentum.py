import numpy as np
import pytest

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.round import Round
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.run_state import RunState
from fedvox.aggregation.server_momentum import momentum_step
from fedvox.errors import ModelError

START = {"w": np.zeros(3, np.float32)}
MEANS = (1.0, 3.0, 2.0)


def test_three_steps_equal_the_recurrence():
    model, velocity, expected, speed = START, {}, 0.0, 0.0
    for mean in MEANS:
        speed = 0.5 * speed + (mean - expected)
        expected += speed
        model, velocity = momentum_step(model, {"w": np.full(3, mean)}, velocity, 0.5)
        np.testing.assert_allclose(model["w"], expected, rtol=1e-6)
    assert model["w"].dtype == np.float32


def play(folder, update_of, resumed: bool) -> dict[str, np.ndarray]:
    """Three rounds with momentum; a resumed run reads everything from disk before each."""
    state, model, memory = RunState(folder), START, Memory()
    for index, mean in enumerate(MEANS):
        if resumed:
            state = RunState(folder)
            model, memory = state.load_last() or START, state.load_memory()
        current = Round(
            index, model, state.store, RoundRules("uniform", momentum=0.9), memory=memory
        )
        current.accept(update_of("a", {"w": np.full(3, mean, np.float32)}, round=index))
        following, record = current.close()
        state.finish_round(model, following, record, current.memory)
        model, memory = following, current.memory
    return dict(model)


def test_a_killed_and_resumed_run_keeps_the_memory_bit_for_bit(tmp_path, update_of):
    whole = play(tmp_path / "whole", update_of, resumed=False)
    again = play(tmp_path / "again", update_of, resumed=True)
    assert whole["w"].tobytes() == again["w"].tobytes()
    assert not np.array_equal(whole["w"], np.full(3, MEANS[-1]))


def test_only_the_newest_memory_is_kept(tmp_path, update_of):
    play(tmp_path, update_of, resumed=False)
    assert list(tmp_path.glob("memory_*")) == [RunState(tmp_path).memory_path(3)]


def test_memory_with_a_flipped_bit_is_refused(tmp_path, update_of):
    play(tmp_path, update_of, resumed=False)
    path = RunState(tmp_path).memory_path(3)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="memory of round 3 is not the one it wrote; submit"):
        RunState(tmp_path).load_memory()


def test_missing_memory_is_refused_with_its_reason(tmp_path, update_of):
    play(tmp_path, update_of, resumed=False)
    RunState(tmp_path).memory_path(3).unlink()
    with pytest.raises(ModelError, match=r"cannot be read \(No such file or directory\); submit"):
        RunState(tmp_path).load_memory()


def test_without_momentum_nothing_is_remembered(tmp_path, update_of):
    state = RunState(tmp_path)
    current = Round(0, START, state.store, RoundRules("uniform"))
    current.accept(update_of("a", {"w": np.ones(3, np.float32)}))
    following, record = current.close()
    state.finish_round(START, following, record, current.memory)
    assert not state.load_memory()
    assert not list(tmp_path.glob("memory_*"))


def test_a_step_that_overflows_leaves_model_and_memory_as_they_were(tmp_path, update_of):
    before = Memory({"momentum.w": np.full(3, 1e38)})
    rules = RoundRules("uniform", momentum=10.0)
    current = Round(0, START, RunState(tmp_path).store, rules, memory=before)
    current.accept(update_of("a", {"w": np.ones(3, np.float32)}))
    following, record = current.close()
    assert np.array_equal(following["w"], START["w"])
    assert current.memory is before
    assert record["contributors"] == [] and "not finite" in record["refused"][0]["reason"]
