"""Cases that end the process that works on them: real processes, really killed."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fedvox.data.cases.in_work import STEP, InWork, read_work, record_work, working_on
from fedvox.data.site.fatal import FATAL, absolve, watch_cases
from fedvox.errors import DataError
from fedvox.flare.restarts.start import Start, crashed

START = """
import json, os, signal, sys
from pathlib import Path
from fedvox.config import build
from fedvox.data.cases import prepare
from fedvox.data.settings import DataSettings
from fedvox.data.site.fatal import watch_cases
from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import SiteSettings

plan = json.loads(sys.argv[1])
real = prepare.checked_volumes

def read(images):
    if plan["fatal"] in str(images):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(images)

prepare.checked_volumes = read
state = Path(plan["state"])
site = build(SiteSettings, plan["site"], "site.json")
job = DataSettings(organs=("liver", "spleen"), spacing=(6.0,) * 3, patch=(8, 8, 8))
data = open_site("a", site, job, state, fatal=watch_cases(state, "job", plan["crashed"]))
print(json.dumps([len(data.train), len(data.val), len(data.test), list(data.skipped.values())]))
"""
IN_WORK = "in_work_job"
NAMES = [f"miller_anna_{number}" for number in range(6)]


@pytest.fixture(autouse=True)
def nothing_recorded():
    yield
    record_work(None)


def start(plan: dict) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", START, json.dumps(plan)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_case_that_ends_its_process_is_left_out_and_the_others_are_not(tmp_path, make_plain_site):
    root = make_plain_site(tmp_path / "scans", NAMES)
    split = {"train": NAMES[:4], "val": NAMES[4:5], "test": NAMES[5:]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    site = {
        "dataset": "plain",
        "root": str(root),
        "modalities": ["ct"],
        "split": str(tmp_path / "split.json"),
        "cache": str(tmp_path / "cache"),
        "workers": 3,
        "max_bad_fraction": 0.2,
    }
    plan = {"site": site, "state": str(tmp_path / "state"), "fatal": NAMES[1], "crashed": False}
    ends = []
    while not ends or ends[-1] == -signal.SIGKILL:
        done = start(plan)
        ends.append(done.returncode)
        plan["crashed"] = True
        assert len(ends) <= 5, "as often as the launcher starts a process in a row"
    assert ends[-1] == 0, done.stderr
    *parts, reasons = json.loads(done.stdout.splitlines()[-1])
    assert parts == [3, 1, 1]
    assert len(reasons) == 1 and "ended the site's process twice" in reasons[0]
    refused = start({**plan, "site": {**site, "max_bad_fraction": 0.1}, "crashed": False})
    assert "1 of 6 cases are unusable" in refused.stderr
    kept = "".join(path.read_text() for path in (tmp_path / "state").glob("*") if path.is_file())
    assert "miller" not in kept
    os.utime(root / f"images/{NAMES[1]}.nii.gz")  # as when it was mended
    done = start({**plan, "fatal": "none", "crashed": False})
    assert json.loads(done.stdout.splitlines()[-1]) == [4, 1, 1, []]


def ended_with(state: Path, *names: str) -> None:
    """Leaves what a process leaves that is killed while it works on cases."""
    state.mkdir(exist_ok=True)
    (state / IN_WORK).write_text("".join(f"{name}\n" for name in names))


def test_one_end_is_no_reason(tmp_path):
    ended_with(tmp_path, "a")
    found = watch_cases(tmp_path, "job", True)
    assert not found.names and found.one_by_one


def test_what_was_in_work_with_others_does_not_count(tmp_path):
    for _ in range(3):
        ended_with(tmp_path, "a", "b")
        found = watch_cases(tmp_path, "job", True)
    assert not found.names and found.one_by_one
    assert not (tmp_path / FATAL).exists()


def test_an_end_in_order_counts_nothing(tmp_path):
    for _ in range(3):
        ended_with(tmp_path, "a")
        found = watch_cases(tmp_path, "job", False)
    assert not found.names and not found.one_by_one


def test_a_task_that_ends_well_absolves(tmp_path):
    ended_with(tmp_path, "a")
    watch_cases(tmp_path, "job", True)
    with working_on(Path("a.safetensors")):  # as when it is validated before it is scored
        pass
    assert json.loads((tmp_path / FATAL).read_text()) == {"a": 1}
    absolve(tmp_path)
    assert json.loads((tmp_path / FATAL).read_text()) == {}
    ended_with(tmp_path, "a")
    assert not watch_cases(tmp_path, "job", True).names


def test_a_case_that_is_left_out_stays_so(tmp_path):
    for _ in range(2):
        ended_with(tmp_path, "a")
        watch_cases(tmp_path, "job", True)
    absolve(tmp_path)
    assert watch_cases(tmp_path, "job", False).names == {"a"}
    assert watch_cases(tmp_path, "a clone", False).names == {"a"}


def test_another_job_of_the_same_run_keeps_its_own_book(tmp_path):
    ended_with(tmp_path, "a")
    watch_cases(tmp_path, "another", False)
    watch_cases(tmp_path, "job", True)
    assert json.loads((tmp_path / FATAL).read_text()) == {"a": 1}


def test_a_step_is_no_case_and_what_is_read_meanwhile_not_to_blame(tmp_path):
    for names in ((STEP,), (STEP, "a"), (STEP,), (STEP, "a")):
        ended_with(tmp_path, *names)
        assert not watch_cases(tmp_path, "job", True).names


def test_a_damaged_count_is_told_with_the_remedy(tmp_path):
    (tmp_path / FATAL).write_text("[")
    with pytest.raises(DataError, match=r"fatal\.json is damaged; delete it"):
        watch_cases(tmp_path, "job", False)


def test_the_file_holds_what_is_in_work_and_no_more(tmp_path):
    path = tmp_path / IN_WORK
    work = InWork(path)
    with work.on("a"):
        with work.on("a"), work.on("bb"):
            assert read_work(path) == ["a", "bb"]
        assert read_work(path) == ["a"]
    assert read_work(path) == []


def test_a_full_disk_does_not_end_the_work(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    record_work(InWork(tmp_path / IN_WORK))
    monkeypatch.setattr(os, "pwrite", full)
    with working_on(Path("a.safetensors")):
        pass
    monkeypatch.undo()
    with working_on(Path("b.safetensors")):
        assert read_work(tmp_path / IN_WORK) == ["b"]


def test_work_ends_with_an_error_too(tmp_path):
    record_work(InWork(tmp_path / IN_WORK))
    with pytest.raises(DataError), working_on(Path("a.safetensors")):
        raise DataError("cannot be used")
    assert read_work(tmp_path / IN_WORK) == []


@pytest.mark.parametrize(
    ("number", "expected"), [(0, False), (9, True), (11, True), (7, True), (15, False), (2, False)]
)
def test_only_signals_that_nobody_sends_in_order_blame_a_case(number, expected):
    assert crashed(Start("id", 1, number)) is expected
