"""The server's filter on what goes down, and what a site of a FedBN job sends and keeps."""

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_constant import FLContextKey, ReservedKey, ReturnCode
from nvflare.apis.shareable import Shareable
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.decomposers import common_decomposers

from fedvox.admission.registration import Registration
from fedvox.flare.downlink import OwnPart
from fedvox.flare.run.messages import KEPT, VERSION
from fedvox.job.settings import job_from
from fedvox.networks.parts import Parts

MODEL = {
    "shared.weight": np.zeros(3, np.float32),
    "tailored.ct.weight": np.ones(2, np.float32),
    "tailored.mr.weight": np.ones(2, np.float32),
}


common_decomposers.register()


def owned(tensor, modalities):
    return not tensor.startswith("tailored.") or tensor.split(".")[1] in modalities


def broadcast(weights=MODEL, owner: str = "") -> Shareable:
    task = DXO(DataKind.WEIGHTS, data=weights).to_shareable()
    task.set_header(AppConstants.CURRENT_ROUND, 4)
    task.set_cookie_jar({"contribution_round": 4})
    if owner:
        task.set_header(AppConstants.MODEL_OWNER, owner)
    return task


@pytest.fixture
def tailored(server):
    """A run in which site-1 holds CT, site-2 CT and MRI."""
    run = server.run()
    run.__dict__["parts"] = Parts(owned, lambda name: False)
    held = {"site-1": ("ct",), "site-2": ("ct", "mr")}
    run.admitted = {s: Registration("1", "x", modalities=names) for s, names in held.items()}
    server.engine.clients = list(held)
    return server


def sent_to(server, peer, site: str, task: Shareable, **public) -> Shareable:
    return OwnPart().process(task, server.context(peer=peer(site, **public)))


def test_a_site_gets_what_it_owns_as_it_registered(tailored, peer):
    task = broadcast()
    first = from_shareable(sent_to(tailored, peer, "site-1", task))
    assert set(first.data) == {"shared.weight", "tailored.ct.weight"}
    assert set(from_shareable(sent_to(tailored, peer, "site-2", task)).data) == set(MODEL)


def test_what_nobody_trains_is_not_scored(tailored, peer, tiny):
    """MRI is a modality of which site-2 has test cases only."""
    run = tailored.run()
    mixed = {"name": "mixmodal", "channels": [4, 8]}
    data = {"channels": ["ct", "mr"], "missing_channels": True}
    run.job = job_from({**tiny, "network": mixed, "data": {**tiny["data"], **data}})
    run.modalities = ["ct"]
    for task, more in (("train", {"tailored.mr.weight"}), ("validate", set())):
        fl_ctx = tailored.context(peer=peer("site-2"), **{FLContextKey.TASK_NAME: task})
        sent = from_shareable(OwnPart().process(broadcast(), fl_ctx))
        assert set(sent.data) == {"shared.weight", "tailored.ct.weight"} | more


def test_what_is_shared_between_sites_is_not_changed(tailored, peer, serialised):
    task = broadcast()
    before = serialised(task)
    cut = sent_to(tailored, peer, "site-1", task)
    assert cut is not task
    cut.set_header("mine", 1)
    assert serialised(task) == before
    assert set(from_shareable(task).data) == set(MODEL)
    again = sent_to(tailored, peer, "site-1", task)
    assert set(from_shareable(again).data) == set(from_shareable(cut).data)


def test_the_rest_of_the_task_goes_down_too(tailored, peer):
    cut = sent_to(tailored, peer, "site-1", broadcast())
    assert cut.get_header(AppConstants.CURRENT_ROUND) == 4
    assert cut.get_cookie("contribution_round") == 4
    assert from_shareable(cut).data["shared.weight"] is MODEL["shared.weight"]
    assert cut.get_header(VERSION) is None


def test_the_serialised_task_does_not_name_what_the_site_must_not_get(tailored, peer, serialised):
    content = serialised(sent_to(tailored, peer, "site-1", broadcast()))
    assert b"tailored.ct.weight" in content
    assert b"tailored.mr" not in content


@pytest.mark.parametrize("who", ["in its name", "a stranger"])
def test_somebody_else_gets_only_what_everybody_has(tailored, peer, who):
    site, token = ("site-2", "stolen") if who == "in its name" else ("site-9", "token-site-9")
    cut = sent_to(tailored, peer, site, broadcast(), fedvox_token=token)
    assert set(from_shareable(cut).data) == {"shared.weight"}


@pytest.mark.parametrize(
    "odd", [np.array(["site-2", "x"]), ["site-2"], {}, pytest.param(10**5000, id="endless"), None]
)
@pytest.mark.parametrize("field", [ReservedKey.IDENTITY_NAME, "fedvox_token"])
def test_a_name_or_a_token_that_is_no_text_is_nobody_s_and_stops_no_round(
    tailored, peer, field, odd
):
    told = peer("site-2")
    told.props[field]["value"] = odd
    cut = OwnPart().process(broadcast(), tailored.context(peer=told))
    assert set(from_shareable(cut).data) == {"shared.weight"}


def test_a_task_without_a_model_and_one_with_nothing_to_cut_pass_as_they_are(tailored, peer):
    for task in (Shareable(), DXO(DataKind.METRICS, data={"x": 1}).to_shareable()):
        assert sent_to(tailored, peer, "site-1", task) is task
    whole = broadcast()
    assert sent_to(tailored, peer, "site-2", whole) is whole


@pytest.fixture
def fedbn(tiny):
    tiny["network"]["norm"] = "batch"
    tiny["training"]["personal"] = ["norm"]
    return tiny


@pytest.mark.parametrize(
    ("owner", "version"), [("", 2), ("SRV_global_last", 2), ("SRV_global_best", 1), ("site-1", 2)]
)
def test_task_says_which_version_of_the_model_it_brings(party, fedbn, peer, record, owner, version):
    server = party("server", job=fedbn)
    state = server.run().state
    state.finish_round(MODEL, MODEL, record(0, {"ct": 0.1}))
    state.finish_round(MODEL, MODEL, record(1, {"ct": 0.5}))
    task = sent_to(server, peer, "site-1", broadcast(owner=owner))
    assert task.get_header(VERSION) == version
    assert task.get_header(KEPT) == [1, 2]


def test_failed_task_is_no_model(tailored, peer):
    task = Shareable()
    task.set_return_code(ReturnCode.EXECUTION_EXCEPTION)
    assert sent_to(tailored, peer, "site-1", task) is task
