import numpy as np
import pytest
from hostile_files import safetensors_of

from fedvox.aggregation.run_state import RunState
from fedvox.aggregation.selection import Best
from fedvox.errors import ModelError

PAIRS = (("a", "ct"),)
"""What the rounds of these runs validated."""


def model(value: float) -> dict[str, np.ndarray]:
    return {"w": np.full(8, value, np.float32), "scale": np.asarray(value, np.float32)}


def value_of(weights) -> float:
    assert weights["scale"].shape == ()
    return float(weights["w"][0])


@pytest.fixture
def state(tmp_path) -> RunState:
    return RunState(tmp_path / "state")


def test_fresh_run_has_no_models(state):
    assert (state.version, state.best, state.rounds()) == (0, None, [])
    assert state.load_last() is None
    assert state.load_best() is None


def test_finished_round_is_found_again_by_another_process(state, record):
    state.finish_round(model(0), model(1), record(0))
    state.finish_round(model(1), model(2), record(1, {"ct": 0.5}))
    again = RunState(state.folder)
    assert again.version == 2
    assert value_of(again.load_last()) == 2
    assert [entry["round"] for entry in again.rounds()] == [0, 1]
    assert again.best == Best(1, 0.5, PAIRS)
    assert value_of(again.load_best()) == 1


def test_best_is_kept_when_later_rounds_are_worse(state, record):
    for index, score in enumerate([0.1, 0.8, 0.5, 0.6]):
        state.finish_round(model(index), model(index + 1), record(index, {"ct": score}))
    assert state.best == Best(1, 0.8, PAIRS)
    assert value_of(state.load_best()) == 1
    assert value_of(state.load_last()) == 4


def test_later_model_wins_a_tie(state, record):
    for index in range(3):
        state.finish_round(model(index), model(index + 1), record(index, {"ct": 0.5}))
    assert state.best == Best(2, 0.5, PAIRS)
    assert value_of(state.load_best()) == 2


def test_untrained_model_is_never_the_best(state, record):
    state.finish_round(model(0), model(1), record(0, {"ct": 1.0}))
    assert state.best is None


def test_round_that_was_not_validated_leaves_the_best_alone(state, record):
    state.finish_round(model(0), model(1), record(0))
    state.finish_round(model(1), model(2), record(1, {"ct": 0.5}))
    state.finish_round(model(2), model(3), record(2))
    assert state.best == Best(1, 0.5, PAIRS)


def test_round_that_is_repeated_after_a_restart_is_recorded_once(state, record):
    state.finish_round(model(0), model(1), record(0))
    state.finish_round(model(1), model(2), record(1))
    state.finish_round(model(1), model(3), record(1))
    assert [entry["round"] for entry in state.rounds()] == [0, 1]
    assert state.version == 2
    assert value_of(state.load_last()) == 3


def test_weights_of_each_version_that_may_still_win_are_kept_over_a_restart(state, record):
    def scored(index: int, ct: float, mr: float | None) -> dict:
        own = {"a": {"ct": [ct, 4]}, **({} if mr is None else {"b": {"mr": [mr, 4]}})}
        return record(index) | {"scores": own}

    course = [(0.1, 0.1), (0.5, 0.3), (0.9, None), (0.6, 0.4), (0.7, None)]
    for index, (ct, mr) in enumerate(course):
        # a new process each round
        RunState(state.folder).finish_round(model(index), model(index + 1), scored(index, ct, mr))
    assert state.best == Best(3, 0.5, (("a", "ct"), ("b", "mr")))
    assert value_of(state.load_best()) == 3
    # version 2 is the best on ct alone, should the site with mr be lost for good
    names = sorted(path.name for path in state.folder.glob("model_*"))
    assert names == [f"model_{v:05d}.safetensors" for v in (2, 3, 5)]
    for index in range(5, 9):
        state.finish_round(model(index), model(index + 1), scored(index, 0.8, None))
    assert (state.best.version, state.best.pairs) == (2, (("a", "ct"),))
    assert value_of(state.load_best()) == 2


@pytest.mark.parametrize("name", ["last", "best"])
def test_truncated_checkpoint_is_refused_with_a_remedy(state, record, name):
    for index in range(2):
        state.finish_round(model(index), model(index + 1), record(index, {"ct": 0.5}))
    path = state.model_path({"last": state.version, "best": state.best.version}[name])
    path.write_bytes(path.read_bytes()[:-3])
    load = {"last": state.load_last, "best": state.load_best}[name]
    with pytest.raises(ModelError, match="is damaged; submit the job afresh"):
        load()


@pytest.mark.parametrize("name", ["last", "best"])
def test_checkpoint_with_a_flipped_bit_is_refused(state, record, name):
    for index in range(2):
        state.finish_round(model(index), model(index + 1), record(index, {"ct": 0.5}))
    path = state.model_path({"last": state.version, "best": state.best.version}[name])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    load = {"last": state.load_last, "best": state.load_best}[name]
    with pytest.raises(ModelError, match="is not the one it wrote"):
        load()


def test_a_checkpoint_with_a_pickle_inside_is_refused_and_never_unpickled(state, record, canary):
    state.finish_round(model(0), model(1), record(0))
    state.model_path(state.version).write_bytes(canary())
    with pytest.raises(ModelError, match="is damaged; submit the job afresh"):
        state.load_last()


def test_a_checkpoint_of_numbers_that_numpy_lacks_is_refused(state, record):
    state.finish_round(model(0), model(1), record(0))
    header = '{"w": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}'
    state.model_path(state.version).write_bytes(safetensors_of(header, 8))
    with pytest.raises(ModelError, match="is damaged; submit the job afresh"):
        state.load_last()


def test_missing_checkpoint_is_refused(state, record):
    state.finish_round(model(0), model(1), record(0))
    (state.model_path(state.version)).unlink()
    with pytest.raises(ModelError, match="is damaged"):
        state.load_last()


def test_server_killed_before_it_names_a_model_finds_the_round_before(state, record, monkeypatch):
    state.finish_round(model(0), model(1), record(0))

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fedvox.aggregation.run_state.write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        state.finish_round(model(1), model(2), record(1))
    assert state.version == 1
    assert value_of(state.load_last()) == 1
    assert [entry["round"] for entry in state.rounds()] == [0]
