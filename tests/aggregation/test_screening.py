import numpy as np
import pytest

from fedvox.aggregation.screening import screen
from fedvox.errors import UpdateRefused


def honest(model) -> dict[str, np.ndarray]:
    return {name: array + 1 for name, array in model.items()}


def with_value(model, value) -> dict[str, np.ndarray]:
    arrays = honest(model)
    arrays["weight"][1, 2] = value
    return arrays


def test_honest_update_passes(model, update_of):
    screen(update_of("a", honest(model)), model, 0, (), 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_refused(model, update_of, value):
    with pytest.raises(UpdateRefused, match="not finite: 'weight' holds 1 NaN or infinite"):
        screen(update_of("a", with_value(model, value)), model, 0, (), 4)


@pytest.mark.parametrize("value", [3e38, -3e38, 1e30, 70_000.0])
def test_a_finite_value_that_no_model_can_be_used_with_is_refused(model, update_of, value):
    with pytest.raises(UpdateRefused, match="too large: 'weight' holds"):
        screen(update_of("a", with_value(model, value)), model, 0, (), 4)


def test_a_large_value_that_half_precision_holds_passes(model, update_of):
    screen(update_of("a", with_value(model, -65504.0)), model, 0, (), 4)


@pytest.mark.parametrize("shape", [(1, 3), (3,), (2, 1), (), (1, 2, 3)])
def test_shape_that_would_broadcast_is_refused(model, update_of, shape):
    arrays = honest(model) | {"weight": np.ones(shape, np.float32)}
    np.broadcast_shapes(shape, (2, 3))
    with pytest.raises(UpdateRefused, match=r"shape: 'weight' is .* not \(2, 3\)"):
        screen(update_of("a", arrays), model, 0, (), 4)


def test_missing_tensor_is_refused(model, update_of):
    with pytest.raises(UpdateRefused, match="schema: 1 tensors missing, 0 unknown"):
        screen(update_of("a", {"bias": honest(model)["bias"]}), model, 0, (), 4)


def test_extra_tensor_is_refused(model, update_of):
    arrays = honest(model) | {"backdoor": np.ones(1, np.float32)}
    with pytest.raises(UpdateRefused, match="schema: 0 tensors missing, 1 unknown"):
        screen(update_of("a", arrays), model, 0, (), 4)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, object])
def test_other_type_is_refused(model, update_of, dtype):
    arrays = honest(model) | {"bias": np.ones(3, dtype)}
    with pytest.raises(UpdateRefused, match=r"dtype: 'bias' is .*, not float32"):
        screen(update_of("a", arrays), model, 0, (), 4)


@pytest.mark.parametrize("claimed", [-1, 1, 3, 5])
def test_update_for_another_round_is_refused(model, update_of, claimed):
    with pytest.raises(UpdateRefused, match=f"stale: answers round {claimed}, open is 2"):
        screen(update_of("a", honest(model), round=claimed), model, 2, (), 4)


def test_second_update_of_a_site_is_refused(model, update_of):
    with pytest.raises(UpdateRefused, match="duplicate"):
        screen(update_of("a", honest(model)), model, 0, {"a"}, 4)


@pytest.mark.parametrize("claimed", [10**12, 5])
def test_more_cases_than_registered_are_refused(model, update_of, claimed):
    with pytest.raises(UpdateRefused, match=f"claims {claimed} training cases, registered 4"):
        screen(update_of("a", honest(model), cases=claimed), model, 0, (), 4)


def test_impossible_number_of_cases_is_refused_without_a_registration_too(model, update_of):
    with pytest.raises(UpdateRefused, match="claims 1000000000000 training cases"):
        screen(update_of("a", honest(model), cases=10**12), model, 0, (), None)


@pytest.mark.parametrize("claimed", [0, -3])
def test_update_without_cases_is_refused(model, update_of, claimed):
    with pytest.raises(UpdateRefused, match=f"claims {claimed} training cases"):
        screen(update_of("a", honest(model), cases=claimed), model, 0, (), 4)


@pytest.mark.parametrize("claimed", [0, 10**12])
def test_impossible_number_of_steps_is_refused(model, update_of, claimed):
    with pytest.raises(UpdateRefused, match=f"claims {claimed} steps"):
        screen(update_of("a", honest(model), steps=claimed), model, 0, (), 4)
