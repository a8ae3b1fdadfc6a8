"""What leaves is compared with what came, in FLARE's own client runner."""

import logging

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import Shareable
from nvflare.private.fed.client.client_engine_executor_spec import TaskAssignment
from nvflare.private.fed.client.client_runner import ClientRunner, ClientRunnerConfig, TaskRouter

from fedvox.errors import ConfigError
from fedvox.flare.received import RECEIVED, ReceivedModel, received_model
from fedvox.flare.run.places import load_job
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of
from fedvox.privacy.outgoing import signature_of

MODEL = {"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.float32)}
OTHER = {"c": np.zeros(5, np.float32)}


def carrying(data):
    return DXO(DataKind.WEIGHTS, data=data).to_shareable()


class Answers(Executor):
    """Answers every task with given weights."""

    def __init__(self, data):
        super().__init__()
        self.data = data

    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        return carrying(self.data)


@pytest.fixture
def run(party, monkeypatch):
    """A function that runs tasks, one after the other, in FLARE's client runner at one site."""
    site = party("site-1")
    monkeypatch.setattr(
        type(site.engine), "register_aux_message_handler", lambda *a, **k: None, raising=False
    )

    def process(answer, *tasks):
        router = TaskRouter()
        router.add_executor(["train", "validate", "submit_model"], Answers(answer))
        config = ClientRunnerConfig(router, {}, {})
        runner = ClientRunner({}, config, site.context().get_job_id(), site.engine)
        replies = []
        for number, (name, data) in enumerate(tasks):
            fl_ctx = site.context(peer=site.context())
            reply = runner._process_task(TaskAssignment(name, str(number), data), fl_ctx)
            replies.append(reply)
        return replies

    return process


def sent_by(reply):
    assert reply.get_return_code() == ReturnCode.OK
    return from_shareable(reply).data


TRAINED = {name: array + 1 for name, array in MODEL.items()}


def test_a_trained_model_leaves_in_answer_to_the_model_that_came(run):
    (reply,) = run(TRAINED, ("train", carrying(MODEL)))
    assert sent_by(reply).keys() == MODEL.keys()


@pytest.mark.parametrize(
    "answer",
    [
        {**TRAINED, "scan": np.zeros((64, 64), np.float32)},
        {"a": TRAINED["a"]},
        {**TRAINED, "b": np.zeros(400, np.float32)},
        {**TRAINED, "b": np.zeros(4, np.float64)},
        OTHER,
    ],
)
@pytest.mark.parametrize("task", ["train", "validate"])
def test_any_other_tensor_fails_the_task_in_one_line_and_nothing_leaves(run, caplog, answer, task):
    (reply,) = run(answer, (task, carrying(MODEL)))
    assert reply.get_return_code() == ReturnCode.TASK_RESULT_FILTER_ERROR
    with pytest.raises(ValueError, match="not a valid DXO"):
        from_shareable(reply)
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert "outgoing weights are not those of the received model" in lines[0]
    assert "\n" not in lines[0]


def test_a_task_that_is_sent_again_is_judged_alike(run):
    replies = run(TRAINED, *[("train", carrying(MODEL))] * 3)
    assert [reply.get_return_code() for reply in replies] == [ReturnCode.OK] * 3
    replies = run(OTHER, *[("train", carrying(MODEL))] * 3)
    assert {reply.get_return_code() for reply in replies} == {ReturnCode.TASK_RESULT_FILTER_ERROR}


def test_a_submitted_model_is_compared_with_the_last_one_received(run):
    train, submit = ("train", carrying(MODEL)), ("submit_model", Shareable())
    assert sent_by(run(TRAINED, train, submit)[1]).keys() == MODEL.keys()
    assert run(OTHER, train, submit)[1].get_return_code() == ReturnCode.TASK_RESULT_FILTER_ERROR


def test_after_a_restart_a_submitted_model_is_compared_with_the_job_s_network(run, weights):
    submit = ("submit_model", Shareable())
    assert sent_by(run(weights, submit)[0]).keys() == weights.keys()
    (reply,) = run(OTHER, submit)
    assert reply.get_return_code() == ReturnCode.TASK_RESULT_FILTER_ERROR


def test_a_job_without_a_model_and_without_settings_lets_no_weights_leave(party):
    with pytest.raises(ConfigError, match=r"no app/config/training\.json"):
        received_model(party("site-1", job=None).context())


def test_the_network_is_made_once_for_all_tasks_without_weights(party, monkeypatch):
    fl_ctx, made = party("site-1").context(), []
    monkeypatch.setattr("fedvox.flare.received.initial_model", lambda job: made.append(1) or model)
    model = initial_model(load_job(fl_ctx))
    assert received_model(fl_ctx) == received_model(fl_ctx) == signature_of(weights_of(model))
    assert made == [1]


def test_the_task_passes_unchanged(party):
    task = carrying(MODEL)
    assert ReceivedModel().process(task, party("site-1").context()) is task
    assert from_shareable(task).data is MODEL


def test_a_task_without_a_model_keeps_the_last_note(party):
    site = party("site-1")
    ReceivedModel().process(carrying(MODEL), site.context())
    for task in (Shareable(), DXO(DataKind.METRICS, data={"x": 1}).to_shareable()):
        ReceivedModel().process(task, site.context())
    assert received_model(site.context()) == signature_of(MODEL)


def test_the_note_stays_at_the_site(party):
    site = party("site-1")
    ReceivedModel().process(carrying(MODEL), site.context())
    assert RECEIVED not in site.context().get_all_public_props()


def test_a_job_that_takes_the_note_s_place_is_refused(party):
    site = party("site-1")
    site.context().set_prop(RECEIVED, {}, private=False, sticky=True)
    with pytest.raises(ConfigError, match="belongs to fedvox"):
        ReceivedModel().process(carrying(MODEL), site.context())


def test_after_a_restart_a_submitted_model_lacks_what_stays_at_the_site(party, tiny, weights):
    tiny["training"]["personal"] = ["model.2.*"]
    site = party("site-1", job=tiny)
    kept = {name for name in weights if name.startswith("model.2.")}
    assert kept
    assert set(received_model(site.context())) == set(weights) - kept
