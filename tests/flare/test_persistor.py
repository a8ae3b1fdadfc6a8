import numpy as np
import pytest
from nvflare.app_common.abstract.model import ModelLearnableKey, make_model_learnable

from fedvox.aggregation.memory import Memory
from fedvox.errors import ConfigError, ModelError
from fedvox.flare.persistor import SafetensorsPersistor
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of
from fedvox.networks.parts import norm_tensors


def loaded(server) -> dict[str, np.ndarray]:
    return SafetensorsPersistor().load_model(server.context())[ModelLearnableKey.WEIGHTS]


def test_fresh_run_starts_from_the_initial_weights_of_the_job(server, weights):
    found = loaded(server)
    assert found.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


def test_resumed_run_starts_from_the_last_checkpoint(server, weights, record):
    trained = {name: array + 1 for name, array in weights.items()}
    server.run().state.finish_round(weights, trained, record(0))
    found = loaded(server)
    for name, array in trained.items():
        np.testing.assert_array_equal(found[name], array)


def test_checkpoint_of_another_architecture_is_refused(server, record):
    other = {"w": np.zeros(3, np.float32)}
    server.run().state.finish_round(other, other, record(0))
    with pytest.raises(ModelError, match="the weights belong to another network"):
        loaded(server)


def test_damaged_checkpoint_is_refused(server, weights, record):
    state = server.run().state
    state.finish_round(weights, weights, record(0))
    path = state.model_path(state.version)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="damaged; submit the job afresh"):
        loaded(server)


def test_damaged_memory_is_refused_before_anybody_trains(server, weights, record):
    state = server.run().state
    state.finish_round(weights, weights, record(0), Memory({"momentum.w": np.ones(2)}))
    state.memory_path(1).write_bytes(b"")
    with pytest.raises(ModelError, match="memory of round 1 is not the one it wrote"):
        loaded(server)


def test_saving_without_a_checkpoint_is_an_error_with_a_remedy(server, weights):
    with pytest.raises(ModelError, match="no checkpoint was written in this round; check the"):
        SafetensorsPersistor().save_model(make_model_learnable(weights, {}), server.context())


def test_saving_after_the_aggregator_wrote_the_round_leaves_it_alone(server, weights, record):
    state = server.run().state
    state.finish_round(weights, weights, record(0))
    path = state.model_path(state.version)
    before = path.stat().st_mtime_ns
    SafetensorsPersistor().save_model(make_model_learnable(weights, {}), server.context())
    assert path.stat().st_mtime_ns == before


def test_global_model_lacks_what_stays_at_the_sites_also_after_a_restart(party, tiny, record):
    tiny["network"]["norm"] = "batch"
    tiny["training"]["personal"] = ["norm"]
    server = party("server", job=tiny)
    model = initial_model(server.run().job)
    common = set(weights_of(model)) - norm_tensors(model)
    first = loaded(server)
    assert set(first) == common
    trained = {name: array + 1 for name, array in first.items()}
    server.run().state.finish_round(first, trained, record(0))
    found = loaded(server)
    assert set(found) == common
    assert all(np.array_equal(found[name], array) for name, array in trained.items())


def test_a_personal_setting_that_names_nothing_is_refused(party, tiny):
    tiny["training"]["personal"] = ["encoder.*"]
    with pytest.raises(ConfigError, match=r"names 'encoder\.\*', and no tensor of the network"):
        loaded(party("server", job=tiny))
