"""Noise between executor and server: a policy that fails closed, and a job's own wish."""

import json
import math

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_constant import FilterKey, FLContextKey, ReturnCode
from nvflare.apis.shareable import make_reply
from nvflare.apis.signal import Signal

from fedvox.errors import BudgetSpent, ConfigError, DataError
from fedvox.flare.compress import ReceiveModel, SendUpdate, publish_replica
from fedvox.flare.executor import FedVoxExecutor
from fedvox.flare.noise import NoisyUpdate, begin_noise, ledger_of
from fedvox.flare.outgoing import OutgoingFilter
from fedvox.flare.received import ARRAYS, ReceivedModel
from fedvox.flare.run.messages import ATTACHED, FAILURE, META, TASK_SUBMIT, TASK_TRAIN
from fedvox.flare.run.places import load_job
from fedvox.privacy.accountant import Spend, spent
from fedvox.privacy.noise_settings import NoiseSettings

STRICT = {"clip": 0.01, "noise": 4.0, "delta": 1e-5, "epsilon": 8.0}
CLAIMS = {"round": 0, "loss": 0.7, "quality": 0.3, "cases": 2}


@pytest.fixture
def policed(site):
    """A site whose policy adds noise."""
    site.scope.add_task_result_filter(NoisyUpdate(**STRICT), FilterKey.OUT)
    return site


def asked(site, weights, train_task, name=TASK_TRAIN):
    """The context of a task that brought the weights."""
    fl_ctx = site.context(**{FLContextKey.TASK_NAME: name})
    ReceivedModel().process(train_task(weights), fl_ctx)
    return fl_ctx


def answer(weights, step=1.0, **meta):
    arrays = {name: array + np.float32(step) for name, array in weights.items()}
    return DXO(DataKind.WEIGHTS, data=arrays, meta={META: CLAIMS, **meta}).to_shareable()


def chained(result, fl_ctx):
    return NoisyUpdate(**STRICT).process(OutgoingFilter().process(result, fl_ctx), fl_ctx)


def test_what_leaves_is_clipped_and_noisy_and_says_what_it_cost(policed, weights, train_task):
    sent = from_shareable(chained(answer(weights), asked(policed, weights, train_task)))
    steps = np.concatenate([(sent.data[n] - weights[n]).ravel() for n in weights])
    assert abs(steps.std() / 0.04 - 1) < 0.1 and np.abs(steps).max() < 0.04 * 6
    claims = sent.meta[META]
    assert claims["epsilon"] == spent([Spend(4.0)], 1e-5) and claims["delta"] == 1e-5
    assert math.isnan(claims["loss"]) and claims["quality"] == 1.0 and claims["cases"] == 2
    OutgoingFilter().process(sent.to_shareable(), asked(policed, weights, train_task))


def test_two_answers_to_one_task_have_other_noise_and_both_count(
    policed, weights, train_task, monkeypatch
):
    monkeypatch.setattr("fedvox.flare.noise.is_simulator", lambda fl_ctx: False)
    fl_ctx = asked(policed, weights, train_task)
    sent = [from_shareable(chained(answer(weights), fl_ctx)) for _ in range(2)]
    assert all((sent[0].data[name] != sent[1].data[name]).any() for name in weights)
    assert sent[1].meta[META]["epsilon"] == spent([Spend(4.0), Spend(4.0)], 1e-5)


def test_the_job_can_only_tighten_and_so_can_the_site(policed, weights, train_task, tiny):
    wishes = {"privacy": {**STRICT, "noise": 9.0, "clip": 5.0}}
    content = {**tiny, **wishes, "evaluation": {**tiny["evaluation"], "site_models": False}}
    (policed.config / "training.json").write_text(json.dumps(content))
    sent = from_shareable(chained(answer(weights), asked(policed, weights, train_task)))
    steps = np.concatenate([(sent.data[n] - weights[n]).ravel() for n in weights])
    assert abs(steps.std() / 0.09 - 1) < 0.1
    assert sent.meta[META]["epsilon"] == spent([Spend(9.0)], 1e-5)


