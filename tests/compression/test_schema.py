import numpy as np
import pytest

from fedvox.compression.schema import Schema
from fedvox.errors import CodecError

ARRAYS = {"b": np.zeros((), np.float64), "a": np.zeros((2, 0), np.float16)}


def test_tensors_stand_by_name_whatever_the_order():
    schema = Schema.of(ARRAYS)
    assert [(t.name, t.shape, t.dtype, t.entries) for t in schema.tensors] == [
        ("a", (2, 0), "float16", 0),
        ("b", (), "float64", 1),
    ]
    assert schema == Schema.of(dict(sorted(ARRAYS.items())))


@pytest.mark.parametrize(
    "other",
    [
        {**ARRAYS, "b": np.zeros(1)},
        {**ARRAYS, "b": np.zeros((), np.float32)},
        {"a": ARRAYS["a"], "c": ARRAYS["b"]},
        {"a": ARRAYS["a"]},
    ],
)
def test_digest_tells_names_shapes_and_types(other):
    assert len(Schema.of(ARRAYS).digest) == 16
    assert Schema.of(other).digest != Schema.of(ARRAYS).digest


@pytest.mark.parametrize("dtype", [np.int64, bool, np.complex64, np.uint8])
def test_only_floating_tensors_have_one(dtype):
    with pytest.raises(CodecError, match=r"tensor 'index' is of type .* send it beside"):
        Schema.of({"index": np.zeros(2, dtype)})


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": ARRAYS["a"]}, "'b' is missing"),
        ({**ARRAYS, "c": ARRAYS["a"]}, "'c' is in the values only"),
        ({**ARRAYS, "a": np.zeros((0, 2))}, r"'a' is \(0, 2\), not \(2, 0\)"),
    ],
)
def test_other_tensors_are_named(arrays, words):
    with pytest.raises(CodecError, match=words):
        Schema.of(ARRAYS).check(arrays)
    Schema.of(ARRAYS).check({name: array.astype(np.float32) for name, array in ARRAYS.items()})
