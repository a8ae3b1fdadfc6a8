import json
import math
from pathlib import Path

import numpy as np
import pytest
from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.event_type import EventType
from nvflare.apis.shareable import ReturnCode, Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.model import ModelLearnableKey
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType
from nvflare.app_common.shareablegenerators.full_model_shareable_generator import (
    FullModelShareableGenerator,
)

from fedvox.aggregation.registration import Registration
from fedvox.flare.aggregator import FedVoxAggregator
from fedvox.flare.handshake import Handshake
from fedvox.flare.locator import SafetensorsLocator
from fedvox.flare.persistor import SafetensorsPersistor
from fedvox.flare.workflows import FedVoxCrossSiteEval, FedVoxScatterAndGather, WriteResults
from fedvox.metrics.table import MetricRow, SharedSummary, read_csv, to_dict
from fedvox.training.model_file import read_model
from fedvox.training.weights import weights_hash


def row(model: str, site: str, dice: float = 0.5, case: str = "c0ffee00") -> dict[str, object]:
    return to_dict(
        MetricRow(model, site, "test", "ct", case, "liver", dice, 4.0, 0.75, gt_voxels=100)
    )


def shared(model: str, site: str) -> dict[str, object]:
    interval = (0.5, 0.25, 0.75)
    return to_dict(SharedSummary(model, site, "test", "ct", "liver", 9, *interval, 4.0, 0.75))


def report(rows=(), summaries=(), validation=None) -> Shareable:
    data = {"rows": list(rows), "shared": list(summaries), "validation": validation or {}}
    return DXO(DataKind.METRICS, data=data).to_shareable()


@pytest.fixture
def deliver(server):
    """A function that hands a site's validation result to the results workflow."""

    def hand(workflow: WriteResults, site: str, owner: str, result: Shareable) -> None:
        props = {
            AppConstants.VALIDATION_RESULT: result,
            AppConstants.DATA_CLIENT: site,
            AppConstants.MODEL_OWNER: owner,
        }
        workflow.handle_event(AppEventType.VALIDATION_RESULT_RECEIVED, server.context(**props))

    return hand


@pytest.fixture
def trained(server, weights, record):
    """A server whose run has two rounds behind it; version 1 was validated with Dice 0.5."""
    state = server.run().state
    models = [{n: a + value for n, a in weights.items()} for value in (0, 1, 2)]
    state.finish_round(models[0], models[1], record(0, {"ct": 0.1}))
    state.finish_round(models[1], models[2], record(1, {"ct": 0.5}))
    return server, models


def test_rows_and_summaries_of_all_sites_are_gathered(deliver):
    results = WriteResults()
    deliver(results, "a", "SRV_global_last", report([row("global_last", "a")]))
    deliver(results, "b", "SRV_global_last", report([], [shared("global_last", "b")]))
    deliver(results, "a", "b", report([row("b", "a")]))
    assert [(r.model, r.site) for r in results.rows] == [("global_last", "a"), ("b", "a")]
    assert [(r.model, r.site) for r in results.shared] == [("global_last", "b")]


@pytest.mark.parametrize(
    "result",
    [
        report([row("global_last", "victim")]),
        report([row("global_best", "a")]),
        report([row("global_last", "a"), row("global_last", "victim")]),
        report([], [shared("global_last", "victim")]),
    ],
    ids=["other site", "other model", "one of two", "summary"],
)
def test_rows_under_another_name_are_refused_as_a_whole(deliver, caplog, result):
    results = WriteResults()
    deliver(results, "a", "SRV_global_last", result)
    assert (results.rows, results.shared) == ([], [])
    assert "refused: a: its report on global_last holds a row whose " in caplog.text


