import numpy as np
import pytest

from fedvox.compression.replica import (
    difference,
    member_bits,
    members,
    moved,
    replica_of,
)

MODEL = {"b": np.arange(3, dtype=np.float32), "a": np.ones((2, 2), np.float32)}


def test_the_name_follows_the_version_and_every_bit_of_every_tensor():
    name = replica_of(3, MODEL)
    assert name == replica_of(3, dict(reversed(MODEL.items()))) and name.startswith("3:")
    changed = {**MODEL, "b": np.nextafter(MODEL["b"], np.float32(9))}
    others = [
        replica_of(4, MODEL),
        replica_of(3, changed),
        replica_of(3, {"a": MODEL["a"]}),
        replica_of(3, {**MODEL, "a": MODEL["a"].reshape(4)}),
        replica_of(3, {**MODEL, "a": MODEL["a"].astype(np.float64)}),
    ]
    assert len({name, *others}) == 6


def test_a_step_is_made_in_float32_and_keeps_the_type():
    held = {"w": np.array([1.0, 2.0], np.float16), "x": np.array([5.0], np.float32)}
    step = {"w": np.array([0.5, 0.0], np.float32)}
    after = moved(held, step)
    assert after["w"].tolist() == [1.5, 2.0] and after["w"].dtype == np.float16
    assert after["x"] is not None and after["x"].tolist() == [5.0]
    assert difference(after["w"], held["w"]).tolist() == [0.5, 0.0]


@pytest.mark.parametrize("chosen", [(), ("a",), ("c", "i"), tuple("abcdefghi")])
def test_members_come_back(chosen):
    names = list("abcdefghi")
    assert members(names, member_bits(names, chosen)) == list(chosen)


@pytest.mark.parametrize("bits", [b"", b"\x00", b"\x00\x00\x00", b"\x00\x7f"])
def test_bits_of_other_names_are_refused(bits):
    with pytest.raises(ValueError, match="names that are not there"):
        members(list("abcdefghi"), bits)
