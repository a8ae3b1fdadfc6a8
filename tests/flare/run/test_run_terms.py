import errno
import json
from pathlib import Path

import pytest
from nvflare.apis.fl_constant import FLContextKey

from fedvox.aggregation.events_file import append_event, read_events
from fedvox.errors import ConfigError
from fedvox.files import write_json
from fedvox.flare.run.happened import record_own_start
from fedvox.flare.run.places import state_dir
from fedvox.flare.run.run_end import record_failure
from fedvox.flare.run.run_terms import TERMS, check_terms, claim_run
from fedvox.flare.run.server_start import open_run
from fedvox.job.settings import job_from

FIRST = "11111111-aaaa-bbbb-cccc-222222222222"
SECOND = "22222222-aaaa-bbbb-cccc-333333333333"
THIRD = "33333333-aaaa-bbbb-cccc-444444444444"
DONE = 2


@pytest.fixture
def second(party, tiny, tmp_path):
    """A function that opens a job which goes on with one of :data:`DONE` rounds."""

    def open_job(changes=(), submitter="lead", begun_by="lead", done=DONE, job_id=SECOND):
        folder = tmp_path / "server/fedvox_state" / FIRST / "server"
        if done:
            first = party("server", FIRST).run()
            check_terms(first, party("server", FIRST).context(**meta(begun_by)))
            assert first.state.folder == folder
            write_json(folder / "state.json", {"version": done})
            append_event(folder, "started", FIRST, "server", "the job began")
        tiny["training"] |= {"rounds": 5, "continues": FIRST}
        for name, value in changes:
            section, key = name.split(".")
            tiny.setdefault(section, {})[key] = value
        server = party("server", job_id, tiny)
        return server.run(), server.context(**meta(submitter))

    return open_job


def meta(submitter, **more):
    return {FLContextKey.JOB_META: {"submitter_name": submitter, **more}}


def test_a_job_goes_on_with_the_state_of_the_one_it_names(second, tmp_path):
    run, fl_ctx = second([("evaluation.site_models", False), ("waiting.margin", 4.0)])
    check_terms(run, fl_ctx)
    record_own_start(run, fl_ctx)
    assert run.state.version == DONE
    assert run.state.folder == tmp_path / "server/fedvox_state" / FIRST / "server"
    (event,) = read_events(run.state.folder)[1:]
    assert (event["event"], event["job"]) == ("continued", SECOND)
    assert event["text"].endswith("goes on with the run, to 5 rounds")


def test_a_site_finds_its_state_by_the_same_name(party, second, tiny):
    second()
    site = party("site-1", SECOND, tiny)
    fl_ctx = site.context()
    found = state_dir(fl_ctx, site.root / "cache", tiny["training"]["continues"])
    assert found == site.root / "cache" / FIRST / "site-1"


def test_a_clone_of_a_job_that_goes_on_is_a_clone(second, party, tiny):
    run, fl_ctx = second()
    record_own_start(run, fl_ctx)
    write_json(run.state.folder / "state.json", {"version": 5})  # all: it ended in the evaluation
    clone = party("server", THIRD, tiny)
    operator = {"submitter_name": "admin@coordinator.org", "cloned_from": SECOND}
    write_json(clone.run_dir / "meta.json", operator)
    assert clone.run().state.folder == run.state.folder
    check_terms(clone.run(), clone.context())
    record_own_start(clone.run(), clone.context())
    assert read_events(run.state.folder)[-1]["event"] == "cloned"


def test_a_clone_of_a_job_that_another_went_on_from_takes_no_longer_model_for_its_own(
    second, party, tiny
):
    run, _ = second()
    write_json(run.state.folder / "state.json", {"version": 5})
    tiny["training"] |= {"rounds": 2, "continues": ""}
    clone = party("server", THIRD, tiny)
    write_json(clone.run_dir / "meta.json", {"submitter_name": "lead", "cloned_from": FIRST})
    with pytest.raises(ConfigError, match=r"'training\.rounds' is 2, and 5 of the run"):
        check_terms(clone.run(), clone.context())


