import copy
import dataclasses
import errno
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from metric_values import means, scores
from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContextManager
from nvflare.apis.shareable import ReturnCode, Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.model import ModelLearnableKey
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType
from nvflare.app_common.shareablegenerators.full_model_shareable_generator import (
    FullModelShareableGenerator,
)
from nvflare.app_common.workflows.scatter_and_gather import ScatterAndGather

import fedvox
from fedvox.admission.registration import Registration
from fedvox.data.organs import label_map_hash
from fedvox.files import atomic_path
from fedvox.flare.aggregator import FedVoxAggregator
from fedvox.flare.handshake import Handshake
from fedvox.flare.locator import SafetensorsLocator
from fedvox.flare.persistor import SafetensorsPersistor
from fedvox.flare.run.messages import FAILURE, META
from fedvox.flare.workflows import FedVoxCrossSiteEval, FedVoxScatterAndGather, WriteResults
from fedvox.inference.model_files.model_file import read_model
from fedvox.job.waiting_settings import WaitingSettings
from fedvox.metrics.table import MetricRow, SharedSummary, read_csv, to_dict
from fedvox.report.figures.learning_curves import draw_progress
from fedvox.tensors import weights_hash

JOB_ID = "11111111-aaaa-bbbb-cccc-222222222222"


def row(model: str, site: str, dice: float = 0.5, case: str = "c0ffee00") -> dict[str, object]:
    return to_dict(
        MetricRow(model, site, "test", "ct", case, "liver", scores(dice, 4.0, 0.75), 100)
    )


def shared(model: str, site: str) -> dict[str, object]:
    interval = (0.5, 0.25, 0.75)
    return to_dict(
        SharedSummary(model, site, "test", "ct", "liver", 9, *interval, means(4.0, 0.75))
    )


def report(rows=(), summaries=(), validation=None) -> Shareable:
    data = {"rows": list(rows), "shared": list(summaries), "validation": validation or {}}
    return DXO(DataKind.METRICS, data=data).to_shareable()