def test_beyond_the_budget_nothing_is_trained_and_nothing_leaves(policed, weights, train_task):
    fl_ctx = asked(policed, weights, train_task)
    for _ in range(9):  # 9 updates cost 7.6, 10 cost 8.2
        chained(answer(weights), fl_ctx)
    with pytest.raises(BudgetSpent, match="9 updates left"):
        chained(answer(weights), fl_ctx)
    with pytest.raises(BudgetSpent):
        begin_noise(fl_ctx, load_job(fl_ctx), 0, 2)
    executor = FedVoxExecutor()
    executor.handle_event("_start_run", policed.context())
    result = executor.execute(TASK_TRAIN, train_task(weights), fl_ctx, Signal())
    assert result.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    assert result.get_header(FAILURE).startswith("BudgetSpent")


def put(fl_ctx, name, value):
    assert fl_ctx.set_prop(name, value, private=True, sticky=False)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda result, fl_ctx: put(fl_ctx, FLContextKey.TASK_NAME, TASK_SUBMIT), ConfigError),
        (lambda result, fl_ctx: put(fl_ctx, ARRAYS, None), ConfigError),
        (lambda result, fl_ctx: result["DXO"]["meta"].update({ATTACHED: {}}), ConfigError),
        (lambda result, fl_ctx: result["DXO"].update(kind=DataKind.WEIGHT_DIFF), ConfigError),
        (lambda result, fl_ctx: result["DXO"]["data"].popitem(), ConfigError),
        (lambda result, fl_ctx: next(iter(result["DXO"]["data"].values())).fill(np.nan), DataError),
    ],
)
def test_what_noise_cannot_protect_stays_and_costs_nothing(
    policed, weights, train_task, spoil, error
):
    fl_ctx, result = asked(policed, weights, train_task), answer(weights)
    spoil(result, fl_ctx)
    with pytest.raises(error):
        NoisyUpdate(**STRICT).process(result, fl_ctx)
    ledger = ledger_of(fl_ctx, load_job(fl_ctx)).path
    assert not ledger.exists() or ledger.read_text() == ""


def test_failures_and_reports_pass(policed):
    for code in (ReturnCode.EXECUTION_EXCEPTION, ReturnCode.TASK_ABORTED):
        failed = make_reply(code)
        assert NoisyUpdate().process(failed, policed.context()) is failed
    report = DXO(DataKind.METRICS, data={"x": 1}).to_shareable()
    assert NoisyUpdate().process(report, policed.context()) is report


def test_a_policy_out_of_range_does_not_start():
    with pytest.raises(ConfigError, match=r"privacy\.json: 'noise' is 0"):
        NoisyUpdate(noise=0)


@pytest.fixture
def wishing(site, tiny):
    """A site whose job asks for noise and whose policy does not."""
    own = {**tiny, "privacy": STRICT, "evaluation": {**tiny["evaluation"], "site_models": False}}
    (site.config / "training.json").write_text(json.dumps(own))
    return site


def trained(site, weights, train_task):
    """What the executor hands to the filters for a task of training."""
    executor = FedVoxExecutor()
    executor.handle_event("_start_run", site.context())
    fl_ctx = asked(site, weights, train_task)
    return executor.execute(TASK_TRAIN, train_task(weights), fl_ctx, Signal()), fl_ctx


def test_a_job_s_own_noise_comes_from_the_executor(wishing, weights, train_task):
    result, fl_ctx = trained(wishing, weights, train_task)
    sent = from_shareable(OutgoingFilter().process(result, fl_ctx))
    steps = np.concatenate([(sent.data[n] - weights[n]).ravel() for n in weights])
    assert abs(steps.std() / 0.04 - 1) < 0.1
    assert sent.meta[META]["epsilon"] == spent([Spend(4.0)], 1e-5)
    assert not [data for _, data in wishing.engine.events if "train_loss" in str(data)]


