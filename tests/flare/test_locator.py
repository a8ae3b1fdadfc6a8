import numpy as np
import pytest
from nvflare.apis.dxo import DataKind

from fedvox.errors import ModelError
from fedvox.flare.locator import SafetensorsLocator


def model(value: float) -> dict[str, np.ndarray]:
    return {"w": np.full(3, value, np.float32)}


def test_last_model_only_where_none_was_validated(server, record):
    server.run().state.finish_round(model(0), model(1), record(0))
    locator = SafetensorsLocator()
    assert locator.get_model_names(server.context()) == ["global_last"]
    assert locator.locate_model("global_best", server.context()) is None


def test_last_and_best_model_are_found_by_name(server, record):
    state = server.run().state
    for index, score in enumerate([0.1, 0.9, 0.2]):
        state.finish_round(model(index), model(index + 1), record(index, {"ct": score}))
    locator, fl_ctx = SafetensorsLocator(), server.context()
    assert locator.get_model_names(fl_ctx) == ["global_last", "global_best"]
    found = {name: locator.locate_model(name, fl_ctx) for name in locator.get_model_names(fl_ctx)}
    assert {dxo.data_kind for dxo in found.values()} == {DataKind.WEIGHTS}
    np.testing.assert_array_equal(found["global_last"].data["w"], model(3)["w"])
    np.testing.assert_array_equal(found["global_best"].data["w"], model(1)["w"])


@pytest.mark.parametrize("name", ["", "site-1", "../last"])
def test_unknown_name_finds_no_model(server, record, name):
    server.run().state.finish_round(model(0), model(1), record(0))
    assert SafetensorsLocator().locate_model(name, server.context()) is None


def test_no_model_before_the_first_round_ends(server):
    assert SafetensorsLocator().locate_model("global_last", server.context()) is None


def test_damaged_model_is_not_sent_to_sites(server, record):
    state = server.run().state
    state.finish_round(model(0), model(1), record(0))
    path = state.model_path(state.version)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="damaged"):
        SafetensorsLocator().locate_model("global_last", server.context())
