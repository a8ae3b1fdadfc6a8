"""A site's own model in the evaluation: the rest comes from the server."""

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind, from_shareable

from fedvox.admission.registration import Registration
from fedvox.flare.run.incoming import read_site_model
from fedvox.networks.parts import Parts
from fedvox.privacy.forms import FormError

LAST = {"shared": np.zeros(2, np.float32), "tailored.ct": np.full(2, 5, np.float32)}


def owned(name, modalities):
    return name == "shared" or "ct" in modalities


@pytest.fixture
def run(server, record):
    """A run in which site-1 holds MRI and so lacks the encoder of CT."""
    run = server.run()
    run.__dict__["parts"] = Parts(owned, set().__contains__)
    run.admitted = {"site-1": Registration("1", "x", modalities=("mr",))}
    run.state.finish_round(LAST, LAST, record(0))
    return run


def sent(**arrays):
    return DXO(DataKind.WEIGHTS, data=arrays).to_shareable()


def test_what_the_site_does_not_own_is_that_of_the_last_global_model(run):
    own = np.ones(2, np.float32)
    model = from_shareable(read_site_model(sent(shared=own), "site-1", run)).data
    assert list(model) == list(LAST)
    np.testing.assert_array_equal(model["shared"], own)
    np.testing.assert_array_equal(model["tailored.ct"], LAST["tailored.ct"])


def test_a_tensor_that_the_site_does_not_own_is_refused(run):
    own = {name: array + 1 for name, array in LAST.items()}
    with pytest.raises(FormError, match="0 tensors missing, 1 unknown"):
        read_site_model(sent(**own), "site-1", run)
