import numpy as np
import pytest

from fedvox.data.images.tissue import filled_values, measured_values

SHAPE = (20, 20, 20)


def noise(seed: int = 0, sd: float = 30.0) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).normal(40, sd, SHAPE))


@pytest.mark.parametrize("value", [-3024, -1, 0, 40, 3071])
def test_one_number_many_times_is_filling_and_the_rest_was_measured(value):
    data = noise()
    data[:4] = value
    assert filled_values(data).tolist() == [value]
    rest = noise()[4:]
    assert np.array_equal(measured_values(data), np.sort(rest[rest != value].ravel()))


def test_several_numbers_may_be_filled_in():
    data = noise()
    data[:3], data[3:5], data[-2:] = -3024, -1024, 3071
    assert filled_values(data).tolist() == [-3024, -1024, 3071]


@pytest.mark.parametrize("sd", [2, 5, 30, 1000])
def test_what_was_measured_is_no_filling_however_often_its_numbers_repeat(sd):
    data = noise(sd=sd)
    assert filled_values(data).size == 0
    assert np.array_equal(measured_values(data), np.sort(data.ravel()))


def test_a_drawing_is_measured_as_a_whole():
    drawing = np.zeros(SHAPE)
    drawing[5:9], drawing[12:] = 1, 2
    assert measured_values(drawing).size == drawing.size


def test_filling_far_below_a_few_numbers_is_told():
    data = np.random.default_rng(0).integers(0, 8, SHAPE).astype(float)
    data[:9] = -1024
    assert filled_values(data).tolist() == [-1024]
    assert measured_values(data).min() == 0


def test_a_scan_that_is_hardly_anything_but_filling_is_taken_as_it_is():
    data = np.full((60, 60, 60), -1000.0)
    data[0, :10] = np.arange(600).reshape(10, 60)
    assert measured_values(data).size == data.size
