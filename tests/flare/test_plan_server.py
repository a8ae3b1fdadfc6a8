"""The server's side of a plan run, from sites' answers to the files and the table."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.app_common.app_constant import StatisticsConstants as StC
from nvflare.app_common.executors.statistics.statistics_task_handler import StatisticsTaskHandler
from nvflare.app_common.workflows.statistics_controller import StatisticsController

from fedvox.errors import ConfigError
from fedvox.flare.plan_server import FedVoxStatistics, PlanWriter, smallest_memory
from fedvox.flare.run.messages import MEMORY
from fedvox.flare.run.senders import TOKEN
from fedvox.flare.run.statistics import EDGES, FingerprintStatistics, checked_statistics
from fedvox.memory import GIB
from fedvox.planning.fingerprint import CaseFingerprint, summarise_cases
from fedvox.planning.plan import read_plan

FREE = {"device": "cpu", "bytes": 2 * GIB}


@pytest.fixture
def workflow(server):
    """The workflow and the writer as FLARE wires them; two sites are known."""
    controller, writer = FedVoxStatistics(), PlanWriter()
    controller._engine, controller.min_clients = server.engine, 2
    server.engine.components["plan"] = writer
    run = server.run()
    run.registered = {"site-1": {"ct": 6}, "site-2": {"ct": 6}}
    run.modalities = ["ct", "mr"]
    return controller, writer


def answer_of(site, modality, cases, task, controller, fl_ctx):
    """What a site's executor sends for a task."""
    hu = np.eye(1, 1024, 280)[0] if modality == "ct" else None
    one = CaseFingerprint((10.0, 10.0, 10.0), (200.0, 240.0, 280.0), hu)
    handler = StatisticsTaskHandler("")
    handler.stats_generator = FingerprintStatistics(
        {modality: summarise_cases(modality, cases, [one] * cases)}, ("ct", "mr")
    )
    result = handler.execute_task(
        StC.FED_STATS_TASK, controller._prepare_inputs(task), fl_ctx, None
    )
    parts = {key: value for key, value in result.items() if not key.startswith("__")}
    return DXO(DataKind.STATISTICS, data=checked_statistics(parts, 5, site)).to_shareable()


def deliver(controller, site, result, task, fl_ctx):
    asked = Task(StC.FED_STATS_TASK, Shareable(), {StC.STATISTICS_TASK_KEY: task})
    done = ClientTask(Client(site, "token"), asked)
    done.result = result
    controller.results_cb(done, fl_ctx)


def run_all(workflow, server, peer, sites):
    """Both tasks over all sites, then FLARE's last step."""
    from nvflare.app_common.statistics.numeric_stats import get_global_stats

    controller, writer = workflow
    fl_ctx = server.context()
    server.run().registered = {site: {modality: cases} for site, modality, cases in sites}
    server.engine.clients = [site for site, _, _ in sites]
    for site, _, _ in sites:
        request = server.context(peer=peer(site, **{MEMORY: FREE}))
        writer.handle_event(EventType.BEFORE_PROCESS_TASK_REQUEST, request)
    for task in (StC.STATS_1st_STATISTICS, StC.STATS_2nd_STATISTICS):
        for site, modality, cases in sites:
            result = answer_of(site, modality, cases, task, controller, fl_ctx)
            deliver(controller, site, result, task, fl_ctx)
        controller.global_statistics = get_global_stats(
            controller.global_statistics,
            controller.client_statistics,
            task,
            controller.statistic_configs,
            controller.precision,
        )
    controller.post_fn(StC.FED_STATS_TASK, fl_ctx)
    return server.run().results