def test_with_both_the_policy_s_noise_alone_is_added(wishing, weights, train_task):
    wishing.scope.add_task_result_filter(NoisyUpdate(**STRICT), FilterKey.OUT)
    result, fl_ctx = trained(wishing, weights, train_task)
    plain = from_shareable(result)
    assert math.isnan(plain.meta[META]["loss"]) and math.isnan(plain.meta[META]["epsilon"])
    sent = from_shareable(chained(result, fl_ctx))
    assert sent.meta[META]["epsilon"] == spent([Spend(4.0)], 1e-5)


@pytest.fixture
def stepwise(site, tiny):
    """A site whose job asks for noise in each training step."""
    told = {"unit": "case", "clip": 0.5, "noise": 2.0, "epsilon": 1e4}
    own = {**tiny, "privacy": told, "evaluation": {**tiny["evaluation"], "site_models": False}}
    (site.config / "training.json").write_text(json.dumps(own))
    return site


def test_noise_in_the_steps_passes_a_policy_that_finds_it_in_the_ledger(
    stepwise, weights, train_task
):
    policy = NoisyUpdate(unit="case", clip=1.0, noise=1.0, epsilon=1e5)
    stepwise.scope.add_task_result_filter(policy, FilterKey.OUT)
    result, fl_ctx = trained(stepwise, weights, train_task)
    plain = from_shareable(result)
    sent = from_shareable(policy.process(OutgoingFilter().process(result, fl_ctx), fl_ctx))
    assert all((sent.data[n] == plain.data[n]).all() for n in weights)
    claims, (line,) = sent.meta[META], ledger_lines(fl_ctx)
    assert claims["unit"] == "case" and math.isnan(claims["loss"])
    each = Spend(line["noise"], line["rate"], line["steps"])
    assert claims["epsilon"] == line["epsilon"] == spent([each], 1e-5)
    assert (each.noise, line["clip"]) == (2.0, 0.5)  # the job's, which are the stricter ones


def test_a_policy_with_noise_in_the_steps_holds_for_a_job_that_asks_for_none(
    site, weights, train_task
):
    policy = NoisyUpdate(unit="case", epsilon=1e5)
    site.scope.add_task_result_filter(policy, FilterKey.OUT)
    result, fl_ctx = trained(site, weights, train_task)
    sent = from_shareable(policy.process(OutgoingFilter().process(result, fl_ctx), fl_ctx))
    assert sent.meta[META]["unit"] == "case" and len(ledger_lines(fl_ctx)) == 1


def ledger_lines(fl_ctx):
    path = ledger_of(fl_ctx, load_job(fl_ctx)).path
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def spend_otherwise(fl_ctx, index=0, clip=0.5, noise=2.0, rate=0.5, job=None):
    """A line of the ledger that is not that of the update."""
    job = str(fl_ctx.get_job_id()) if job is None else job
    settings = NoiseSettings("case", clip=clip, noise=noise, epsilon=1e9)
    ledger_of(fl_ctx, load_job(fl_ctx)).spend(settings, job, index, Spend(noise, rate, 3))


@pytest.mark.parametrize(
    "before",
    [
        lambda fl_ctx: None,
        lambda fl_ctx: spend_otherwise(fl_ctx, index=1),
        lambda fl_ctx: spend_otherwise(fl_ctx, job="another"),
        lambda fl_ctx: spend_otherwise(fl_ctx, clip=1.5),
        lambda fl_ctx: spend_otherwise(fl_ctx, noise=0.5),
        lambda fl_ctx: spend_otherwise(fl_ctx, rate=None),
    ],
    ids=["no line", "another round", "another job", "a larger clip", "less noise", "no steps"],
)
def test_an_update_whose_steps_had_no_noise_stays(site, weights, train_task, before):
    policy = NoisyUpdate(unit="case", clip=1.0, noise=1.0, epsilon=1e9)
    site.scope.add_task_result_filter(policy, FilterKey.OUT)
    fl_ctx = asked(site, weights, train_task)
    before(fl_ctx)
    with pytest.raises(ConfigError, match="knows of no noise in the steps"):
        policy.process(OutgoingFilter().process(answer(weights), fl_ctx), fl_ctx)


