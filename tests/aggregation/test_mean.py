import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedvox.aggregation import AGGREGATORS
from fedvox.aggregation.mean import weighted_mean
from fedvox.errors import ConfigError

FINITE = st.floats(-1e6, 1e6, width=32)
WEIGHT = st.integers(1, 1000).map(float)
TENSOR = arrays(np.float32, 4, elements=FINITE)
CONTRIBUTIONS = st.lists(st.tuples(TENSOR, WEIGHT), min_size=1, max_size=6)


def mean_of(contributions: dict[str, np.ndarray], weights: dict[str, float]) -> np.ndarray:
    first = next(iter(contributions.values()))
    model = {"w": np.zeros_like(first)}
    return weighted_mean(model, lambda site, name: contributions[site], lambda name: weights)["w"]


def named(contributions) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    sites = [f"site-{number}" for number in range(len(contributions))]
    tensors = {site: tensor for site, (tensor, _) in zip(sites, contributions)}
    return tensors, {site: weight for site, (_, weight) in zip(sites, contributions)}


@given(CONTRIBUTIONS, st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_change_a_bit(contributions, random):
    tensors, weights = named(contributions)
    arrival = list(weights)
    random.shuffle(arrival)
    shuffled = mean_of(tensors, {site: weights[site] for site in arrival})
    assert shuffled.tobytes() == mean_of(tensors, weights).tobytes()


@given(TENSOR, st.lists(WEIGHT, min_size=1, max_size=6))
def test_equal_contributions_give_themselves(tensor, weights):
    tensors, named_weights = named([(tensor, weight) for weight in weights])
    np.testing.assert_array_equal(mean_of(tensors, named_weights), tensor)


@given(st.lists(WEIGHT, min_size=1, max_size=6))
def test_weights_sum_to_one(weights):
    ones = [(np.ones(1, np.float64), weight) for weight in weights]
    # a sum of n rounded shares of 1 is off by at most n ulp
    np.testing.assert_allclose(mean_of(*named(ones)), 1.0, rtol=0, atol=6 * 2.3e-16)


@given(CONTRIBUTIONS)
def test_mean_lies_between_minimum_and_maximum(contributions):
    tensors, weights = named(contributions)
    stack = np.stack(list(tensors.values()))
    mean = mean_of(tensors, weights)
    assert (mean >= stack.min(0)).all()
    assert (mean <= stack.max(0)).all()


def test_weights_are_shares_of_their_sum():
    tensors = {"a": np.float32([0.0, 8.0]), "b": np.float32([4.0, 0.0])}
    np.testing.assert_array_equal(mean_of(tensors, {"a": 1.0, "b": 3.0}), [3.0, 2.0])


def test_float64_sum_keeps_what_a_float32_sum_loses():
    small, sites = 2.0**-25, 1025
    tensors = {f"s{i:04d}": np.float32([small]) for i in range(1, sites)}
    tensors["s0000"] = np.float32([1.0])
    naive = np.float32(0)
    for site in sorted(tensors):
        naive += tensors[site][0]
    mean = mean_of(tensors, dict.fromkeys(tensors, 1.0))[0]
    exact = (1.0 + (sites - 1) * small) / sites
    assert naive / sites == pytest.approx(1.0 / sites, rel=1e-7)
    assert mean == np.float32(exact)
    assert mean > np.float32(1.0 / sites)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_result_has_the_type_and_shape_of_the_model(dtype):
    tensors = {"a": np.ones((2, 3), dtype), "b": np.zeros((2, 3), dtype)}
    mean = mean_of(tensors, {"a": 1.0, "b": 1.0})
    assert mean.dtype == dtype
    np.testing.assert_array_equal(mean, np.full((2, 3), 0.5))


def test_scalar_tensor_stays_a_scalar():
    assert mean_of({"a": np.asarray(2.0, np.float32)}, {"a": 3.0}).shape == ()


def test_unknown_aggregator_is_an_error_that_lists_the_known_ones():
    with pytest.raises(
        ConfigError,
        match=r"unknown aggregator 'meen'; did you mean 'mean'\? choose one of: mean, median",
    ):
        AGGREGATORS["meen"]