@pytest.fixture(autouse=True, scope="module")
def one_picture():
    """The curves are drawn once and then copied: a third of the time, and nobody looks at them."""
    drawn = []

    def draw(rounds, path, *more):
        if not drawn:
            draw_progress(rounds, path, *more)
            drawn.append(path.read_bytes())
        with atomic_path(path) as temporary:
            temporary.write_bytes(drawn[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedvox.report.results.draw_progress", draw)
        yield


def components() -> dict[str, object]:
    """What a job's configuration gives the server."""
    return {
        "aggregator": FedVoxAggregator(),
        "shareable_generator": FullModelShareableGenerator(),
        "persistor": SafetensorsPersistor(),
        "handshake": Handshake(),
        "locator": SafetensorsLocator(),
    }


@pytest.fixture
def deliver(server):
    """A function that hands a site's validation result to the results workflow."""

    def hand(workflow: WriteResults, site: str, owner: str, result: Shareable) -> None:
        props = {
            AppConstants.VALIDATION_RESULT: result,
            AppConstants.DATA_CLIENT: site,
            AppConstants.MODEL_OWNER: owner,
        }
        run = server.run()
        run.registered = {site: {"ct": 3}, **run.registered}
        run.validation = {site: {"ct": 1}, **run.validation}
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


def odd_headers() -> Shareable:
    result = report([row("global_last", "a")])
    result["__headers__"] = b""
    return result


BROKEN = {
    "no dxo": Shareable(),
    "odd headers": odd_headers(),
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


def test_failed_validation_is_not_a_result_and_stands_in_the_records(deliver, trained, caplog):
    server, _ = trained
    results = WriteResults()
    reply = make_reply(ReturnCode.EXECUTION_EXCEPTION)
    reply.set_header(FAILURE, "MemoryError")
    deliver(results, "a", "SRV_global_last", reply)
    assert results.rows == []
    assert "refused" not in caplog.text
    results.control_flow(Signal(), server.context())
    record = final_record(server)
    assert record["missing"] == ["a"]
    assert record["notes"] == [
        "a did not evaluate global_last: its task failed (EXECUTION_EXCEPTION, MemoryError); see "
        "the first ERROR in the site's log"
    ]


def test_only_the_last_global_model_s_validation_is_kept(deliver):
    results = WriteResults()
    for owner in ("SRV_global_last", "SRV_global_best", "a"):
        name = owner.removeprefix("SRV_")
        scores = {"ct": [0.25 if name == "global_last" else 0.75, 2]}
        deliver(results, "a", owner, report([row(name, "a")], validation=scores))
    assert results.last_validation == {"a": {"ct": (0.25, 2)}}


def test_result_of_a_site_that_did_not_register_is_not_used(server, caplog):
    results = WriteResults()
    props = {
        AppConstants.VALIDATION_RESULT: report([row("global_last", "evil")]),
        AppConstants.DATA_CLIENT: "evil",
        AppConstants.MODEL_OWNER: "SRV_global_last",
    }
    results.handle_event(AppEventType.VALIDATION_RESULT_RECEIVED, server.context(**props))
    assert results.rows == []
    assert "result of evil is not used: it is not registered" in caplog.text


@pytest.mark.parametrize(
    ("scores", "refused"),
    [
        ({"ct": [1.0, 10**6]}, True),
        ({"pet": [1.0, 1]}, True),
        ({"ct": [7.0, 1]}, True),
        ({"ct": [1.0, 0]}, False),
    ],
)
def test_claims_beyond_the_registration_do_not_choose_the_last_model(
    deliver, trained, scores, refused
):
    server, _ = trained
    results = WriteResults()
    deliver(results, "a", "SRV_global_last", report([row("global_last", "a")], validation=scores))
    results.control_flow(Signal(), server.context())
    assert description_of(server)["round"] == 1
    record = final_record(server)
    assert [entry["site"] for entry in record["refused"]] == ["a"] * refused
    assert refused or "it has no say in the choice" in record["notes"][0]


def test_a_site_that_gained_a_case_has_its_say_on_the_last_model(deliver, trained):
    server, _ = trained
    server.run().admitted = {"a": Registration("1", "x", validation={"ct": 2})}
    results = WriteResults()
    scores = {"ct": [0.75, 2]}
    deliver(results, "a", "SRV_global_last", report([row("global_last", "a")], validation=scores))
    results.control_flow(Signal(), server.context())
    assert final_record(server)["scores"] == {"a": {"ct": [0.75, 1]}}


def description_of(server) -> dict:
    return json.loads((server.run().results / "model.json").read_text())


def final_record(server) -> dict:
    return json.loads((server.run().results / "rounds.jsonl").read_text().splitlines()[-1])


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
    assert names == expected | {"model.safetensors", "model.json", "run.json"}
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
    assert "late result of a is not used" in caplog.text


@pytest.fixture
def training(server):
    server.engine.components = components()
    workflow = FedVoxScatterAndGather(persistor_id="persistor")
    workflow._engine = server.engine
    return workflow


def test_fresh_run_takes_its_rounds_from_the_job_and_starts_at_the_first(training, server, weights):
    runner = SimpleNamespace(ABORT_RETURN_CODES=[ReturnCode.TASK_UNKNOWN])
    training.start_controller(server.context(**{FLContextKey.RUNNER: runner}))
    assert server.engine.panics == runner.ABORT_RETURN_CODES == []
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
    server.run().registered = {"a": {"ct": 3}}
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
    server.run().registered = {"a": {"ct": 3}, "b": {"ct": 3}}
    server.run().state.finish_round(weights, weights, record(0))
    results = WriteResults()
    results.last_validation["a"] = {"ct": (0.5, 1)}
    results.control_flow(Signal(), server.context())
    assert (server.run().results / "report.html").is_file()
    told = server.engine.panics if job_id == "simulate_job" else [caplog.records[-1].message]
    assert len(told) == 1 and "b did not evaluate global_last" in told[0]


def test_a_site_that_only_tests_stands_in_the_tables_and_not_among_those_that_trained(
    trained, deliver
):
    server, _ = trained
    server.run().external, server.run().cases = frozenset({"outside"}), {"outside": (0, 1)}
    results = WriteResults()
    for site in ("a", "outside"):
        rows = [row(model, site) for model in ("global_best", "global_last")]
        for model, own in zip(("SRV_global_best", "SRV_global_last"), rows):
            deliver(results, site, model, report([own]))
        server.run().registered.pop("outside", None)
    results.control_flow(Signal(), server.context())
    assert server.engine.panics == []
    folder = server.run().results
    found = {(entry.model, entry.site) for entry in read_csv(folder / "metrics.csv", MetricRow)}
    assert found == {(m, s) for m in ("global_best", "global_last") for s in ("a", "outside")}
    final = final_record(server)
    assert (final["registered"], final["external"], final["missing"]) == (["a"], ["outside"], [])
    sites = {
        entry["site"]: entry for entry in json.loads((folder / "run.json").read_text())["sites"]
    }
    assert (sites["outside"]["external"], sites["outside"]["train"]) == (True, 0)
    assert not sites["a"]["external"]
    page = (folder / "report.html").read_text()
    assert "outside (external)" in page and "1 of them external (only tests)" in page
    assert "a (external)" not in page


def test_an_external_site_that_did_not_evaluate_is_named(trained, caplog):
    server, _ = trained
    server.run().registered, server.run().external = {"a": {"ct": 3}}, frozenset({"outside"})
    results = WriteResults()
    results.last_validation["a"] = {"ct": (0.5, 1)}
    results.control_flow(Signal(), server.context())
    assert "outside did not evaluate global_last" in caplog.records[-1].message


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


def test_site_that_is_not_registered_or_not_connected_is_not_asked_to_evaluate(server):
    server.engine.components["locator"] = SafetensorsLocator()
    server.engine.clients = ["a", "unfit"]
    server.run().registered = {"a": {"ct": 3}, "gone": {"ct": 3}}
    workflow = FedVoxCrossSiteEval(model_locator_id="locator")
    workflow._engine = server.engine
    workflow.start_controller(server.context())
    assert workflow._participating_clients == ["a"]


@pytest.mark.parametrize(("fixed", "expected"), [(0, 5400), (77, 77)])
def test_evaluation_waits_as_long_as_the_rounds_suggest_unless_the_job_says_so(
    server, weights, record, fixed, expected
):
    run = server.run()
    measured = record(0) | {"contributors": [{"site": "a", "answer_seconds": 200.0}]}
    run.state.finish_round(weights, weights, measured)
    server.engine.components["locator"] = SafetensorsLocator()
    server.engine.clients = ["a"]
    run.registered, run.cases = {"a": {"ct": 3}}, {"a": (4, 10)}
    run.job = dataclasses.replace(run.job, waiting=WaitingSettings(evaluation=fixed))
    workflow = FedVoxCrossSiteEval(model_locator_id="locator")
    workflow._engine = server.engine
    workflow.start_controller(server.context())
    # 3 * 200 s * 2 models (the last one and a's own) * (1 + 14 / 4)
    assert (workflow._validation_timeout, workflow._submit_model_timeout) == (expected, expected)


# ---- before the evaluation, and when there is none ----


def broadcast_into(monkeypatch, updates: dict[str, Shareable | None]) -> list[list[str]]:
    """Replaces FLARE's broadcast: each asked site answers at once; returns who was asked."""
    asked: list[list[str]] = []

    def broadcast(self, task, fl_ctx, targets=None, **kwargs):
        asked.append(list(targets))
        for site in targets:
            answer = updates.get(site)
            if answer is not None:
                peer = FLContextManager(None, site, JOB_ID).new_context()
                fl_ctx.set_peer_context(peer)
                self._accept_train_result(site, copy.deepcopy(answer), fl_ctx)

    monkeypatch.setattr(ScatterAndGather, "broadcast_and_wait", broadcast)
    return asked


def trained_update(weights, steps: int = 1, value: float = 1.0, index: int = 0) -> Shareable:
    claims = {"cases": 2, "modality": "ct", "steps": steps, "validation": {"ct": [0.5, 1]}}
    arrays = {name: array + np.float32(value) for name, array in weights.items()}
    result = DXO(DataKind.WEIGHTS, data=arrays, meta={META: claims}).to_shareable()
    result.add_cookie(AppConstants.CONTRIBUTION_ROUND, index)
    return result


@pytest.fixture
def one_round(party, tiny):
    """A server that trains one round with the sites a and b, and its workflow."""
    tiny["training"]["rounds"] = 1
    server = party("server", job=tiny)
    server.engine.clients = ["a", "b"]
    server.engine.components = components()
    handshake = server.engine.components["handshake"]
    for site in ("a", "b"):
        own = Registration(
            fedvox.__version__,
            label_map_hash(["liver", "spleen"]),
            annotated=("liver", "spleen"),
            modalities=("ct",),
            training={"ct": 2},
            validation={"ct": 1},
            source=site,
        )
        handshake.registrations[site] = own
    workflow = FedVoxScatterAndGather(persistor_id="persistor")
    workflow._engine = server.engine
    return server, workflow


def need_both(server) -> None:
    """The job needs two training sites."""
    run = server.run()
    run.job = dataclasses.replace(run.job, waiting=WaitingSettings(sites=2, handshake=0.0))


def train(server, workflow) -> dict:
    """Runs training as FLARE does, ends the run; returns ``failure.json``, if there is one."""
    results, abort = WriteResults(), Signal()

    def listen(event_type, fl_ctx):
        if event_type == EventType.FATAL_SYSTEM_ERROR:
            results.handle_event(event_type, fl_ctx)
            abort.trigger("panic")

    server.engine.listeners.append(listen)
    workflow.start_controller(server.context())
    workflow.control_flow(abort, server.context())
    results.handle_event(EventType.END_RUN, server.context())
    path = server.run().results / "failure.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def test_what_was_trained_is_written_before_the_evaluation(one_round, weights, monkeypatch):
    server, workflow = one_round
    broadcast_into(monkeypatch, dict.fromkeys("ab", trained_update(weights)))
    workflow.start_controller(server.context())
    workflow.control_flow(Signal(), server.context())
    assert server.engine.panics == []
    folder = server.run().results
    assert read_model(folder / "model.safetensors").description["round"] == 1
    assert description_of(server)["evaluated"] is False
    assert final_record(server)["evaluated"] is False
    assert "Not evaluated." in (folder / "report.html").read_text()


def test_an_abort_in_the_evaluation_leaves_the_model_and_says_what_happened(
    one_round, weights, monkeypatch, capsys
):
    server, workflow = one_round
    broadcast_into(monkeypatch, dict.fromkeys("ab", trained_update(weights)))
    workflow.start_controller(server.context())
    workflow.control_flow(Signal(), server.context())
    server.run().stage = "evaluation"
    WriteResults().handle_event(EventType.END_RUN, server.context())
    folder = server.run().results
    failure = json.loads((folder / "failure.json").read_text())
    assert (failure["stage"], failure["round"]) == ("evaluation", None)
    assert failure["reason"].startswith("it was ended from outside: a person aborted it")
    assert "The run failed (evaluation)" in (folder / "report.html").read_text()
    assert read_model(folder / "model.safetensors").description["round"] == 1
    assert "the run failed (evaluation)" in capsys.readouterr().out


def test_a_run_that_came_to_its_end_has_no_failure(trained, deliver):
    server, _ = trained
    results = WriteResults()
    both_models(deliver, results, last_dice=0.4)
    results.control_flow(Signal(), server.context())
    results.handle_event(EventType.END_RUN, server.context())
    assert not (server.run().results / "failure.json").exists()
    assert description_of(server)["evaluated"] is True
    assert description_of(server)["choice"] == "version 1, compared on a (ct)"
    chosen = [json.loads(line)["chosen"] for line in rounds_of(server)]
    assert chosen == [False, True, False]


def rounds_of(server) -> list[str]:
    return (server.run().results / "rounds.jsonl").read_text().splitlines()


def test_failure_names_site_code_kind_and_round_when_too_few_sites_are_left(one_round, monkeypatch):
    server, workflow = one_round
    need_both(server)
    reply = make_reply(ReturnCode.EXECUTION_EXCEPTION)
    reply.set_header(FAILURE, "KeyError at step.py:12")
    broadcast_into(monkeypatch, {"b": reply})
    failure = train(server, workflow)
    assert failure == {
        "stage": "training",
        "round": 0,
        "sites": ["b"],
        "reason": "b: its task failed (EXECUTION_EXCEPTION, KeyError at step.py:12); see the first "
        "ERROR in the site's log",
    }


@pytest.mark.parametrize(
    "code", ["TASK_RESULT_FILTER_ERROR", "TASK_UNKNOWN", "RUN_MISMATCH", "UNSAFE_JOB"]
)
def test_a_site_whose_task_failed_stands_in_the_round_s_record(
    one_round, weights, monkeypatch, code
):
    server, workflow = one_round
    broadcast_into(monkeypatch, {"a": trained_update(weights), "b": make_reply(code)})
    workflow.start_controller(server.context())
    workflow.control_flow(Signal(), server.context())
    record = server.run().state.rounds()[0]
    assert [part["site"] for part in record["contributors"]] == ["a"]
    assert record["refused"][0]["site"] == "b"
    assert record["refused"][0]["reason"].startswith(f"its task failed ({code})")
    assert record["missing"] == []


def test_refusal_in_the_handshake_is_the_run_s_failure(one_round, capsys):
    server, workflow = one_round
    handshake = server.engine.components["handshake"]
    bad = dataclasses.replace(handshake.registrations["b"], version="0.0.1")
    handshake.registrations["b"] = bad
    failure = train(server, workflow)
    assert (failure["stage"], failure["round"], failure["sites"]) == ("start", None, ["b"])
    assert failure["reason"].startswith("b runs fedvox 0.0.1")
    assert "the run failed (start): b runs fedvox 0.0.1" in capsys.readouterr().out
    assert "The run failed (start)" in (server.run().results / "report.html").read_text()


def test_a_run_in_which_no_update_was_accepted_fails_with_the_first_reason(
    one_round, weights, monkeypatch
):
    server, workflow = one_round
    broadcast_into(monkeypatch, dict.fromkeys("ab", trained_update(weights, value=np.nan)))
    failure = train(server, workflow)  # before any site is asked to evaluate
    assert (failure["stage"], failure["sites"]) == ("results", ["a"])
    reason = failure["reason"]
    assert reason.startswith("no update was accepted in any of 1 rounds, so no model was trained")
    assert "first in round 1, a: not finite" in reason
    folder = server.run().results
    assert (folder / "report.html").is_file() and rounds_of(server)
    assert not (folder / "model.safetensors").exists() and not (folder / "model.json").exists()


@pytest.mark.parametrize("where", ["store", "round"])
def test_a_full_disk_at_the_server_is_named_in_the_results(one_round, weights, monkeypatch, where):
    server, workflow = one_round
    broadcast_into(monkeypatch, dict.fromkeys("ab", trained_update(weights)))

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/MUELLER")

    place = {"store": "store.write_arrays", "round": "round.Round.close"}[where]
    monkeypatch.setattr(f"fedvox.aggregation.{place}", full)
    failure = train(server, workflow)
    assert (failure["stage"], failure["round"]) == ("training", 0)
    assert failure["reason"].startswith("no space left on the server's disk; free some and clone")


@pytest.mark.parametrize("where", ["open_run", "await_sites"])
def test_a_disk_that_is_full_before_the_first_round_is_named_too(one_round, monkeypatch, where):
    server, workflow = one_round

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/MUELLER")

    monkeypatch.setattr(f"fedvox.flare.workflow_training.{where}", full)
    workflow.start_controller(server.context())
    if where == "await_sites":
        workflow.control_flow(Signal(), server.context())
    (told,) = server.engine.panics
    assert told.startswith("no space left on the server's disk; free some and clone")


def test_a_failure_that_finds_the_disk_full_takes_what_waits_of_the_open_round(
    server, monkeypatch, weights
):
    run = server.run()
    run.state.store.put(0, "a", weights)
    written = []

    def write(folder, failure):
        if run.state.store.folder.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(failure.reason)

    monkeypatch.setattr("fedvox.flare.run.run_end.write_failure", write)
    event = server.context(**{FLContextKey.EVENT_DATA: "broken"})
    WriteResults().handle_event(EventType.FATAL_SYSTEM_ERROR, event)
    assert written == ["broken"]


def test_first_reason_holds_and_patients_files_are_taken_out(server):
    results = WriteResults()
    for reason in ("cannot read /data/MUELLER_HANS.nii.gz", "second"):
        event = server.context(**{FLContextKey.EVENT_DATA: reason})
        results.handle_event(EventType.FATAL_SYSTEM_ERROR, event)
    text = (server.run().results / "failure.json").read_text()
    assert "cannot read" in text and "MUELLER" not in text and "second" not in text


def test_sites_that_were_lost_before_are_named_in_a_reason_of_flare_s(server):
    server.engine.clients = ["site-1", "site-2"]
    results = WriteResults()
    lost = server.context(**{FLContextKey.DISCONNECTED_CLIENT_NAME: "site-2"})
    results.handle_event(EventType.CLIENT_DISCONNECTED, lost)
    reason = "Aborting job due to deployment policy violation"
    event = server.context(**{FLContextKey.EVENT_DATA: reason})
    results.handle_event(EventType.FATAL_SYSTEM_ERROR, event)
    failure = json.loads((server.run().results / "failure.json").read_text())
    assert (failure["reason"], failure["sites"]) == (f"{reason}; lost before: site-2", ["site-2"])
    assert server.run().take_notes()[0].startswith("site-2 lost its connection")
    back = server.context(**{FLContextKey.RECONNECTED_CLIENT_NAME: "site-2"})
    results.handle_event(EventType.CLIENT_RECONNECTED, back)
    assert server.run().lost == frozenset()


def test_job_that_cannot_be_read_says_so_in_its_results(party):
    server = party("server", job=None)
    event = server.context(**{FLContextKey.EVENT_DATA: "the job has no training.json"})
    results = WriteResults()
    results.handle_event(EventType.FATAL_SYSTEM_ERROR, event)
    results.handle_event(EventType.END_RUN, server.context())
    failure = json.loads((server.run_dir / "fedvox" / "failure.json").read_text())
    assert failure["reason"] == "the job has no training.json"


def test_a_run_that_is_killed_in_a_round_names_who_had_not_answered(
    one_round, weights, monkeypatch
):
    server, workflow = one_round
    broadcast_into(monkeypatch, {"a": trained_update(weights)})
    monkeypatch.setattr(FedVoxAggregator, "aggregate", lambda *a: pytest.fail("must not come here"))
    abort = Signal()

    def stop(self, **kwargs):
        abort.trigger("stopped")

    inner = ScatterAndGather.broadcast_and_wait
    monkeypatch.setattr(
        ScatterAndGather,
        "broadcast_and_wait",
        lambda self, **kwargs: (inner(self, **kwargs), stop(self)),
    )
    workflow.start_controller(server.context())
    workflow.control_flow(abort, server.context())
    WriteResults().handle_event(EventType.END_RUN, server.context())
    failure = json.loads((server.run().results / "failure.json").read_text())
    assert (failure["stage"], failure["round"], failure["sites"]) == ("training", 0, ["b"])
    assert failure["reason"].endswith("nothing had come in this round from b")


# ---- who is asked to train ----


def test_only_registered_sites_are_asked_to_train(one_round, weights, monkeypatch):
    server, workflow = one_round
    asked = broadcast_into(monkeypatch, {"a": trained_update(weights)})
    unfit = server.engine.components["handshake"].registrations
    workflow.start_controller(server.context())
    del unfit["b"]
    workflow.control_flow(Signal(), server.context())
    assert asked == [["a"]]
    assert "b is connected and did not register" in server.run().state.rounds()[0]["notes"][0]


def test_a_site_that_comes_while_a_round_is_being_opened_is_asked_in_the_next(
    one_round, weights, monkeypatch
):
    server, workflow = one_round
    asked = broadcast_into(monkeypatch, dict.fromkeys("ab", trained_update(weights)))
    broadcast = FedVoxScatterAndGather.broadcast_and_wait

    def late(self, *args, **kwargs):
        self.aggregator.handle_event(AppEventType.ROUND_STARTED, kwargs["fl_ctx"])
        server.run().registered = {**server.run().registered, "c": {"ct": 2}}
        server.engine.clients.append("c")
        broadcast(self, *args, **kwargs)

    monkeypatch.setattr(FedVoxScatterAndGather, "broadcast_and_wait", late)
    assert train(server, workflow)["reason"].startswith("it was ended from outside")
    assert asked == [["a", "b"]]


def test_too_few_sites_that_take_part_end_the_run_with_a_reason(one_round, monkeypatch):
    server, workflow = one_round
    broadcast_into(monkeypatch, {})
    workflow.start_controller(server.context())
    monkeypatch.setattr(Handshake, "wait", lambda *args: None)
    server.run().registered = {"a": {"ct": 2}}
    need_both(server)
    failure = train(server, workflow)
    assert failure["reason"].startswith("1 of 2 needed sites take part (a)")


def test_modality_that_nobody_validates_is_noted_before_training(one_round, weights, monkeypatch):
    server, workflow = one_round
    broadcast_into(monkeypatch, {"a": trained_update(weights)})
    registrations = server.engine.components["handshake"].registrations
    for site in registrations:
        registrations[site] = dataclasses.replace(registrations[site], validation={})
    workflow.start_controller(server.context())
    workflow.control_flow(Signal(), server.context())
    notes = server.run().state.rounds()[0]["notes"]
    assert notes[0].startswith("no site has a validation case: the last model will be taken")


def test_a_refused_report_stands_in_the_results_and_the_run_goes_on(trained, deliver, capsys):
    server, _ = trained
    server.run().registered = {"a": {"ct": 3}, "evil": {"ct": 3}}
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
        "1", "x", training={"ct": 9}, validation={"ct": 1}, test={"ct": 1}
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
    workflow.kept = []

    def save(name, dxo, fl_ctx):
        workflow.sent.append(name)
        workflow.kept.append(dxo)

    workflow._save_client_model = save
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
    result = DXO(DataKind.WEIGHTS, data=dict(models[0]), meta={"x": b"scan"}).to_shareable()
    result.set_header("x", b"scan")
    workflow._receive_local_model_cb(answered("submit_model", "a", result), fl_ctx)
    assert workflow.sent == ["a"]
    (kept,) = workflow.kept
    assert weights_hash(kept.data) == weights_hash(models[0])
    assert kept.meta == {}  # nothing goes to disk and to all sites that was not looked at
    assert "scan" not in str(fl_ctx.get_prop(AppConstants.RECEIVED_MODEL))
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
    record = training.aggregator.open_round(server.context(**props)).refusals.entries
    assert [entry["site"] for entry in record] == ["evil"]


def test_a_return_code_that_is_a_text_is_not_logged(training, server, caplog):
    training.start_controller(server.context())
    training._current_round = 0
    reply = make_reply("MUELLER" * 1000)
    training._accept_train_result("a", reply, server.context(), is_unknown_task=True)
    assert "MUELLER" not in caplog.text
    assert "EXECUTION_EXCEPTION" in caplog.text
