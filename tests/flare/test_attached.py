"""An attachment's way: executor, the site's filter, the wire, aggregator, the server's memory."""

import json

import numpy as np
import pytest
from nvflare.apis.dxo import from_shareable
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.model import make_model_learnable
from nvflare.app_common.app_constant import AppConstants
from nvflare.fuel.utils import fobs
from nvflare.private.fed.utils.fed_utils import fobs_initialize
from toy_attachment import mean_attachment

from fedvox.aggregation.attachment import ATTACHMENTS
from fedvox.aggregation.update import Update
from fedvox.errors import ConfigError
from fedvox.flare import executor as executor_file
from fedvox.flare.aggregator import FedVoxAggregator
from fedvox.flare.executor import FedVoxExecutor
from fedvox.flare.outgoing import OutgoingFilter
from fedvox.flare.received import ReceivedModel
from fedvox.flare.run.messages import ATTACHED


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setattr(ATTACHMENTS, "_entries", {"toy": mean_attachment()})


@pytest.fixture
def trained(site, weights, train_task, monkeypatch):
    """What the executor answers when training attaches a mean over some cases."""

    def make(listed: list[str], cases: int, name: str = "toy") -> Shareable:
        path = site.root / "local/fedvox_site.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"attachments": listed}))
        beside = {name: {"mean": np.array([0.25, 0.75], np.float32), "cases": np.array(cases)}}

        def stub(*args: object, **kwargs: object) -> Update:
            claims = {"cases": 3, "steps": 1, "modality": "ct"}
            return Update(site="site-1", round=0, arrays=weights, attached=beside, **claims)

        monkeypatch.setattr(executor_file, "local_update", stub)
        executor = FedVoxExecutor()
        executor._start(site.context())
        task = ReceivedModel().process(train_task(weights), site.context())
        return executor.execute("train", task, site.context(), Signal())

    return make


def test_a_listed_attachment_reaches_the_server_s_memory(site, server, peer, weights, trained):
    passed = OutgoingFilter(min_cases=5).process(trained(["toy"], cases=5), site.context())
    fobs_initialize()
    arrived = fobs.loads(fobs.dumps(passed))
    arrived.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
    server.run().registered = {"site-1": {"ct": 3}}
    model = make_model_learnable(dict(weights), {})
    props = {AppConstants.CURRENT_ROUND: 0, AppConstants.GLOBAL_MODEL: model}
    fl_ctx = server.context(peer=peer("site-1"), **props)
    aggregator = FedVoxAggregator()
    assert aggregator.accept(arrived, fl_ctx)
    aggregator.aggregate(fl_ctx)
    memory = server.run().state.load_memory()
    np.testing.assert_array_equal(memory.arrays["toy.mean"], [0.25, 0.75])
    assert memory.numbers == {"toy_sites": ["site-1"]}


@pytest.mark.parametrize(
    ("listed", "cases", "name", "reason"),
    [
        ([], 5, "toy", "which 'attachments' of the site file does not list"),
        (["toy"], 4, "toy", "over fewer cases than 5"),
        (["toy"], 5, "Mueller", "an unknown attachment"),
    ],
)
def test_anything_else_keeps_the_whole_result_at_the_site(
    site, trained, listed, cases, name, reason
):
    result = trained(listed, cases, name)
    assert ATTACHED in from_shareable(result).meta
    with pytest.raises(ConfigError, match=f"{reason}; nothing was sent") as caught:
        OutgoingFilter(min_cases=5).process(result, site.context())
    assert "Mueller" not in str(caught.value)


def test_a_site_s_file_lists_nothing_unless_its_staff_wrote_so(site, trained):
    result = trained([], cases=5)
    path = site.root / "local/fedvox_site.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({key: own for key, own in content.items() if key != "attachments"}))
    with pytest.raises(ConfigError, match="does not list; nothing was sent"):
        OutgoingFilter().process(result, site.context())


def test_an_update_without_any_says_nothing_of_it(site, trained):
    result = trained(["toy"], cases=5)
    dxo = from_shareable(result)
    dxo.meta.pop(ATTACHED)
    passed = OutgoingFilter().process(dxo.to_shareable(), site.context())
    assert ATTACHED not in from_shareable(passed).meta
