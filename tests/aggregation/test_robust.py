"""Aggregators that a few sites cannot move far."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedvox.aggregation.aggregator_settings import EachOnceSettings, TrimmedMeanSettings
from fedvox.aggregation.robust import coordinate_median, trimmed_mean
from fedvox.errors import ConfigError
from fedvox.job.settings import job_from

MODEL = {"w": np.zeros((2, 3), np.float32)}
VALUES = arrays(np.float32, (2, 3), elements=st.floats(-100, 100, width=32))


def aggregated(aggregate, sent, *settings):
    return aggregate(
        MODEL, lambda site, name: sent[site], lambda name: dict.fromkeys(sent, 1.0), *settings
    )["w"]


def named(values):
    return {f"s{number}": own for number, own in enumerate(values)}


@given(st.lists(VALUES, min_size=1, max_size=7))
def test_the_median_is_that_of_each_weight(values):
    found = aggregated(coordinate_median, named(values))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.median(np.float64(values), 0).astype(np.float32))


@given(st.lists(VALUES, min_size=1, max_size=7))
def test_nothing_trimmed_is_the_mean(values):
    found = aggregated(trimmed_mean, named(values), TrimmedMeanSettings(trim=0.0))
    np.testing.assert_allclose(found, np.float64(values).mean(0), rtol=1e-6, atol=1e-6)


@given(st.lists(VALUES, min_size=2, max_size=6), st.sampled_from([-65000.0, 65000.0]))
def test_one_site_moves_nothing_beyond_the_others(values, odd):
    sent = named(values) | {"z": np.full((2, 3), odd, np.float32)}
    low, high = np.min(values, 0), np.max(values, 0)
    for found in (
        aggregated(coordinate_median, sent),
        aggregated(trimmed_mean, sent, TrimmedMeanSettings()),
    ):
        assert (found >= low - 1e-5).all() and (found <= high + 1e-5).all()


def test_the_order_of_arrival_does_not_matter():
    sent = named(np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32))
    for aggregate, settings in ((coordinate_median, ()), (trimmed_mean, (TrimmedMeanSettings(),))):
        there = aggregated(aggregate, sent, *settings)
        back = aggregated(aggregate, dict(reversed(sent.items())), *settings)
        assert there.tobytes() == back.tobytes()


def test_a_job_names_its_aggregator_and_counts_each_site_once():
    plain = {"name": "j", "data": {"organs": ["liver"]}}
    training = {"client_weight": "uniform", "aggregator": "trimmed_mean"}
    job = job_from({**plain, "training": training})
    assert job.training.aggregator == TrimmedMeanSettings()
    training["aggregator"] = "median"
    assert job_from({**plain, "training": training}).training.aggregator == EachOnceSettings()
    training["client_weight"] = "cases"
    with pytest.raises(ConfigError, match="is median, which counts each site once"):
        job_from({**plain, "training": training})