def test_a_policy_for_the_whole_site_holds_against_a_job_that_hides_cases(
    stepwise, weights, train_task
):
    stepwise.scope.add_task_result_filter(NoisyUpdate(**STRICT), FilterKey.OUT)
    result, fl_ctx = trained(stepwise, weights, train_task)
    assert ledger_lines(fl_ctx) == []  # the steps had no noise, and cost nothing
    sent = from_shareable(chained(result, fl_ctx))
    assert sent.meta[META]["epsilon"] == spent([Spend(4.0)], 1e-5)
    assert sent.meta[META]["unit"] == "site"


def test_a_run_whose_steps_do_not_fit_into_the_budget_ends_at_the_site_s_start(stepwise, tiny):
    told = {"unit": "case", "clip": 0.5, "noise": 2.0, "epsilon": 0.5}
    own = {**tiny, "privacy": told, "evaluation": {**tiny["evaluation"], "site_models": False}}
    (stepwise.config / "training.json").write_text(json.dumps(own))
    said = FedVoxExecutor()._start(stepwise.context())
    assert "raise 'privacy.noise' to" in said.error


def test_a_job_cannot_weaken_a_policy_by_asking_for_the_other_kind(wishing, weights, train_task):
    policy = NoisyUpdate(unit="case", noise=1.0, epsilon=1e9)
    wishing.scope.add_task_result_filter(policy, FilterKey.OUT)
    said = FedVoxExecutor()._start(wishing.context())
    assert "this site's policy asks for noise in each training step" in said.error
    fl_ctx = asked(wishing, weights, train_task)
    with pytest.raises(ConfigError, match="noise in each training step"):
        policy.process(OutgoingFilter().process(answer(weights), fl_ctx), fl_ctx)


def test_a_round_is_in_the_ledger_before_its_first_step(stepwise, weights, train_task, monkeypatch):
    fl_ctx, found = asked(stepwise, weights, train_task), []

    def killed(*_):
        found.extend(ledger_lines(fl_ctx))
        raise MemoryError

    monkeypatch.setattr("fedvox.flare.executor.local_update", killed)
    trained(stepwise, weights, train_task)
    assert [line["round"] for line in found] == [0]
    assert ledger_lines(fl_ctx) == found  # what was trained may have left a trace


def test_noise_comes_again_for_phantoms_alone(wishing, weights, train_task, monkeypatch):
    monkeypatch.setattr("fedvox.flare.noise.is_simulator", lambda fl_ctx: True)
    secret = [trained(wishing, weights, train_task)[0] for _ in range(2)]
    monkeypatch.setattr("fedvox.flare.noise.has_site_file", lambda fl_ctx: False)
    repeated = [trained(wishing, weights, train_task)[0] for _ in range(2)]
    name = next(iter(weights))
    first, second = (from_shareable(own).data[name] for own in secret)
    assert (first != second).any()
    first, second = (from_shareable(own).data[name] for own in repeated)
    assert (first == second).all()


def test_a_compressed_update_starts_from_the_replica_and_holds_the_noise(
    policed, weights, train_task, tiny
):
    (policed.config / "training.json").write_text(
        json.dumps({**tiny, "compression": {"small": 8, "up": {"keep": 1.0, "bits": 32}}})
    )
    fl_ctx = asked(policed, weights, train_task)
    publish_replica(fl_ctx, load_job(fl_ctx))
    ReceiveModel().process(train_task(weights), fl_ctx)
    noisy = chained(answer(weights), fl_ctx)
    steps = [from_shareable(noisy).data[n] - weights[n] for n in weights]
    assert abs(np.concatenate([s.ravel() for s in steps]).std() / 0.04 - 1) < 0.1
    packed = from_shareable(SendUpdate().process(noisy, fl_ctx))
    assert packed.data_kind == DataKind.APP_DEFINED
    assert packed.meta[META]["epsilon"] == spent([Spend(4.0)], 1e-5)