def test_two_sites_give_a_plan_its_files_and_a_table(workflow, server, peer, capsys):
    folder = run_all(workflow, server, peer, [("site-1", "ct", 6), ("site-2", "mr", 7)])
    assert server.engine.panics == []
    plan = read_plan(folder / "plan.json")
    assert plan.spacing == (10.0, 10.0, 10.0)
    assert plan.patch == (24, 24, 32)
    assert plan.modalities == ("ct", "mr")
    assert plan.ct_window[0] >= 96 and plan.ct_window[1] <= 100
    record = json.loads((folder / "fingerprint.json").read_text())
    assert record["sites"] == {"ct": {"site-1": 6, "site-2": 0}, "mr": {"site-1": 0, "site-2": 7}}
    assert record["modalities"]["mr"]["extent_a"]["bins"] == [[240.0, 7.0]]
    assert (folder / "fingerprint.png").read_bytes().startswith(b"\x89PNG")
    output = capsys.readouterr().out
    assert "data.spacing" in output and str(folder / "plan.json") in output


def test_a_modality_that_no_site_has_enough_of_stops_the_run_by_name(workflow, server, peer):
    folder = run_all(workflow, server, peer, [("site-1", "ct", 6), ("site-2", "mr", 4)])
    (reason,) = server.engine.panics
    assert reason.startswith("no site has enough training cases of mr")
    assert "take it out of 'data.modalities'" in reason
    assert not (folder / "plan.json").exists()


@pytest.mark.parametrize(
    "code", ["EXECUTION_EXCEPTION", "TASK_UNKNOWN", "RUN_MISMATCH", "UNSAFE_JOB", "EMPTY_RESULT"]
)
def test_a_site_that_fails_stops_the_run_once_and_by_name(workflow, server, code):
    controller, _ = workflow
    fl_ctx = server.context()
    deliver(controller, "site-2", make_reply(code), StC.STATS_1st_STATISTICS, fl_ctx)
    controller.post_fn(StC.FED_STATS_TASK, fl_ctx)
    (reason,) = server.engine.panics
    assert reason.startswith(f"site-2 gave no fingerprint ({code})")


@pytest.mark.parametrize(
    "data", [{}, {StC.STATISTICS_TASK_KEY: StC.STATS_1st_STATISTICS}, {"x": 1}]
)
def test_statistics_of_an_unknown_form_are_not_added_up(workflow, server, data):
    controller, _ = workflow
    result = DXO(DataKind.STATISTICS, data=data or {"y": 2}).to_shareable()
    deliver(controller, "site-1", result, StC.STATS_1st_STATISTICS, server.context())
    assert "site-1 sent statistics of an unknown form" in server.engine.panics[0]
    assert controller.client_statistics == {}


@pytest.mark.parametrize(("registered", "asked"), [(5, 0), (6, 1)])
def test_more_cases_than_registered_or_another_task_are_not_added_up(
    workflow, server, registered, asked
):
    controller, _ = workflow
    tasks = (StC.STATS_1st_STATISTICS, StC.STATS_2nd_STATISTICS)
    server.run().registered = {"site-1": {"ct": registered}}
    result = answer_of("site-1", "ct", 6, tasks[0], controller, server.context())
    deliver(controller, "site-1", result, tasks[asked], server.context())
    assert "site-1 sent statistics of an unknown form" in server.engine.panics[0]
    assert controller.client_statistics == {}


@pytest.mark.parametrize(
    "told", [[], {"bytes": 2**200}, {"bytes": 10**400, "device": "cpu"}, {"device": ["cpu"]}]
)
def test_memory_of_an_unknown_form_is_not_noted(workflow, server, peer, told):
    _, writer = workflow
    server.engine.clients = ["site-1"]
    request = server.context(peer=peer("site-1", **{MEMORY: told}))
    writer.handle_event(EventType.BEFORE_PROCESS_TASK_REQUEST, request)
    assert writer.memory == {}


def test_nobody_speaks_of_another_site_s_memory(workflow, server, peer):
    _, writer = workflow
    server.engine.clients = ["site-1"]
    public = {MEMORY: FREE, TOKEN: "token-evil"}
    request = server.context(peer=peer("site-1", **public))
    writer.handle_event(EventType.BEFORE_PROCESS_TASK_REQUEST, request)
    assert writer.memory == {}


