import logging
import threading
from types import SimpleNamespace

import pytest
from nvflare.apis.client import Client
from nvflare.apis.event_type import EventType
from nvflare.fuel.common.exit_codes import ProcessExitCode
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey
from nvflare.private.defs import CellMessageHeaderKeys, JobFailureMsgKey
from nvflare.private.fed.server.fed_server import FederatedServer

from fedvox.flare.restarts import site_rejoin
from fedvox.flare.restarts.site_rejoin import SiteRejoin

JOB = "one"


class Outcomes:
    """FLARE's book of sites whose process has not told how it ended."""

    def __init__(self):
        self.pending = {JOB: {"a"}}
        self.running_jobs = {
            JOB: SimpleNamespace(
                job_id=JOB, deploy_map={"app": ["@ALL"]}, min_sites=1, meta={"cloned_from": ""}
            )
        }
        self.failed = []

    def get_client_outcome_jobs(self):
        return set(self.pending)

    def is_client_outcome_pending(self, job_id, name):
        return name in self.pending.get(job_id, ())

    def fail_run(self, job_id, code, fl_ctx):
        self.failed.append(job_id)

    def resolve_client_outcome(self, job_id, name):
        self.pending[job_id].discard(name)


@pytest.fixture
def parent(server, monkeypatch):
    """The server's parent with one running job, in which site ``a`` takes part as ``old``."""
    monkeypatch.setattr(site_rejoin, "PAUSE", 0.0)
    engine, started = server.engine, []
    engine.client_manager = SimpleNamespace(name_to_clients={"a": Client("a", "old")})
    engine.run_processes = {JOB: {"_participants": {"old": Client("a", "old")}}}
    engine.exception_run_processes = {}
    engine.job_runner = Outcomes()
    engine.room = True
    engine.check_client_resources = lambda job, asked, fl_ctx: {"a": (engine.room, "reserved")}

    def start(job, dispatched, fl_ctx):
        started.append(dict(dispatched))
        return [SimpleNamespace(reply=SimpleNamespace(body="started"))]

    engine.start_client_job = start
    engine.started = started
    return engine


@pytest.fixture
def beat(server, peer):
    """A function that lets a heartbeat of ``a`` pass, and waits for what it begins."""

    def heartbeat(component):
        for event in (EventType.CLIENT_HEARTBEAT_RECEIVED, EventType.CLIENT_HEARTBEAT_PROCESSED):
            component.handle_event(event, server.context(peer=peer("a")))
        for thread in threading.enumerate():
            if thread.daemon and thread is not threading.current_thread() and thread.name == JOB:
                thread.join(timeout=60)

    return heartbeat


def come_back(engine):
    engine.client_manager.name_to_clients["a"] = Client("a", "new")


def test_a_site_under_a_new_token_is_told_to_start_its_part_again(parent, beat):
    component = SiteRejoin()
    beat(component)
    assert parent.started == []
    come_back(parent)
    beat(component)
    beat(component)
    (dispatched,) = parent.started
    assert dispatched["a"].token == "reserved" and dispatched["a"].app_name == "app"
    assert list(parent.run_processes[JOB]["_participants"]) == ["new"]


def test_a_site_without_room_is_asked_again(parent, beat):
    component = SiteRejoin()
    come_back(parent)
    parent.room = False
    beat(component)
    assert parent.started == []
    parent.room = True
    beat(component)
    assert len(parent.started) == 1


@pytest.fixture
def flare(parent, server) -> FederatedServer:
    """FLARE's server after the job's end, before and after the component's start."""
    parent.server = FederatedServer.__new__(FederatedServer)
    parent.server.engine, parent.server.logger = parent, logging.getLogger()
    parent.run_processes = {}
    return parent.server


@pytest.mark.parametrize("reason", ["missing job on client", "client dead"])
def test_a_site_that_cannot_say_how_it_ended_does_not_fail_a_job_that_ended_well(
    flare, parent, server, reason
):
    client = Client("a", "old")
    flare._resolve_missing_client_outcome(client, JOB, reason)
    assert parent.job_runner.failed == [JOB]  # what FLARE does by itself
    parent.job_runner = Outcomes()
    SiteRejoin().handle_event(EventType.SYSTEM_START, server.context())
    flare._resolve_missing_client_outcome(client, JOB, reason)
    assert parent.job_runner.client_outcome_wait_timeout == 60.0
    assert parent.job_runner.failed == [] and parent.job_runner.pending == {JOB: set()}


def test_a_site_that_comes_back_after_the_jobs_end_does_not_fail_it(flare, parent, server):
    """By FLARE's own comparison of the jobs that a heartbeat names."""
    SiteRejoin().handle_event(EventType.SYSTEM_START, server.context())
    flare.client_manager = SimpleNamespace(clients={"new": Client("a", "new")})
    flare._job_reported_clients, flare._job_reported_clients_lock = {}, threading.Lock()
    for named, left in (([JOB], {"a"}), ([], set())):  # its process is still ending, then is gone
        request = SimpleNamespace(get_header={CellMessageHeaderKeys.JOB_IDS: named}.get)
        assert flare._sync_client_jobs(request, "new") == []
        assert parent.job_runner.pending == {JOB: left}
    assert parent.job_runner.failed == []


def test_a_job_that_failed_at_the_server_stays_failed(flare, parent, server):
    parent.exception_run_processes = {JOB: {}}
    SiteRejoin().handle_event(EventType.SYSTEM_START, server.context())
    flare._resolve_missing_client_outcome(Client("a", "old"), JOB, "client dead")
    assert parent.exception_run_processes == {JOB: {}}


@pytest.fixture
def report_failure(flare, parent, server, tmp_path):
    """A function that lets FLARE hear of site ``a`` that its process ended with an error, in a job
    of two sites."""
    clients = {"old": Client("a", "old"), "other": Client("b", "other")}
    parent.run_processes = {JOB: {"_participants": clients}}
    parent.job_runner.pending = {JOB: {"a", "b"}}
    parent.get_workspace = lambda: SimpleNamespace(get_root_dir=lambda: str(tmp_path))
    flare.client_manager = SimpleNamespace(
        clients=clients, is_from_authorized_client=clients.__contains__
    )

    def report(rounds):
        if rounds:
            folder = tmp_path / "fedvox_state" / JOB / "fedvox"
            folder.mkdir(parents=True)
            (folder / "state.json").write_text(f'{{"version": {rounds}}}')
        SiteRejoin().handle_event(EventType.SYSTEM_START, server.context())
        headers = {CellMessageHeaderKeys.TOKEN: "old", MessageHeaderKey.ORIGIN: "a"}
        told = {JobFailureMsgKey.JOB_ID: JOB, JobFailureMsgKey.CODE: ProcessExitCode.CONFIG_ERROR}
        flare.process_job_failure(
            SimpleNamespace(payload=told, get_header=lambda key: headers.get(key))
        )

    return report


def test_a_site_whose_process_ends_with_an_error_leaves_the_others_to_go_on(report_failure, parent):
    report_failure(rounds=2)
    assert parent.job_runner.failed == [] and parent.job_runner.pending == {JOB: {"b"}}


def test_before_the_first_round_has_ended_the_lead_is_to_have_it_mended(report_failure, parent):
    report_failure(rounds=0)
    assert parent.job_runner.failed == [JOB]


def test_with_fewer_sites_than_the_job_needs_it_has_failed(report_failure, parent):
    parent.job_runner.running_jobs[JOB].min_sites = 2
    report_failure(rounds=2)
    assert parent.job_runner.failed == [JOB]