def test_it_may_finish_its_evaluation_after_a_kill(second):
    run, fl_ctx = second([("training.rounds", 4)])
    check_terms(run, fl_ctx)
    record_own_start(run, fl_ctx)
    write_json(run.state.folder / "state.json", {"version": 4})
    check_terms(run, fl_ctx)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([("training.seed", 1)], r"'training.seed' is 1, it was 0; take these settings as they"),
        ([("data.spacing", [6.0] * 3)], r"'data.spacing' is \[6.0, 6.0, 6.0\], it was \[12"),
        ([("screening.clip", 2.0)], "'screening.clip' is 2.0"),
        (
            [("training.rounds", DONE)],
            "'training.rounds' is 2, and the run .* so many; ask",
        ),
        ([("training.rounds", 1)], "'training.rounds' is 1, and 2 of the run .* ask for more"),
    ],
)
def test_what_would_be_another_run_is_refused(second, changes, text):
    run, fl_ctx = second(changes)
    with pytest.raises(ConfigError, match=text):
        check_terms(run, fl_ctx)


def test_a_job_of_another_lead_is_not_gone_on_with(second):
    run, fl_ctx = second(begun_by="somebody@hospital-b.org")
    with pytest.raises(ConfigError, match="somebody else submitted") as error:
        check_terms(run, fl_ctx)
    assert "hospital-b" not in str(error.value)


def test_a_refused_job_has_nothing_of_the_other_run_in_its_results(second, party, tiny):
    run, _ = second(begun_by="somebody@hospital-b.org")
    folder = run.state.folder
    write_json(folder / "rounds.jsonl", {})
    waiting = folder / "incoming/0"
    waiting.mkdir(parents=True)
    refused = party("server", THIRD, tiny)
    with pytest.raises(ConfigError, match="somebody else"):
        open_run(refused.context(**meta("lead")))
    assert refused.run().state.version == 0 and refused.run().state.rounds() == []
    assert refused.run().state.load_last() is None
    assert not refused.run().state.folder.is_relative_to(folder.parent)
    record_failure(refused.context(), "it may not go on")
    assert waiting.is_dir()
    assert [event["job"] for event in read_events(folder)] == [FIRST]


def test_a_job_that_is_not_there_is_named(second):
    run, fl_ctx = second(done=0)
    with pytest.raises(ConfigError, match=f"{FIRST}, and this server has no finished round"):
        check_terms(run, fl_ctx)


def test_the_simulator_has_no_earlier_job(party, tiny):
    tiny["training"]["continues"] = FIRST
    server = party("simulator_server", "simulate_job", tiny)
    with pytest.raises(ConfigError, match="the simulator empties its workspace"):
        check_terms(server.run(), server.context())


def test_the_note_of_a_run_is_written_once_and_for_its_owner_only(party):
    server = party("server", FIRST)
    check_terms(server.run(), server.context(**meta("lead")))
    path = server.run().state.folder / TERMS
    check_terms(server.run(), server.context(**meta("another")))
    assert json.loads(path.read_text())["submitter"] == "lead"
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["../../etc", "11111111", FIRST.upper(), f"{FIRST}/.."])
def test_only_an_id_of_a_job_is_taken(tiny, text):
    tiny["training"]["continues"] = text
    with pytest.raises(ConfigError, match="which is no job's id"):
        job_from(tiny, "training.json")


def test_two_processes_never_work_on_one_run(party):
    first, second = party("server", FIRST), party("server", FIRST)
    claim_run(first.run(), 0.1)
    with pytest.raises(ConfigError, match="another job works on this run"):
        claim_run(second.run(), 0.1)
    claim = first.run().claim
    assert claim is not None and Path(claim.name).name == "lock"
    assert Path(claim.name).parent.stat().st_mode & 0o077 == 0
    claim.close()  # as when the process ends
    claim_run(second.run(), 0.1)


def test_a_file_system_without_locks_is_told_and_ends_no_job(party, monkeypatch):
    def no_locks(stream, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    run = party("server", FIRST).run()
    claim_run(run, 0.1)
    assert "no locks there (No locks available)" in run.take_notes()[0]


def test_settings_that_a_newer_version_has_are_no_difference(second):
    run, fl_ctx = second()
    path = run.state.folder / TERMS
    begun = json.loads(path.read_text())
    del begun["settings"]["training"]["minutes"], begun["settings"]["training"]["warmup"]
    write_json(path, begun)
    check_terms(run, fl_ctx)
