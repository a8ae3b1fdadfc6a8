"""`fedvox doctor --job` decides about a job's classes and code as FLARE would."""

import json
import shutil
import time
from pathlib import Path

import pytest

from fedvox.doctor.job import check_allow_list, check_waiting
from fedvox.doctor.kit import open_kit

ROOT = Path(__file__).parents[2]
CLIENT = "app/config/config_fed_client.json"


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def checked(place):
    finding = check_allow_list(place.job, open_kit(place.kit))
    assert finding.status == "PASS" or finding.remedy
    return finding.status, finding.message


def add_component(place, **part):
    path = place.job / CLIENT
    change(path, components=[*json.loads(path.read_text())["components"], part])


def grant(place, **rights):
    path = place.local / "authorization.json"
    policy = json.loads(path.read_text())
    policy["permissions"]["lead"] = rights
    path.write_text(json.dumps(policy))


@pytest.fixture
def carried(place, carried_job):
    shutil.rmtree(place.job)
    shutil.copytree(carried_job, place.job)
    return place


def test_an_export_is_covered(place):
    assert checked(place) == ("PASS", "covers every class of the job")


def test_a_servers_kit_is_asked_about_the_servers_classes(place, kits):
    kit = open_kit(kits.kit(kits.server))
    assert check_allow_list(place.job, kit).status == "PASS"
    change(place.job / "app/config/config_fed_server.json", components=[{"id": "x", "path": "a.b"}])
    assert check_allow_list(place.job, kit).message == "local/resources.json does not allow a.b"


def test_another_app_is_refused(place):
    (place.job / "app2/custom").mkdir(parents=True)
    change(place.job / "meta.json", deploy_map={"app2": ["@ALL"]})
    assert checked(place) == ("FAIL", "meta.json deploys 'app2', an export only 'app'")
    change(place.job / "meta.json", deploy_map={})
    assert checked(place)[0] == "FAIL"


def test_one_app_for_named_sites_is_fine(place):
    change(place.job / "meta.json", deploy_map={"app": ["server", "site-1"]})
    assert checked(place)[0] == "PASS"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"name": "ConvertToFedEvent", "args": {}}, "name is not allowed"),
        ({"path": "fedvox.flare.executor.FedVoxExecutor", "name": "x"}, "name is not allowed"),
        ({"path": "{x}", "args": {}}, "fully qualified dotted Python path"),
        ({"path": 3, "args": {}}, "must be str"),
        ({"path": "os.system", "args": {}}, "does not allow os.system"),
        ({"class_path": "os.system"}, "does not allow os.system"),
        ({"args": {"a": [{"path": "os.x"}]}, "class_path": "a.b"}, "does not allow a.b, os.x"),
    ],
)
def test_a_component_that_flare_refuses_is_named(place, part, words):
    add_component(place, id="x", **part)
    status, message = checked(place)
    assert status == "FAIL" and words in message


@pytest.mark.parametrize("entry", ["fedvox", " os.path.x", "a..b", "", 3, "."])
def test_an_allow_list_that_flare_cannot_use_is_a_fault(place, entry):
    path = place.local / "resources.json"
    policy = json.loads(path.read_text())
    change(path, class_allow_list=[*policy["class_allow_list"], entry])
    status, message = checked(place)
    assert status == "FAIL" and message.startswith("FLARE refuses the job here: allow_list entr")


def test_an_entry_covers_what_lies_below_it_as_in_flare(place):
    change(place.local / "resources.json", class_allow_list=["fedvox.flare", "nvflare."])
    assert checked(place)[0] == "PASS"


@pytest.mark.parametrize("site", ["default", "site-1"])
def test_an_image_of_the_jobs_choice_is_code(place, site):
    change(place.job / "meta.json", launcher_spec={site: {"docker": {"image": "evil"}}})
    assert "grants nobody that right (byoc)" in checked(place)[1]
    grant(place, byoc="any")
    assert checked(place)[0] == "FAIL" and "image" in checked(place)[1]


def test_an_image_for_another_site_is_not_this_ones_concern(place):
    change(place.job / "meta.json", launcher_spec={"site-9": {"docker": {"image": "x"}}})
    assert checked(place)[0] == "PASS"


@pytest.mark.parametrize("rights", [{"byoc": "any"}, {"BYOC": "any"}, {" byoc ": "o:x"}])
def test_carried_code_at_a_site_that_allows_it_is_to_be_read(carried, rights):
    grant(carried, **rights)
    status, message = checked(carried)
    assert (status, "allowed for lead" in message) == ("WARN", True)


@pytest.mark.parametrize("rights", [{"byoc": "no"}, {"byoc": "None"}, {"view": "any"}])
def test_carried_code_at_a_site_that_does_not_is_refused(carried, rights):
    grant(carried, **rights)
    assert checked(carried)[0] == "FAIL"


def test_a_file_or_link_in_the_place_of_code_counts_as_code(place):
    (place.job / "app/custom").symlink_to("/nowhere")
    assert "grants nobody that right" in checked(place)[1]


def test_a_carried_jobs_configuration_is_code(carried):
    grant(carried, byoc="any")
    add_component(carried, id="x", path="subprocess.check_output", args={"args": ["id"]})
    status, message = checked(carried)
    assert status == "FAIL" and "'subprocess.check_output'" in message


JOB = ROOT / "jobs/fedgin"


def test_a_job_that_waits_for_the_site_is_fine():
    finding = check_waiting(JOB, round_seconds=100.0, preparing_seconds=149.0)
    assert finding.status == "PASS"
    assert finding.message == "a local round takes about 100 s here, the job waits 3600 s"


def test_a_site_that_prepares_longer_than_the_start_waits_is_told_key_and_value():
    finding = check_waiting(JOB, round_seconds=100.0, preparing_seconds=400.0)
    assert finding.status == "WARN"
    assert "preparing the cases takes about 400 s, it waits 300 s" in finding.message
    assert finding.remedy.endswith("export it with at least --set waiting.handshake=800")


def test_a_slow_site_is_told_both():
    finding = check_waiting(JOB, round_seconds=2000.0, preparing_seconds=400.0)
    assert "a local round takes about 2000 s, it waits 3600; preparing" in finding.message
    assert "--set waiting.first=4000 --set waiting.handshake=800" in finding.remedy


def test_a_fixed_wait_is_what_a_site_is_held_against(place):
    change(place.job / "app/config/training.json", waiting={"round": 30.0})
    assert "it waits 30" in check_waiting(place.job, 16.0).message
    assert check_waiting(place.job, 1.0).message.endswith("1 s here, the job waits 30 s")


def test_slow_preparation_of_the_sites_own_cases_is_noticed(found, monkeypatch):
    from fedvox.doctor import data

    real = data.prepare_case

    def slow(*args):
        time.sleep(0.2)
        return real(*args)

    monkeypatch.setattr(data, "prepare_case", slow)
    monkeypatch.setattr("fedvox.doctor.job.WAIT_FACTOR", 1e4)
    found("waiting", "preparing the cases takes about")


@pytest.mark.parametrize(("load", "busy"), [(0.1, False), (1000.0, True)])
def test_a_slow_round_of_a_busy_machine_is_to_be_measured_again(place, monkeypatch, load, busy):
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    finding = check_waiting(place.job, 1e6)
    assert finding.status == "WARN"
    assert finding.remedy.startswith("other programs keep this machine busy") == busy
    assert "ask the lead to export it with at least" in finding.remedy
