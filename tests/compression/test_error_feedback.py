"""Nothing is lost: what was sent and what is left add up to the updates."""

import numpy as np
import pytest
from compressible import CODINGS, TENSORS, property_test
from hypothesis import given

from fedvox.compression.codec import decode
from fedvox.compression.error_feedback import send
from fedvox.compression.schema import Schema
from fedvox.compression.settings import Coding
from fedvox.errors import CodecError


def updates(count: int, shape: tuple[int, ...] = (20, 30)) -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(0)
    return [
        {
            "weight": generator.standard_t(3, shape).astype(np.float32),
            "norm": generator.normal(size=10).astype(np.float32),
        }
        for _ in range(count)
    ]


@property_test
@given(TENSORS, CODINGS)
def test_sent_and_residual_are_the_update(arrays, coding):
    result = send(arrays, {}, coding)
    dense = result.sent
    for name, array in arrays.items():
        left = result.residual.get(name)
        if left is None:
            assert array.size < coding.small
            np.testing.assert_array_equal(dense[name], array)
            continue
        assert left.dtype == np.float32 and left.shape == array.shape
        whole = dense[name].astype(np.float64) + left
        # one rounding of a float32 subtraction: a small value may be sent as a level far above it
        rounding = np.finfo(np.float32).eps * np.maximum(np.abs(array), np.abs(dense[name]))
        assert (np.abs(whole - array) <= rounding + 1e-44).all()


@property_test
@given(TENSORS, CODINGS)
def test_the_payload_is_what_was_subtracted(arrays, coding):
    result = send(arrays, {}, coding)
    decoded = decode(result.payload, Schema.of(arrays))
    for name, dense in result.sent.items():
        assert decoded[name].tobytes() == dense.tobytes()


@pytest.mark.parametrize("coding", [Coding(0.05, small=50), Coding(0.1, 4, chunk=64, small=50)])
def test_the_sum_of_messages_and_residual_is_the_sum_of_updates(coding):
    total, received = np.zeros((20, 30)), np.zeros((20, 30))
    residual: dict[str, np.ndarray] = {}
    for update in updates(40):
        result = send(update, residual, coding)
        residual = result.residual
        total += update["weight"]
        received += result.sent["weight"]
        np.testing.assert_array_equal(result.sent["norm"], update["norm"])
        np.testing.assert_allclose(received + residual["weight"], total, atol=1e-4)
    assert residual.keys() == {"weight"}


def test_a_round_without_a_message_changes_nothing():
    first, second, third = updates(3)
    result = send(first, {}, Coding(0.1, small=50))
    later = send(third, result.residual, Coding(0.1, small=50))
    received = result.sent["weight"] + later.sent["weight"] + later.residual["weight"]
    np.testing.assert_allclose(received, first["weight"] + third["weight"], atol=1e-5)
    assert second.keys() == first.keys()


@pytest.mark.parametrize("bits", [2, 32])
def test_what_is_left_is_sent_when_no_more_comes(bits):
    (update,), nothing = updates(1), {"weight": np.zeros((20, 30), np.float32)}
    coding = Coding(0.1, bits, block=16, small=50)
    result = send({"weight": update["weight"]}, {}, coding)
    lengths = [np.linalg.norm(result.residual["weight"])]
    for _ in range(1, 40):
        result = send(nothing, result.residual, coding)
        lengths.append(np.linalg.norm(result.residual["weight"]))
    assert lengths[-1] < 1e-3 * lengths[0]


def test_the_mean_of_messages_of_one_update_converges_to_it():
    """The residual stays bounded, so the error of the mean falls as one over the rounds."""
    (update,) = updates(1)
    residual: dict[str, np.ndarray] = {}
    received, errors = np.zeros((20, 30)), {}
    for count in range(1, 201):
        result = send(update, residual, Coding(0.1, small=50))
        residual = result.residual
        received += result.sent["weight"]
        errors[count] = np.linalg.norm(received / count - update["weight"])
    assert errors[200] < 0.15 * errors[20] < 0.15 * errors[2]


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_residual_stays_bounded_with_heavy_tails(bits):
    """It would grow without end if a message were further from the values than nothing is."""
    values = np.random.default_rng(0).normal(size=3600).astype(np.float32) ** 3
    residual: dict[str, np.ndarray] = {}
    for _ in range(100):
        residual = send({"weight": values}, residual, Coding(0.1, bits)).residual
    assert np.linalg.norm(residual["weight"]) < 6 * np.linalg.norm(values)


def test_arguments_stay_as_they_are():
    update, later = updates(2)
    first = send(update, {}, Coding(0.1, small=50))
    kept = first.residual["weight"].copy(), later["weight"].copy()
    send(later, first.residual, Coding(0.1, small=50))
    np.testing.assert_array_equal(first.residual["weight"], kept[0])
    np.testing.assert_array_equal(later["weight"], kept[1])


@pytest.mark.parametrize(
    "residual", [{"weight": np.zeros((30, 20), np.float32)}, {"head": np.zeros(3, np.float32)}]
)
def test_a_residual_of_another_job_is_refused(residual):
    with pytest.raises(CodecError, match="delete residual_"):
        send(updates(1)[0], residual, Coding())


def test_a_residual_that_overflows_is_refused():
    huge = {"weight": np.full((20, 30), 3e38, np.float32)}
    with pytest.raises(CodecError, match="beyond float32"):
        send(huge, huge, Coding())