BROKEN = {
    "no dxo": Shareable(),
    "empty": DXO(DataKind.METRICS, data={"x": 1}).to_shareable(),
    "row of text": report(["x"]),
    "missing column": report([{"model": "global_last", "site": "a"}]),
    "odd dice": report([row("global_last", "a") | {"dice": "high"}]),
    "odd validation": report([row("global_last", "a")], validation={"ct": []}),
    "endless cases": report([row("global_last", "a")], validation={"ct": [0.5, math.inf]}),
    "validation list": DXO(
        DataKind.METRICS,
        data={"rows": [row("global_last", "a")], "shared": [], "validation": [1]},
    ).to_shareable(),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_unreadable_result_is_logged_and_nothing_of_it_is_kept(deliver, caplog, name):
    results = WriteResults()
    deliver(results, "a", "SRV_global_last", BROKEN[name])
    assert (results.rows, results.shared, results.last_validation) == ([], [], {})
    assert "refused: a: its report on global_last " in caplog.text


def test_failed_validation_is_not_a_result(deliver, caplog):
    results = WriteResults()
    deliver(results, "a", "SRV_global_last", make_reply(ReturnCode.EXECUTION_EXCEPTION))
    assert results.rows == []
    assert "refused" not in caplog.text


def test_only_the_last_global_model_s_validation_is_kept(deliver):
    results = WriteResults()
    for owner in ("SRV_global_last", "SRV_global_best", "a"):
        name = owner.removeprefix("SRV_")
        scores = {"ct": [0.25 if name == "global_last" else 0.75, 2]}
        deliver(results, "a", owner, report([row(name, "a")], validation=scores))
    assert results.last_validation == {"a": {"ct": (0.25, 2)}}


def test_claimed_dice_above_one_does_not_choose_the_last_model(deliver, trained):
    server, models = trained
    results = WriteResults()
    scores = {"ct": [1e9, 1]}
    deliver(results, "a", "SRV_global_last", report([row("global_last", "a")], validation=scores))
    results.control_flow(Signal(), server.context())
    model = read_model(server.run().results / "model.safetensors")
    assert weights_hash(model.weights) == weights_hash(models[1])


def test_run_that_ends_forgets_its_results(deliver, server):
    results = WriteResults()
    deliver(results, "a", "SRV_global_last", report([row("global_last", "a")]))
    results.handle_event(EventType.END_RUN, server.context())
    assert (results.rows, results.shared, results.last_validation) == ([], [], {})


def written_models(folder: Path) -> dict[str, float]:
    return {r.model: r.dice for r in read_csv(folder / "metrics.csv", MetricRow)}


def both_models(deliver, results: WriteResults, last_dice: float) -> None:
    scores = {"ct": [last_dice, 1]}
    last = report([row("global_last", "a", 0.25)], validation=scores)
    deliver(results, "a", "SRV_global_last", last)
    deliver(results, "a", "SRV_global_best", report([row("global_best", "a", 0.75)]))


def test_earlier_model_stays_best_when_the_last_is_worse(trained, deliver, capsys):
    server, models = trained
    results = WriteResults()
    both_models(deliver, results, last_dice=0.4)
    results.control_flow(Signal(), server.context())
    folder = server.run().results
    assert written_models(folder) == {"global_best": 0.75, "global_last": 0.25}
    model = read_model(folder / "model.safetensors")
    assert weights_hash(model.weights) == weights_hash(models[1])
    assert model.description["round"] == 1
    assert "global_best" in capsys.readouterr().out


@pytest.mark.parametrize("last_dice", [0.5, 0.9], ids=["tie", "better"])
def test_last_model_is_named_best_when_it_is_at_least_as_good(trained, deliver, last_dice):
    server, models = trained
    results = WriteResults()
    both_models(deliver, results, last_dice)
    results.control_flow(Signal(), server.context())
    folder = server.run().results
    assert written_models(folder) == {"global_best": 0.25, "global_last": 0.25}
    model = read_model(folder / "model.safetensors")
    assert weights_hash(model.weights) == weights_hash(models[2])
    assert model.description["round"] == 2


def test_run_leaves_its_files_and_the_last_validation_in_them(trained, deliver):
    server, _ = trained
    server.run().modalities = ["ct", "mr"]
    server.run().phantom = True
    results = WriteResults()
    both_models(deliver, results, last_dice=0.4)
    results.control_flow(Signal(), server.context())
    folder = server.run().results
    names = {path.name for path in folder.iterdir()}
    expected = {"metrics.csv", "summary.csv", "rounds.jsonl", "progress.png", "report.html"}
    assert names == expected | {"model.safetensors", "model.json"}
    rounds = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    assert [(entry["round"], entry["validation"]) for entry in rounds] == [
        (0, {"ct": 0.1}),
        (1, {"ct": 0.5}),
        (2, {"ct": 0.4}),
    ]
    description = json.loads((folder / "model.json").read_text())
    assert (description["modalities"], description["phantom"]) == (["ct", "mr"], True)


def test_site_pictures_join_the_results_under_the_simulator_only(party, deliver, weights, record):
    for job_id, expected in (("simulate_job", ["overlay_x_a_1.png"]), ("real-job", [])):
        server = party(f"{job_id}/server", job_id=job_id)
        pictures = server.root.parent / "a" / "simulate_job" / "fedvox" / "site_report"
        pictures.mkdir(parents=True)
        (pictures / "overlay_x_a_1.png").write_bytes(b"png")
        server.run().state.finish_round(weights, weights, record(0))
        WriteResults().control_flow(Signal(), server.context())
        assert server.engine.panics == []
        assert [p.name for p in server.run().results.glob("overlay_*.png")] == expected


def test_results_without_any_finished_round_stop_the_run_with_a_reason(server):
    WriteResults().control_flow(Signal(), server.context())
    assert server.engine.panics == ["no round was finished, so there is no model to write"]


def test_late_result_is_logged_and_not_used(server, caplog):
    results = WriteResults()
    late = report([row("global_last", "a")])
    results.process_result_of_unknown_task(
        Client("a", "token"), "validate", "id", late, server.context()
    )
    assert results.rows == []
    assert "late result of validate from a is not used" in caplog.text


@pytest.fixture
def training(server):
    server.engine.components = {
        "aggregator": FedVoxAggregator(),
        "shareable_generator": FullModelShareableGenerator(),
        "persistor": SafetensorsPersistor(),
        "handshake": Handshake(timeout=0.0),
        "locator": SafetensorsLocator(),
    }
    workflow = FedVoxScatterAndGather(persistor_id="persistor", min_clients=1)
    workflow._engine = server.engine
    return workflow


def test_fresh_run_takes_its_rounds_from_the_job_and_starts_at_the_first(training, server, weights):
    training.start_controller(server.context())
    assert server.engine.panics == []
    assert (training._current_round, training._num_rounds) == (0, 2)
    assert weights_hash(training._global_weights[ModelLearnableKey.WEIGHTS]) == weights_hash(
        weights
    )


def test_resumed_run_starts_where_its_state_ends(training, trained):
    server, _ = trained
    training.start_controller(server.context())
    assert (training._current_round, training._num_rounds) == (2, 2)


def test_damaged_state_stops_the_run_with_a_reason(training, trained):
    server, _ = trained
    state = server.run().state
    state.model_path(state.version).write_bytes(b"")
    training.start_controller(server.context())
    (reason,) = server.engine.panics
    assert "is damaged; submit the job afresh" in reason


def test_refusal_in_the_handshake_stops_the_run_before_any_task(training, server, monkeypatch):
    sent = []
    monkeypatch.setattr(training, "broadcast_and_wait", lambda *a, **k: sent.append(a))
    training.start_controller(server.context())
    training.control_flow(Signal(), server.context())
    (reason,) = server.engine.panics
    assert reason.startswith("0 of 1 needed sites registered within 0 s")
    assert sent == []


def test_job_without_handshake_stops_the_run_with_a_reason(training, server):
    del server.engine.components["handshake"]
    training.start_controller(server.context())
    training.control_flow(Signal(), server.context())
    assert server.engine.panics == ["component 'handshake' is no Handshake"]


@pytest.mark.parametrize(("asked", "task"), [(True, "submit_model"), (False, "")])
def test_sites_own_models_are_collected_only_when_the_job_says_so(party, tiny, asked, task):
    tiny["evaluation"]["site_models"] = asked
    server = party("server", job=tiny)
    server.engine.components["locator"] = SafetensorsLocator()
    server.engine.clients = ["a"]
    workflow = FedVoxCrossSiteEval(model_locator_id="locator")
    workflow._engine = server.engine
    workflow.start_controller(server.context())
    assert workflow._submit_model_task_name == task
    assert server.engine.panics == []


@pytest.mark.parametrize("job_id", ["simulate_job", "real-job"])
def test_site_that_did_not_evaluate_is_named_and_fails_the_simulator(
    party, weights, record, caplog, job_id
):
    server = party(f"{job_id}/server", job_id=job_id)
    server.run().registered = {"a": 3, "b": 3}
    server.run().state.finish_round(weights, weights, record(0))
    results = WriteResults()
    results.last_validation["a"] = {"ct": (0.5, 1)}
    results.control_flow(Signal(), server.context())
    assert (server.run().results / "report.html").is_file()
    told = server.engine.panics if job_id == "simulate_job" else [caplog.records[-1].message]
    assert len(told) == 1 and "b did not evaluate global_last" in told[0]


def test_simulator_workspace_with_a_blank_in_its_path_is_refused(party, training):
    server = party("out of reach/server", job_id="simulate_job")
    training.start_controller(server.context())
    (reason,) = server.engine.panics
    assert "choose another with -w" in reason


def test_case_rows_with_an_impossible_dice_are_refused_as_a_whole(deliver, caplog):
    results = WriteResults()
    rows = [row("global_last", "a", 0.5), row("global_last", "a", 17.0, "c0ffee11")]
    deliver(results, "a", "SRV_global_last", report(rows))
    assert results.rows == []
    assert "holds a row whose 'dice' is not of its form" in caplog.text


def test_a_refused_report_stands_in_the_results_and_the_run_goes_on(trained, deliver, capsys):
    server, _ = trained
    server.run().registered = {"a": 3, "evil": 3}
    results = WriteResults()
    both_models(deliver, results, last_dice=0.4)
    deliver(results, "evil", "SRV_global_last", report([row("global_last", "a", 1.0)]))
    deliver(results, "evil", "SRV_global_best", report([row("global_best", "evil") | {"dice": 9}]))
    results.control_flow(Signal(), server.context())
    assert server.engine.panics == []
    lines = (server.run().results / "rounds.jsonl").read_text().splitlines()
    refused = json.loads(lines[-1])["refused"]
    assert refused == [
        {
            "site": "evil",
            "reason": "its report on global_last holds a row whose 'site' is not of its form",
        },
        {
            "site": "evil",
            "reason": "its report on global_best holds a row whose 'dice' is not of its form",
        },
    ]
    output = capsys.readouterr().out
    assert "refused: evil: its report on global_last holds a row whose 'site'" in output


def test_a_report_speaks_of_no_more_cases_than_the_site_registered(deliver, server):
    handshake = Handshake()
    handshake.registrations["a"] = Registration(
        "1", "x", cases=9, validation={"ct": 1}, test={"ct": 1}
    )
    server.engine.components["handshake"] = handshake
    results = WriteResults()
    two = [row("global_last", "a"), row("global_last", "a", case="c0ffee11")]
    deliver(results, "a", "SRV_global_last", report(two))
    deliver(results, "a", "SRV_global_last", report(validation={"ct": [0.5, 2]}))
    assert (results.rows, results.last_validation) == ([], {})
    scores = {"ct": [0.5, 1]}
    deliver(results, "a", "SRV_global_last", report(two[:1], validation=scores))
    assert len(results.rows) == 1 and results.last_validation == {"a": {"ct": (0.5, 1)}}


def test_a_second_report_of_a_site_on_a_model_is_refused(deliver, caplog):
    results = WriteResults()
    for _ in range(2):
        deliver(results, "a", "SRV_global_last", report([row("global_last", "a")]))
    assert len(results.rows) == 1
    assert "refused: a: its report on global_last came twice" in caplog.text


@pytest.fixture
def evaluation(trained):
    """The evaluation of a run, and the models that it would send to the sites."""
    server, models = trained
    workflow = FedVoxCrossSiteEval(model_locator_id="locator")
    workflow._engine = server.engine
    workflow.sent = []
    workflow._save_client_model = lambda name, dxo, fl_ctx: workflow.sent.append(name)
    return workflow, server, models


def answered(task: str, site: str, result: Shareable, **props: object) -> ClientTask:
    done = ClientTask(Client(site, "token"), Task(task, Shareable(), props))
    done.result = result
    return done


def weights_result(weights: object) -> Shareable:
    return DXO(DataKind.WEIGHTS, data=weights).to_shareable()


def test_a_site_s_own_model_is_evaluated_if_it_fits(evaluation, peer):
    workflow, server, models = evaluation
    fl_ctx = server.context(peer=peer("victim"))
    done = answered("submit_model", "a", weights_result(dict(models[0])))
    workflow._receive_local_model_cb(done, fl_ctx)
    assert workflow.sent == ["a"]
    assert server.run().refused == []
    done = answered("submit_model", "b", make_reply(ReturnCode.EMPTY_RESULT))
    workflow._receive_local_model_cb(done, fl_ctx)
    assert (workflow.sent, server.run().refused) == (["a"], [])


def test_a_model_that_is_another_reaches_neither_disk_nor_sites(evaluation):
    workflow, server, models = evaluation
    name, first = next(iter(models[0].items()))
    hostile = [
        DXO(DataKind.COLLECTION, data={"/../x": DXO(DataKind.WEIGHTS, data=dict(models[0]))}),
        DXO(DataKind.METRICS, data={"x": 1}),
        DXO(DataKind.WEIGHTS, data={**models[0], "extra": np.zeros(2**22, np.float32)}),
        DXO(DataKind.WEIGHTS, data={**models[0], name: np.full_like(first, np.nan)}),
        DXO(DataKind.WEIGHTS, data={**models[0], name: first.tolist()}),
    ]
    for dxo in hostile:
        done = answered("submit_model", "evil", dxo.to_shareable())
        workflow._receive_local_model_cb(done, server.context())
        assert done.result is None
    workflow._receive_local_model_cb(
        answered("submit_model", "evil", Shareable()), server.context()
    )
    assert workflow.sent == []
    assert {entry["site"] for entry in server.run().refused} == {"evil"}


def test_the_task_and_not_the_result_says_whose_model_was_evaluated(evaluation, peer):
    workflow, server, _ = evaluation
    heard = []
    workflow.fire_event = lambda event, fl_ctx: heard.append(
        (event, fl_ctx.get_prop(AppConstants.MODEL_OWNER))
    )
    result = report([row("global_last", "a")])
    result.add_cookie(AppConstants.MODEL_OWNER, "/../../global_best")
    fl_ctx = server.context(peer=peer("victim"))
    done = answered("validate", "a", result, **{AppConstants.MODEL_OWNER: "SRV_global_last"})
    workflow._receive_val_result_cb(done, fl_ctx)
    assert heard == [(AppEventType.VALIDATION_RESULT_RECEIVED, "SRV_global_last")]
    assert fl_ctx.get_prop(AppConstants.DATA_CLIENT) == "a"
    assert not list(server.run_dir.rglob("*global_best*"))


def test_a_result_without_a_task_is_not_used_in_the_evaluation(evaluation, caplog):
    workflow, server, models = evaluation
    for task in ("validate", "submit_model"):
        late = weights_result(dict(models[0]))
        workflow.process_result_of_unknown_task(
            Client("a", "token"), task, "id", late, server.context()
        )
    assert workflow.sent == []
    assert caplog.text.count("late result of a is not used") == 2


def test_an_update_counts_for_the_site_whose_token_came_with_it(training, server, peer, weights):
    training.start_controller(server.context())
    training._current_round, training._phase = 0, AppConstants.PHASE_TRAIN
    props = {AppConstants.CURRENT_ROUND: 0, AppConstants.GLOBAL_MODEL: training._global_weights}
    result = weights_result({"w": np.zeros(3)})
    result.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
    training._accept_train_result("evil", result, server.context(peer=peer("victim"), **props))
    record = training.aggregator.open_round(server.context(**props)).refused
    assert [entry["site"] for entry in record] == ["evil"]


def test_a_return_code_that_is_a_text_is_not_logged(training, server, caplog):
    training.start_controller(server.context())
    training._current_round = 0
    reply = make_reply("MUELLER" * 1000)
    training._accept_train_result("a", reply, server.context(), is_unknown_task=True)
    assert "MUELLER" not in caplog.text
    assert "EXECUTION_EXCEPTION" in caplog.text
