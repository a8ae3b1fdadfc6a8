import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from fedvox.inference.largest_piece import keep_largest


def empty() -> np.ndarray:
    return np.zeros((10, 12, 8), np.uint8)


def test_the_largest_piece_of_each_organ_stays():
    labels = empty()
    labels[0:3, 0:3, 0:3], labels[6:8, 6:8, 6:8] = 1, 1
    labels[0, 8:12, 0], labels[9, 0, 7] = 2, 2
    expected = empty()
    expected[0:3, 0:3, 0:3], expected[0, 8:12, 0] = 1, 2
    assert np.array_equal(keep_largest(labels, 2), expected)


def test_pieces_that_touch_at_a_corner_are_one():
    labels = empty()
    labels[0:2, 0:2, 0:2], labels[2, 2, 2] = 1, 1
    assert np.array_equal(keep_largest(labels, 1), labels)


def test_another_organ_between_does_not_connect_pieces():
    labels = empty()
    labels[0:2, 0, 0], labels[2, 0, 0], labels[3, 0, 0] = 1, 2, 1
    result = keep_largest(labels, 2)
    assert result[:4, 0, 0].tolist() == [1, 1, 2, 0]


def test_input_stays_as_it_was_and_absent_organs_do_no_harm():
    labels = empty()
    labels[0, 0, 0], labels[5, 5, 5] = 3, 3
    before = labels.copy()
    result = keep_largest(labels, 4)
    assert np.array_equal(labels, before)
    assert (result.dtype, int(result.sum())) == (np.uint8, 3)
    assert not keep_largest(empty(), 4).any()


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.6))
def test_one_piece_is_left_and_it_is_a_largest_one(seed, share):
    rng = np.random.default_rng(seed)
    labels = (rng.random((6, 7, 5)) < share) * rng.integers(1, 4, (6, 7, 5))
    labels = labels.astype(np.uint8)
    result = keep_largest(labels, 3)
    assert ((result == labels) | (result == 0)).all()
    for value in (1, 2, 3):
        pieces, count = ndimage.label(labels == value, np.ones((3, 3, 3)))
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
        assert (result == value).sum() == (sizes.max() if count else 0)
        assert ndimage.label(result == value, np.ones((3, 3, 3)))[1] == min(count, 1)
