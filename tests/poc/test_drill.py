"""What a drill's figures say, without a federation; the drills themselves are `make drill`."""

import json

import pytest

import drill
from fedvox.errors import ConfigError, FedVoxError

DONE = [
    {"drill": "kill_server", "killed": ["server"], "lost_seconds": 12.0, "passed": True},
    {"drill": "kill_two", "killed": ["site", "server"], "lost_seconds": 30.5, "passed": False},
    {"drill": "kill_two", "killed": ["site", "site"], "lost_seconds": 10.5, "passed": True},
    {"drill": "bad_updates", "messages": 500, "accepted": 1, "passed": False},
]


def test_figures_count_each_kill_and_each_lie():
    assert drill.figures(DONE) == {
        "drills": 4,
        "passed": 2,
        "server_kills": 2,
        "server_recovered": 1,
        "client_kills": 3,
        "client_recovered": 2,
        "bad_updates": 500,
        "bad_updates_accepted": 1,
    }


def test_the_table_has_a_line_per_drill_with_what_it_cost():
    rows = [line.split() for line in drill.table(DONE).splitlines()[1:]]
    assert rows == [
        ["kill_server", "1", "1", "12.0", "12.0"],
        ["kill_two", "2", "1", "20.5", "30.5"],
        ["bad_updates", "1", "0"],
    ]


def test_an_unknown_drill_is_named():
    with pytest.raises(ConfigError, match="kill_everybody: no such drill"):
        drill.chosen("kill_server,kill_everybody", "")
    assert drill.chosen(None, "disk_full") == [name for name in drill.DRILLS if name != "disk_full"]


@pytest.fixture
def staged(monkeypatch):
    """Drills that are played on no stage: names and seeds of those that were played."""
    told, works = [], {"good": True}

    class Nothing:
        def __init__(self, work):
            self.work = work

        def __enter__(self):
            return self

        def __exit__(self, *reason):
            pass

    def good(stage, seed, plain):
        told.append(("good", seed))
        return {"what": "", "passed": works["good"]}

    def hangs(stage, seed, plain):
        told.append(("hangs", seed))
        raise FedVoxError("the job hangs")

    monkeypatch.setattr(drill, "Stage", Nothing)
    monkeypatch.setattr(drill, "undisturbed", lambda stage: drill.Ended("done", 1.0, "", []))
    monkeypatch.setattr(drill, "DRILLS", {"good": good, "hangs": hangs})
    return told, works


def test_what_passed_is_not_played_again_and_what_failed_is(staged, tmp_path, monkeypatch, capsys):
    told, works = staged
    drill.run(["good"], 2, tmp_path)
    drill.run(["good"], 2, tmp_path)
    assert told == [("good", 0), ("good", 1)]
    with pytest.raises(FedVoxError, match=r"1 of 3 drills failed; their lines in .*drill\.jsonl"):
        drill.run(["hangs", "good"], 1, tmp_path)
    assert told[2:] == [("hangs", 0)]
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["passed"] == 2
    with pytest.raises(FedVoxError):
        drill.run(["hangs"], 1, tmp_path)
    assert told[3:] == [("hangs", 0)]
    monkeypatch.setattr(drill, "code_hash", lambda: "other")
    works["good"] = False
    with pytest.raises(FedVoxError, match="1 of 1"):
        drill.run(["good"], 1, tmp_path)
    assert told[4:] == [("good", 0)]
