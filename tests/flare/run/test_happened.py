import json

import pytest

from fedvox.aggregation.events_file import read_events
from fedvox.flare.restarts.job_rescue import EARLIER
from fedvox.flare.restarts.start import RESTARTS, SIGNAL, note_progress, read_progress
from fedvox.flare.run.happened import START, SiteStarts, publish_start, record_own_start
from fedvox.flare.run.places import STATE

FIRST = {"id": "0" * 32, "restarts": 0, "signal": 0}
SECOND = {"id": "1" * 32, "restarts": 1, "signal": 9}


def happened(server) -> list[tuple[str, str]]:
    return [(event["event"], event["site"]) for event in read_events(server.run().results)]


def test_starts_of_the_servers_process_are_told_apart(server, monkeypatch):
    run = server.run()
    record_own_start(run, server.context())
    record_own_start(run, server.context())
    monkeypatch.setenv(RESTARTS, "1")
    monkeypatch.setenv(SIGNAL, "11")
    record_own_start(run, server.context())
    assert [kind for kind, _ in happened(server)] == ["started", "resumed", "server_restarted"]
    assert "ended by signal 11 and started again" in run.take_notes()[-1]
    assert read_events(run.state.folder) == read_events(run.results)


def test_a_clone_goes_on_with_the_events_of_its_run(server):
    run = server.run()
    record_own_start(run, server.context())
    run.job_id = "the-clone"
    record_own_start(run, server.context())
    assert happened(server)[-1] == ("cloned", "server")


def test_what_an_earlier_deployment_left_is_in_the_results_again(server):
    run = server.run()
    record_own_start(run, server.context())
    (run.results / "events.jsonl").unlink()
    earlier = server.root / STATE / EARLIER / run.job_id / "1"
    (earlier / "tb").mkdir(parents=True)
    (earlier / "tb/events.1").write_text("curves")
    (earlier / "log.txt").write_text("log")
    record_own_start(run, server.context())
    assert [kind for kind, _ in happened(server)] == ["started", "resumed"]
    assert (run.results / "tb/events.1").read_text() == "curves"
    assert (run.results / EARLIER / "1/log.txt").read_text() == "log"


def test_a_site_tells_of_each_start(party, monkeypatch):
    monkeypatch.setenv(RESTARTS, "2")
    monkeypatch.setenv(SIGNAL, "9")
    site = party("site-1")
    fl_ctx = site.context()
    publish_start(fl_ctx)
    value = fl_ctx.get_prop(START)
    assert (len(value["id"]), value["restarts"], value["signal"]) == (32, 2, 9)


def test_a_site_that_is_back_is_on_record_once(server):
    starts, run = SiteStarts(), server.run()
    for value in (FIRST, FIRST, SECOND, SECOND):
        starts.note("a", value, run, server.context())
    assert happened(server) == [("site_restarted", "a")]
    (note,) = run.take_notes()
    assert note == "a is back: the job's process was ended by signal 9 and started again"


def test_a_site_that_was_started_anew_as_a_whole_is_on_record(server):
    starts = SiteStarts()
    for value in (FIRST, FIRST | {"id": "2" * 32}):
        starts.note("a", value, server.run(), server.context())
    assert read_events(server.run().results)[0]["text"] == "a is back: it was started again"


@pytest.mark.parametrize(
    "value",
    [None, "x", {}, FIRST | {"id": "<b>"}, FIRST | {"restarts": -1}, FIRST | {"signal": "9"}],
)
def test_what_is_not_of_its_form_says_nothing(server, value):
    starts, run = SiteStarts(), server.run()
    starts.note("a", FIRST, run, server.context())
    starts.note("a", value, run, server.context())
    assert happened(server) == []


def test_a_site_cannot_fill_the_disk_with_starts(server, monkeypatch):
    monkeypatch.setattr("fedvox.flare.run.happened.MOST_STARTS", 5)
    starts = SiteStarts()
    for number in range(50):
        value = {"id": f"{number:032x}", "restarts": number, "signal": 9}
        starts.note("a", value, server.run(), server.context())
    assert len(happened(server)) == 4


def test_short_lived_processes_of_the_simulator_are_no_event(party):
    server = party("simulate_job/server", job_id="simulate_job")
    starts = SiteStarts()
    for value in (FIRST, SECOND):
        starts.note("a", value, server.run(), server.context())
    assert happened(server) == []


def test_a_line_that_a_kill_cut_off_is_left_out(server):
    run = server.run()
    record_own_start(run, server.context())
    path = run.results / "events.jsonl"
    path.write_text(path.read_text() + json.dumps({"time": "now"})[:5])
    assert happened(server) == [("started", "server")]


def test_progress_is_what_was_noted_last(tmp_path):
    assert read_progress(tmp_path) == ""
    note_progress(tmp_path, "round 1")
    note_progress(tmp_path, "round 2")
    assert read_progress(tmp_path) == "round 2"
