"""What is sent of an update, before any byte is made of it."""

import numpy as np
import pytest
from compressible import CODINGS, TENSORS, property_test
from hypothesis import given

from fedvox.compression.compress import compress
from fedvox.compression.schema import Schema
from fedvox.compression.selection import kept_count
from fedvox.compression.settings import SECTION, Coding
from fedvox.errors import CodecError

EXACT = Coding(keep=0.3, bits=32, small=0)


@property_test
@given(TENSORS, CODINGS)
def test_each_tensor_keeps_form_and_type_and_signs(arrays, coding):
    dense = compress(arrays, coding).dense()
    assert Schema.of(dense) == Schema.of(arrays)
    for name, array in arrays.items():
        assert np.isfinite(dense[name]).all()
        sent = dense[name] != 0
        np.testing.assert_array_equal(np.sign(dense[name][sent]), np.sign(array[sent]))
        if array.size < coding.small:
            np.testing.assert_array_equal(dense[name], array)


@property_test
@given(TENSORS)
def test_exact_values_are_the_tensors_own(arrays):
    dense = compress(arrays, EXACT).dense()
    for name, array in arrays.items():
        chosen = dense[name] != 0
        np.testing.assert_array_equal(dense[name][chosen], array[chosen])


@property_test
@given(TENSORS)
def test_the_share_is_of_all_large_tensors_together(arrays):
    sent = compress(arrays, EXACT)
    entries = sum(array.size for array in arrays.values())
    other_than_zero = sum(np.count_nonzero(array.astype(np.float32)) for array in arrays.values())
    count = sum(len(part.positions) for part in sent.parts)
    assert count == min(kept_count(0.3, entries), other_than_zero)


def test_the_largest_entries_may_all_lie_in_one_tensor():
    arrays = {"a": np.ones(90, np.float32), "b": np.full(10, -2, np.float32)}
    dense = compress(arrays, Coding(keep=0.1, small=0)).dense()
    assert not dense["a"].any()
    np.testing.assert_array_equal(dense["b"], arrays["b"])


def test_runs_give_the_same_share_each():
    values = np.arange(1, 1001, dtype=np.float32)
    dense = compress({"a": values}, Coding(0.1, 32, chunk=100, small=0)).dense()["a"]
    assert np.count_nonzero(dense.reshape(10, 100), axis=1).tolist() == [10] * 10


def test_sections_and_tensors_need_not_end_together():
    generator = np.random.default_rng(0)
    sizes = (SECTION - 5, 7, 2 * SECTION + 3, 11)
    arrays = {f"t{size}": generator.normal(size=size).astype(np.float32) for size in sizes}
    sent = compress(arrays, Coding(0.01, 32, small=0))
    assert len(sent.parts) == 4
    row = np.concatenate([arrays[name] for name in sorted(arrays)])
    edge = np.sort(np.abs(row))[-kept_count(0.01, len(row))]
    for name, dense in sent.dense().items():
        expected = np.where(np.abs(arrays[name]) >= edge, arrays[name], 0)
        np.testing.assert_array_equal(dense, expected)


@pytest.mark.parametrize("coding", [Coding(0.1, 3, 4096), Coding(0.1, 3)])
def test_the_number_of_threads_changes_nothing(coding):
    arrays = {"a": np.random.default_rng(0).normal(size=3 * SECTION // 2).astype(np.float32)}
    alone, together = (compress(arrays, coding, threads=n).dense()["a"] for n in (1, 3))
    np.testing.assert_array_equal(alone, together)


def test_a_view_with_strides_is_compressed_as_its_values():
    values = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    turned = compress({"a": values.T}, EXACT).dense()["a"]
    np.testing.assert_array_equal(turned, compress({"a": values.T.copy()}, EXACT).dense()["a"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("coding", [Coding(), Coding(small=0), Coding(chunk=64, small=0)])
def test_what_is_not_finite_is_refused_by_the_tensors_name(value, coding):
    arrays = {"a": np.ones(100, np.float32), "b": np.ones(100)}
    arrays["b"][3] = value
    with pytest.raises(CodecError, match="tensor 'b' holds NaN"):
        compress(arrays, coding)


def test_a_value_beyond_the_schemas_half_becomes_its_largest():
    arrays = {"a": np.array([7e4, -1e9, 1], np.float32)}
    schema = Schema.of({"a": np.zeros(3, np.float16)})
    for small in (0, 10):
        dense = compress(arrays, Coding(1.0, 32, small=small), schema).dense()["a"]
        assert dense.tolist() == [65504, -65504, 1]
