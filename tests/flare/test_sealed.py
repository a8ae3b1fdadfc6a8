"""Encrypted models between executor and server: opened before training, sealed after the policy."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_constant import FilterKey, FLContextKey, ReturnCode
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.model import ModelLearnableKey, make_model_learnable
from nvflare.app_common.app_constant import AppConstants
from sealing import make_keys

from fedvox.encryption.cipher import is_sealed, seal, unseal
from fedvox.errors import ConfigError
from fedvox.flare import sealed
from fedvox.flare.aggregator import FedVoxAggregator
from fedvox.flare.compress import ReceiveModel, SendUpdate
from fedvox.flare.executor import FedVoxExecutor
from fedvox.flare.noise import NoisyUpdate
from fedvox.flare.outgoing import OutgoingFilter
from fedvox.flare.persistor import SafetensorsPersistor
from fedvox.flare.received import ReceivedModel
from fedvox.flare.run.messages import FAILURE, KEPT, META, REGISTRATION, TASK_SUBMIT, TASK_TRAIN
from fedvox.flare.sealed import SERVER_KEYS, SITE_KEYS, check_server, check_site, server_keys
from fedvox.job.settings import job_from

KEYS = make_keys()
CLAIMS = {"round": 0, "cases": 3, "steps": 1, "modality": "ct"}
FILTERS = {
    "task_data_filters": [
        {"tasks": ["train"], "filters": [{"path": "fedvox.flare.compress.ReceiveModel"}]}
    ],
    "task_result_filters": [
        {"tasks": ["train"], "filters": [{"path": "fedvox.flare.compress.SendUpdate"}]}
    ],
}


@pytest.fixture
def tiny(tiny):
    evaluation = {**tiny["evaluation"], "site_models": False}
    return tiny | {"encryption": {"scheme": "ckks"}, "evaluation": evaluation}


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    """What FLARE reads from the kits, which a run over mTLS shows to be there."""
    own = {SITE_KEYS: KEYS.site, SERVER_KEYS: KEYS.server}
    monkeypatch.setattr(sealed, "_keys", lambda name, fl_ctx: own[name])
    return own


@pytest.fixture
def with_filters(site):
    """A site whose copy of the job names the filters, as an exported job does."""
    (site.config / "config_fed_client.json").write_text(json.dumps(FILTERS))
    return site


def trained(weights, step=0.5):
    arrays = {name: array + np.float32(step) for name, array in weights.items()}
    return DXO(DataKind.WEIGHTS, data=arrays, meta={META: CLAIMS}).to_shareable()


def through(site, task, result):
    """A task and its result on their way through the policy's filters and the job's."""
    fl_ctx = site.context(**{FLContextKey.TASK_NAME: TASK_TRAIN})
    for entry in site.scope.task_data_filters[FilterKey.IN]:
        task = entry.process(task, fl_ctx)
    opened = from_shareable(ReceiveModel().process(task, fl_ctx)).data
    for entry in site.scope.task_result_filters[FilterKey.OUT]:
        result = entry.process(result, fl_ctx)
    return opened, from_shareable(SendUpdate().process(result, fl_ctx))


def mean_of(arrays):
    """Arrays as the server has them after a round of one site."""
    from fedvox.encryption.cipher import sealed_mean

    return sealed_mean(lambda site: seal(arrays, KEYS.site), {"a": 1.0}, KEYS.server)


@pytest.mark.parametrize("first", [True, False])
def test_a_site_opens_what_comes_and_seals_what_leaves(site, weights, train_task, first):
    """The first model, which follows from the job's seed, comes in the clear."""
    task = train_task(weights if first else mean_of(weights))
    opened, sent = through(site, task, trained(weights))
    assert all(np.allclose(opened[name], weights[name], atol=1e-5) for name in weights)
    assert is_sealed(sent.data) and sent.meta[META]["cases"] == 3
    inside = unseal(sent.data, weights, KEYS.site)
    assert all(np.allclose(inside[name], weights[name] + 0.5, atol=1e-5) for name in weights)


def test_a_policy_s_noise_is_under_the_encryption(site, weights, train_task):
    site.scope.add_task_result_filter(NoisyUpdate(clip=0.01, noise=4.0), FilterKey.OUT)
    _, sent = through(site, train_task(mean_of(weights)), trained(weights))
    inside = unseal(sent.data, weights, KEYS.site)
    steps = np.concatenate([(inside[name] - weights[name]).ravel() for name in weights])
    assert abs(steps.std() / 0.04 - 1) < 0.1
    assert sent.meta[META]["epsilon"] > 0


def test_what_the_policy_refuses_is_not_sealed_either(site, weights, train_task):
    result = trained(weights)
    result["DXO"]["data"].popitem()
    with pytest.raises(ConfigError):
        through(site, train_task(mean_of(weights)), result)


