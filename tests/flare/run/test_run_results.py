"""The model that a run leaves: without encoders that nobody trained."""

import numpy as np

from fedvox.flare.run.run_results import write_unevaluated
from fedvox.inference.model_files.model_file import read_model
from fedvox.inference.predict import loaded
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of


def test_a_modality_that_sites_only_test_leaves_no_encoder(party, tiny, record):
    """MRI is; what was drawn for it would only disturb whoever predicts with the model."""
    channels = {"channels": ["ct", "mr"], "missing_channels": True}
    mixed = {"name": "mixmodal", "channels": [4, 8]}
    run = party("server", job={**tiny, "network": mixed, "data": tiny["data"] | channels}).run()
    run.modalities = ["ct"]
    weights = weights_of(initial_model(run.job))
    run.state.finish_round(weights, weights, record(0, {"ct": 0.5}))
    write_unevaluated(run)
    trained = read_model(run.results / "model.safetensors")
    assert (
        set(weights) - set(trained.weights) == {n for n in weights if "tailored.mr" in n} != set()
    )
    assert all(np.array_equal(array, weights[n]) for n, array in trained.weights.items())
    assert list(loaded(trained)[0].tailored) == ["ct"]
