"""The site's side of a plan run, from registration to a cleansed answer."""

import json
import logging

import pytest
from nvflare.apis.dxo import DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import StatisticsConstants as StC

from fedvox.data.cases.in_work import record_work
from fedvox.data.site.fatal import NONE
from fedvox.flare.outgoing import OutgoingFilter
from fedvox.flare.plan_server import FedVoxStatistics
from fedvox.flare.plan_site import PlanExecutor, site_memory
from fedvox.flare.run import messages, site_setup
from fedvox.flare.run.statistics import EDGES, unpack
from fedvox.job.settings import job_from
from fedvox.memory import GIB


@pytest.fixture
def ask():
    """A function to the task that FLARE's controller sends."""

    def task(number=StC.STATS_2nd_STATISTICS):
        controller = FedVoxStatistics()
        for name, place in ((StC.STATS_MIN, 0), (StC.STATS_MAX, -1)):
            ends = {feature: edges[place] for feature, edges in EDGES.items()}
            controller.global_statistics[name] = {"ct": ends, "mr": ends}
        return controller._prepare_inputs(number)

    return task


def start(site, min_cases=3):
    executor = PlanExecutor(min_cases)
    executor.handle_event(EventType.START_RUN, site.context())
    return executor


def execute(executor, site, task, abort=None):
    return executor.execute(StC.FED_STATS_TASK, task, site.context(), abort or Signal())


def public(site):
    return site.context().get_all_public_props()


def test_a_site_registers_before_it_reads_a_case(site):
    executor = start(site)
    told = public(site)[messages.REGISTRATION]
    assert (told["training"], told["modalities"], told["phantom"]) == ({"ct": 3}, ["ct"], True)
    assert told["annotated"] == ["liver", "spleen"]
    assert told["error"] == ""
    assert not list(site.root.rglob("fingerprint-*.json"))
    assert not list(site.root.rglob("*.safetensors"))
    assert executor.job is not None


def test_a_site_tells_its_free_memory_in_tenths_of_a_gibibyte(site, tiny):
    start(site)
    told = public(site)[messages.MEMORY]
    assert told["device"] == "cpu"
    assert told["bytes"] > 0
    tenths = told["bytes"] / (GIB / 10)
    assert tenths == pytest.approx(round(tenths), abs=1e-6)
    assert set(site_memory(job_from(tiny))) == {"device", "bytes"}


def test_the_answer_holds_what_three_cases_show(site, ask):
    answer = from_shareable(execute(start(site), site, ask()))
    assert answer.data_kind == DataKind.STATISTICS
    _, statistics = unpack(answer.data)
    assert statistics["count"]["ct"]["spacing_r"] == 3
    filled = [
        (round((low + high) / 2, 3), n)
        for low, high, n in statistics["histogram"]["ct"]["spacing_s"]
        if n
    ]
    assert sum(n for _, n in filled) == 3
    assert all(9 < size < 15 for size, _ in filled)  # phantoms of about 12 mm


def test_smallest_and_largest_values_are_the_ends_of_the_bins(site, ask):
    _, statistics = unpack(
        from_shareable(execute(start(site), site, ask(StC.STATS_1st_STATISTICS))).data
    )
    assert statistics["min"]["ct"]["spacing_r"] == 0.025
    assert statistics["max"]["ct"]["organ_hu"] == 3072.0


def test_too_few_cases_tell_nothing(site, ask):
    _, statistics = unpack(from_shareable(execute(start(site, min_cases=4), site, ask())).data)
    assert statistics["histogram"]["ct"] == {}
    assert set(statistics["count"]["ct"].values()) == {0}


def test_the_site_s_policy_cleanses_whatever_the_job_says(site, ask):
    answer = execute(start(site, min_cases=1), site, ask())
    passed = OutgoingFilter(min_cases=4).process(answer, site.context())
    _, statistics = unpack(from_shareable(passed).data)
    assert statistics["histogram"]["ct"] == {}


def test_a_second_process_does_not_read_again(site, ask, tmp_path):
    first = execute(start(site), site, ask())
    (kept,) = site.root.rglob("fingerprint-*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    changed = json.loads(kept.read_text())
    changed["ct"]["cases"] = 4
    changed["ct"]["counted"] = {name: 3 for name in changed["ct"]["counted"]}
    kept.write_text(json.dumps(changed))
    _, statistics = unpack(from_shareable(execute(start(site), site, ask())).data)
    assert statistics["count"]["ct"]["spacing_r"] == 4
    assert unpack(from_shareable(first).data)[1]["count"]["ct"]["spacing_r"] == 3


def test_a_process_that_follows_a_crash_reads_its_cases_one_by_one(site, monkeypatch):
    """What the one before it had in work stands in the site's state."""
    monkeypatch.setattr(site_setup, "is_simulator", lambda fl_ctx: False)
    assert start(site).fatal == NONE
    (work,) = site.root.rglob("in_work_*")
    work.write_text("a\nb\n")
    monkeypatch.setenv("FEDVOX_RESTARTS", "1")
    monkeypatch.setenv("FEDVOX_SIGNAL", "9")
    assert start(site).fatal.one_by_one
    record_work(None)


def test_a_site_without_the_filters_refuses_to_work(site):
    executor = PlanExecutor()
    executor.handle_event(EventType.START_RUN, site.context(**{FLContextKey.SCOPE_OBJECT: None}))
    told = public(site)
    assert "privacy.json does not run" in told[messages.REGISTRATION]["error"]
    assert messages.MEMORY not in told


def test_a_site_that_could_not_start_answers_with_one_line(party, ask, caplog):
    bare = party("site-9")
    executor = start(bare)
    assert public(bare)[messages.REGISTRATION]["error"].startswith("site-9: no fedvox_site.json")
    caplog.clear()
    answer = execute(executor, bare, ask())
    assert answer.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert errors == ["site-9: the site could not list its data at the start of the run"]


def test_other_tasks_and_aborted_ones_give_nothing(site, ask):
    executor = start(site)
    unknown = executor.execute("train", Shareable(), site.context(), Signal())
    assert unknown.get_return_code() == ReturnCode.TASK_UNKNOWN
    abort = Signal()
    abort.trigger("stop")
    answer = execute(executor, site, ask(), abort)
    assert answer.get_return_code() == ReturnCode.TASK_ABORTED


def test_a_simulator_site_uses_announced_phantoms(party, caplog):
    simulated = party("site-2", job_id="simulate_job")
    start(simulated)
    told = public(simulated)[messages.REGISTRATION]
    assert (told["phantom"], told["modalities"], told["training"]) == (True, ["mr"], {"mr": 2})
    assert "USING PHANTOM DATA" in caplog.text


def test_nothing_is_planned_by_a_site_that_only_tests(site):
    path = site.root / "local/fedvox_site.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "split": "test"}))
    start(site)
    told = public(site)[messages.REGISTRATION]
    assert (told["external"], told["training"], told["test"]) == (True, {}, {"ct": 6})
    assert messages.MEMORY not in public(site)
