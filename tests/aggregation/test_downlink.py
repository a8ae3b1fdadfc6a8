"""The model that sites hold: what is sent leads to it, what is left out comes later."""

import numpy as np
import pytest

from fedvox.aggregation.downlink import Downlink, owner_groups, sent_from
from fedvox.aggregation.memory import Memory
from fedvox.compression.codec import decode
from fedvox.compression.replica import moved, replica_of
from fedvox.compression.schema import Schema
from fedvox.compression.settings import CompressionSettings, DownSettings

SETTINGS = CompressionSettings(down=DownSettings(keep=0.1, bits=4), small=4)
ROUNDS = 12


def model(seed: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "conv.weight": (scale * rng.normal(size=(8, 4, 3))).astype(np.float32),
        "other.weight": (scale * rng.normal(size=40)).astype(np.float32),
        "bias": (scale * rng.normal(size=3)).astype(np.float32),
    }


@pytest.fixture
def downlink() -> Downlink:
    return Downlink(SETTINGS, ROUNDS)


def plus(first, second):
    return {name: first[name] + second[name] for name in first}


def far(first, second) -> float:
    return float(np.sqrt(sum(np.square(first[n] - second[n]).sum() for n in first)))


def test_the_messages_lead_from_one_version_to_the_next(downlink):
    held, memory = model(0), Memory()
    for index in range(3):
        mean = plus(held, model(index + 1, 0.1))
        following, memory = downlink.step(index, held, mean, memory)
        sent = sent_from(memory)
        assert sent is not None and sent.base == index
        assert sent.replica(held) == replica_of(index, held)
        (message,) = sent.part(held)
        own = {name: held[name] for name in message.names}
        reached = moved(own, decode(message.payload, Schema.of(own)))
        assert replica_of(index + 1, reached) == replica_of(index + 1, following)
        assert len(message.payload) < 0.25 * sum(array.nbytes for array in held.values())
        held = following


def test_what_was_left_out_comes_in_later_rounds(downlink):
    start, step, memory = model(0), model(1), Memory()
    goal = plus(start, step)
    held, memory = downlink.step(0, start, goal, memory)
    first = far(held, goal)
    assert 0.2 * far(start, goal) < first < far(start, goal)
    for index in range(1, ROUNDS - 1):  # nobody changes anything any more
        held, memory = downlink.step(index, held, held, memory)
    assert far(held, goal) < 0.2 * first


def test_after_the_last_round_nothing_is_left_out(downlink):
    start, step, memory = model(0), model(1), Memory()
    goal = plus(start, step)
    held, memory = downlink.step(ROUNDS - 2, start, goal, memory)
    whole, after = downlink.step(ROUNDS - 1, held, held, memory)
    for name, array in goal.items():
        np.testing.assert_allclose(whole[name], array, atol=1e-6)
    assert not after and sent_from(after) is None


def test_a_resumed_server_sends_the_same_bytes(downlink, tmp_path):
    held, memory = downlink.step(0, model(0), plus(model(0), model(1, 0.1)), Memory())
    memory.write(tmp_path / "memory.safetensors")
    again = Memory.read(tmp_path / "memory.safetensors")
    assert sent_from(again) == sent_from(memory)
    mean = plus(held, model(2, 0.1))
    first, second = (downlink.step(1, held, mean, known) for known in (memory, again))
    assert sent_from(first[1]) == sent_from(second[1])
    assert replica_of(2, first[0]) == replica_of(2, second[0])


def test_other_parts_of_the_memory_stay(downlink):
    other = Memory({"momentum.bias": np.ones(3)}, {"norms": [1.0]})
    _, after = downlink.step(0, model(0), model(1), other)
    assert after.arrays["momentum.bias"].tolist() == [1, 1, 1] and after.numbers["norms"] == [1.0]


def test_a_site_gets_the_messages_of_its_own_tensors_only(downlink):
    held = model(0)
    travelling = {"a": list(held), "b": ["bias", "conv.weight"]}
    following, memory = downlink.step(0, held, plus(held, model(1, 0.1)), Memory(), travelling)
    sent = sent_from(memory)
    assert sent is not None
    assert [message.names for message in sent.part(travelling["b"])] == [("bias", "conv.weight")]
    assert len(sent.part(held)) == 2
    assert sent.part(["bias"]) is None  # no messages add up to it: it gets its tensors whole
    reached = dict(held)
    for message in sent.part(held):
        own = {name: held[name] for name in message.names}
        reached |= moved(own, decode(message.payload, Schema.of(own)))
    assert replica_of(1, reached) == replica_of(1, following)


def test_means_of_features_arrive_as_they_are_and_leave_the_steps_of_weights_alone(downlink):
    held, goal = model(0), plus(model(0), model(1, 0.01))
    goal["other.weight"] = 100 * goal["other.weight"]
    following, memory = downlink.step(0, held, goal, Memory(), None, ["other.weight"])
    np.testing.assert_allclose(following["other.weight"], goal["other.weight"], rtol=1e-6)
    assert "behind.other.weight" not in memory.arrays and "behind.conv.weight" in memory.arrays
    sent = sent_from(memory)
    assert sent is not None
    steps, exact = sent.part(held)
    assert exact.names == ("other.weight",) and "other.weight" not in steps.names
    own = {"other.weight": held["other.weight"]}
    reached = moved(own, decode(exact.payload, Schema.of(own)))
    np.testing.assert_array_equal(reached["other.weight"], following["other.weight"])
    others = [{n: array for n, array in own.items() if n in steps.names} for own in (held, goal)]
    alone, _ = downlink.step(0, *others, Memory())
    assert far(alone, following) == 0


def test_tensors_are_grouped_by_who_owns_them():
    assert owner_groups(["x", "b", "a"], None) == [("a", "b", "x")]
    own = {"s2": ["a", "c"], "s1": ["a", "b"]}
    assert owner_groups(["c", "b", "a", "d"], own) == [("d",), ("b",), ("a",), ("c",)]
    assert owner_groups(["x", "b", "a"], None, ["b"]) == [("a", "x"), ("b",)]