def test_no_return_code_of_a_site_ends_a_plan_run_unheard(workflow, server):
    runner = SimpleNamespace(ABORT_RETURN_CODES=["TASK_UNKNOWN"])
    workflow[0].start_controller(server.context(**{FLContextKey.RUNNER: runner}))
    assert server.engine.panics == runner.ABORT_RETURN_CODES == []


def test_the_workflow_needs_the_handshake(workflow, server):
    controller, _ = workflow
    controller.control_flow(None, server.context())
    assert server.engine.panics == ["component 'handshake' is no Handshake"]


def test_the_smallest_site_decides():
    told = {"a": {"bytes": 3 * GIB, "device": "cuda"}, "b": {"bytes": 2 * GIB, "device": "cpu"}}
    memory = smallest_memory(told, 1)
    assert (memory.site, memory.bytes, memory.gpu) == ("b", 2 * GIB, True)
    assert smallest_memory(told, 2).bytes == GIB


@pytest.mark.parametrize("entry", [{}, {"bytes": "much"}, {"bytes": -1}, {"bytes": True}])
def test_memory_that_is_no_number_is_not_used(entry):
    with pytest.raises(ConfigError, match="no site told how much memory"):
        smallest_memory({"a": entry}, 1)


def test_edges_are_those_of_both_sides():
    assert all(edges == sorted(edges) for edges in EDGES.values())


def test_only_registered_sites_are_asked_for_statistics(workflow, server, monkeypatch):
    controller, _ = workflow
    server.engine.clients = ["site-1", "site-2", "unfit"]
    asked = []
    monkeypatch.setattr(
        StatisticsController, "broadcast_and_wait", lambda self, **kwargs: asked.append(kwargs)
    )
    controller.broadcast_and_wait(task=None, targets=None, fl_ctx=server.context())
    assert asked[0]["targets"] == ["site-1", "site-2"]


def test_a_plan_run_that_fails_says_why_in_its_results(workflow, server):
    _, writer = workflow
    server.run().stage = "plan"
    reason = "site-2 gave no fingerprint (EXECUTION_EXCEPTION); see the first ERROR in its log"
    event = server.context(**{FLContextKey.EVENT_DATA: reason})
    writer.handle_event(EventType.FATAL_SYSTEM_ERROR, event)
    failure = json.loads((server.run().results / "failure.json").read_text())
    assert failure == {"stage": "plan", "round": None, "sites": ["site-2"], "reason": reason}


def test_sets_of_a_job_with_channels_are_held_against_its_one_group(
    workflow, server, lenient_job, capsys
):
    """Three cases that lack T2 are no modality that nobody has enough of."""
    _, writer = workflow
    run = server.run()
    run.job, run.modalities = lenient_job, ["t1+flair", "t1+t2+flair"]
    whole = "t1+t2+flair"
    writer.memory = {"site-1": FREE}
    one = CaseFingerprint((2.0, 2.0, 2.0), (48.0, 48.0, 48.0))
    own = FingerprintStatistics({whole: summarise_cases(whole, 9, [one] * 9)}, (whole,))
    data = {}
    for feature in own.features()[whole]:
        name = feature.feature_name
        edges = EDGES[name]
        found = own.histogram(whole, name, len(edges) - 1, edges[0], edges[-1])
        counts = {"site-1": {whole: 9}, StC.GLOBAL: {whole: 9}}
        bins = {"site-1": {whole: found.bins}, StC.GLOBAL: {whole: found.bins}}
        data[name] = {StC.STATS_COUNT: counts, StC.STATS_HISTOGRAM: bins}
    writer.save(data, True, server.context())
    assert read_plan(run.results / "plan.json").modalities == (whole,)
    assert f"{whole}: cases of site-1" in capsys.readouterr().out