def test_a_site_s_own_model_does_not_leave_in_the_clear(with_filters, weights, train_task):
    executor = FedVoxExecutor()
    executor.handle_event("_start_run", with_filters.context())
    told = with_filters.context().get_all_public_props()[REGISTRATION]
    assert told["error"] == ""
    task = train_task(mean_of(weights))
    task.set_header(KEPT, [0])
    task = ReceiveModel().process(task, with_filters.context())
    done = executor.execute(TASK_TRAIN, task, with_filters.context(), Signal())
    assert done.get_return_code() in (None, ReturnCode.OK)
    answer = executor.execute(TASK_SUBMIT, Shareable(), with_filters.context(), Signal())
    assert answer.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    assert answer.get_header(FAILURE).startswith("ConfigError")


@pytest.mark.parametrize("place", FILTERS)
@pytest.mark.parametrize("change", [None, {"tasks": ["validate"]}, {"direction": "in"}])
def test_a_job_that_does_not_seal_gets_no_site(
    with_filters, tiny, place, change, weights, train_task
):
    """Not even one whose server asks all the same."""
    config = {**FILTERS, place: [] if change is None else [{**FILTERS[place][0], **change}]}
    (with_filters.config / "config_fed_client.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=f"'encryption' is set .* under {place}"):
        check_site(with_filters.context(), job_from(tiny))
    executor = FedVoxExecutor()
    executor.handle_event("_start_run", with_filters.context())
    task = train_task(weights)
    task.set_header(KEPT, [0])
    answer = executor.execute(TASK_TRAIN, task, with_filters.context(), Signal())
    assert answer.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    told = with_filters.context().get_all_public_props()[REGISTRATION]
    assert "'encryption' is set" in told["error"]


def test_a_network_that_flare_cannot_carry_is_refused_at_the_start(server, tiny, monkeypatch):
    check_server(server.context(), job_from(tiny))
    monkeypatch.setattr(sealed, "MOST_WEIGHTS", 100)
    with pytest.raises(ConfigError, match="FLARE carries 100 encrypted ones"):
        check_server(server.context(), job_from(tiny))


def test_a_server_with_the_secret_key_is_refused(server, keys):
    keys[SERVER_KEYS] = KEYS.site
    with pytest.raises(ConfigError, match="holds the secret key"):
        server_keys(server.context())


def test_kits_without_keys_and_a_machine_without_tenseal_are_told_the_remedy(site, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=f"no whole {SITE_KEYS}: let the project file name"):
        sealed.site_keys(site.context())
    monkeypatch.setitem(sys.modules, "nvflare.app_opt.he.homomorphic_encrypt", None)
    with pytest.raises(ConfigError, match="pip install tenseal"):
        sealed.site_keys(site.context())


def test_the_server_averages_keeps_and_resumes_without_reading(server, peer, weights, tiny):
    run, aggregator = server.run(), FedVoxAggregator()
    run.registered = {name: {"ct": 3} for name in ("site-1", "site-2")}
    run.validation = {name: {"ct": 1} for name in ("site-1", "site-2")}

    def context(site="site-1"):
        model = make_model_learnable(dict(weights), {})
        props = {AppConstants.CURRENT_ROUND: 0, AppConstants.GLOBAL_MODEL: model}
        return server.context(peer=peer(site), **props)

    for site, step in (("site-1", 1.0), ("site-2", 2.0)):
        hidden = seal(from_shareable(trained(weights, step)).data, KEYS.site)
        result = DXO(DataKind.WEIGHTS, data=hidden, meta={META: CLAIMS}).to_shareable()
        result.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
        assert aggregator.accept(result, context(site))
    plain = trained(weights)
    plain.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
    assert not aggregator.accept(plain, context("site-2"))
    following = from_shareable(aggregator.aggregate(context())).data
    opened = unseal(following, weights, KEYS.site)
    assert all(np.allclose(opened[name], weights[name] + 1.5, atol=1e-5) for name in weights)
    kept = SafetensorsPersistor().load_model(server.context())[ModelLearnableKey.WEIGHTS]
    assert is_sealed(kept)
    assert [p["update_norm"] for p in run.state.rounds()[0]["contributors"]] == [None, None]


def test_the_policy_notes_whose_model_came_though_it_cannot_read_it(
    site, weights, train_task, tiny
):
    task, fl_ctx = train_task(mean_of(weights)), site.context()
    task.set_header(AppConstants.MODEL_OWNER, "global_last")
    ReceivedModel().process(task, fl_ctx)
    job = job_from(tiny)
    assert sealed.opened(weights, job, fl_ctx).keys() == weights.keys()
    plain, hidden = dataclasses.replace(job, encryption=None), mean_of(weights)
    assert sealed.opened(hidden, plain, fl_ctx).keys() == hidden.keys()
    with pytest.raises(ConfigError):
        OutgoingFilter().process(
            DXO(DataKind.WEIGHTS, data={"x": np.zeros(1)}).to_shareable(), fl_ctx
        )
