from types import SimpleNamespace

import pytest
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.job_def import RunStatus

from fedvox.flare.restarts.job_rescue import EARLIER, RESUMES, JobRescue
from fedvox.flare.run.places import STATE

JOB = "one"


class Manager:
    """What is used of FLARE's job manager, with one running job."""

    def __init__(self, store, meta):
        self.store, self.meta, self.status = store, dict(meta), RunStatus.RUNNING
        (store / JOB).mkdir(parents=True)
        (store / JOB / "scheduled").touch()

    def get_jobs_by_status(self, states, fl_ctx):
        found = self.status in states
        return [SimpleNamespace(job_id=JOB, meta=self.meta)] if found else []

    def set_status(self, job_id, status, fl_ctx):
        self.status = status

    def update_meta(self, job_id, changes, fl_ctx):
        self.meta |= changes

    def job_uri(self, job_id):
        return str(self.store / job_id)


@pytest.fixture
def rescue(server, tmp_path):
    """A function that starts a server over a job that was running; returns its manager."""

    def start(meta=(), **arguments):
        manager = Manager(tmp_path / "store", dict(meta))
        server.engine.components["job_manager"] = manager
        component = JobRescue(**arguments)
        component.handle_event(EventType.SYSTEM_START, server.context())
        return manager, component

    return start


def test_a_job_that_was_running_is_queued_under_its_own_id(rescue, tmp_path):
    manager, _ = rescue()
    assert manager.status == RunStatus.SUBMITTED
    assert manager.meta[RESUMES] == 1
    assert not (tmp_path / "store" / JOB / "scheduled").exists()


def test_it_is_held_back_until_the_sites_have_ended_its_old_processes(rescue, server):
    def blocked(component, job_id):
        fl_ctx = server.context(**{FLContextKey.CURRENT_JOB_ID: job_id})
        component.handle_event(EventType.BEFORE_CHECK_CLIENT_RESOURCES, fl_ctx)
        return fl_ctx.get_prop(FLContextKey.JOB_BLOCK_REASON)

    _, component = rescue(quiet=3600)
    assert "the server was started again" in blocked(component, JOB)
    assert blocked(component, "another") is None
    component.quiet = 0
    assert blocked(component, JOB) is None


def test_a_job_that_ends_the_server_again_and_again_is_given_up(rescue):
    manager, _ = rescue({RESUMES: 5})
    assert manager.status == RunStatus.FINISHED_ABNORMAL


def test_a_round_in_between_begins_the_count_anew(rescue, server):
    folder = server.root / STATE / JOB / "server"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text('{"version": 3}')
    manager, _ = rescue({RESUMES: 5, f"{RESUMES}_at": '{"version": 2}'})
    assert (manager.status, manager.meta[RESUMES]) == (RunStatus.SUBMITTED, 1)


def test_a_clones_rounds_lie_under_the_run_that_it_goes_on_with(rescue, server):
    folder = server.root / STATE / "first" / "server"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text('{"version": 3}')
    meta = {RESUMES: 5, f"{RESUMES}_at": '{"version": 2}', "cloned_from": "first"}
    manager, _ = rescue(meta)
    assert manager.status == RunStatus.SUBMITTED


def test_logs_and_curves_of_the_first_part_are_kept_from_the_deployer(rescue, server):
    run_dir = server.root / JOB
    (run_dir / "fedvox/tb").mkdir(parents=True)
    (run_dir / "fedvox/tb/events.1").write_text("curves")
    (run_dir / "log.txt").write_text("log")
    rescue()
    kept = server.root / STATE / EARLIER / JOB / "1"
    assert (kept / "tb/events.1").read_text() == "curves"
    assert (kept / "log.txt").read_text() == "log"


def test_a_broken_job_does_not_keep_the_server_from_starting(rescue, monkeypatch, caplog):
    def broken(*args):
        raise OSError("no such disk")

    monkeypatch.setattr(Manager, "update_meta", broken)
    rescue()
    assert "job one: OSError" in caplog.text


@pytest.mark.parametrize("key", ["cloned_from", "job_id"])
def test_a_submitted_job_cannot_say_whose_run_it_goes_on_with(rescue, server, key):
    _, component = rescue()
    for meta, blocked in (({"name": "a", key: ""}, False), ({"name": "a", key: JOB}, True)):
        fl_ctx = server.context(**{FLContextKey.JOB_META: meta})
        component.handle_event(EventType.SUBMIT_JOB, fl_ctx)
        reason = fl_ctx.get_prop(FLContextKey.JOB_BLOCK_REASON) or ""
        assert (f"meta.json holds {key}" in reason) is blocked
