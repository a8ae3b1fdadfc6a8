"""Provisioned kits as a running federation over mTLS: who gets in, which job runs, what leaves."""

import json
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from drills.strangers import KINDS, attempt, refusals, server_speaks, stranger
from fedvox.doctor.kit import open_kit
from fedvox.doctor.network import check_port
from fedvox.finding import FAIL, PASS
from fedvox.flare.jobs.export import export_job
from fedvox.flare.loopback.dry_run import write_phantom_sites
from fedvox.flare.loopback.federation import Federation
from fedvox.flare.loopback.kits import Kits, provision
from fedvox.flare.loopback.submission import (
    collect,
    first_error,
    submit,
    submit_by_console,
    watch,
)

pytestmark = pytest.mark.system
JOB = Path(__file__).parents[2] / "jobs/fedgin"
LEAD, MEMBER, ORG_ADMIN = "lead@hospital-a.org", "member@hospital-b.org", "it@hospital-a.org"
SITES = ("site-1", "site-2", "site-3")
TRIES = 2
COMPRESSED = (
    "network.channels=[16,32]",
    "training.rounds=2",
    "compression.up.keep=0.05",
    "compression.down.keep=0.05",
)
NOISE, LITTLE = "fedvox.flare.noise.NoisyUpdate", {"noise": 1e-3, "epsilon": 1e12}
GUEST = {"name": "guest", "type": "client", "org": "hospital_d"}


@pytest.fixture(scope="module")
def kits(work: Path, project: Callable[[], dict[str, Any]]) -> Kits:
    """Three hospitals; the first forbids carried code, the second's policy adds noise."""
    found = project()
    for entry in found["participants"]:
        if entry["name"] in ("site-2", "site-3"):
            entry["byoc"] = True
    kits = provision(found, work / "kits")
    path = kits.kit("site-2") / "local/privacy.json"
    policy = json.loads(path.read_text())
    policy["scopes"][0]["task_result_filters"].append({"path": NOISE, "args": LITTLE})
    path.write_text(json.dumps(policy))
    return kits


@pytest.fixture(scope="module")
def job(work: Path, tiny_overrides: list[str]) -> Callable[..., Path]:
    """A function that exports the tiny job in a trust mode, with more changes."""

    def export(code: str = "preinstalled", name: str = "tiny", more: Sequence[str] = ()) -> Path:
        changes = [*tiny_overrides, 'phantom.modalities=["ct","mr","mr"]', *more]
        return export_job(JOB, work / "jobs", code, changes, name)

    return export


@pytest.fixture(scope="module")
def plain(job: Callable[..., Path]) -> Path:
    return job(more=COMPRESSED)


@pytest.fixture(scope="module")
def federation(kits: Kits, plain: Path, work: Path) -> Iterator[Federation]:
    write_phantom_sites(kits, plain, work)
    with Federation(kits) as running:
        yield running
    deadline = time.monotonic() + 120
    while running.processes() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert running.processes() == []


def contributors(folder: Path) -> list[str]:
    first = json.loads((folder / "rounds.jsonl").read_text().splitlines()[0])
    return [entry["site"] for entry in first["contributors"]]


def test_a_job_without_code_runs_on_all_three_which_then_hold_the_same_model(
    federation, lead, plain, work, replicas
):
    job_id = submit_by_console(federation, LEAD, plain)
    assert watch(federation, lead, job_id, 2) == "FINISHED:COMPLETED"
    out = collect(federation, lead, job_id, work, work / "console")
    assert contributors(out) == list(SITES)
    archive = federation.kits.kit("localhost") / "jobs-storage/jobs" / job_id / "data"
    names = zipfile.ZipFile(archive).namelist()
    assert not [name for name in names if "custom" in name or name.endswith((".py", ".whl"))]
    check_traffic(out)
    check_noise(out, work / "cache")
    held = replicas(job_id)
    assert set(held) == set(SITES) and len(set(held.values())) == 1
    assert {path.name for path in out.iterdir()} >= {"report.html", "model.safetensors", "tb"}


def check_noise(out: Path, caches: Path) -> None:
    """One site's policy gave each of its updates noise, without a word in the job."""
    rounds = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()[:2]]
    told = [{e["site"]: e.get("epsilon") for e in record["contributors"]} for record in rounds]
    assert [entry.pop("site-1") or entry.pop("site-3") for entry in told] == [None, None]
    (ledger,) = caches.glob("**/privacy_site-2.jsonl")
    spent = [json.loads(line)["epsilon"] for line in ledger.read_text().splitlines()]
    assert [entry["site-2"] for entry in told] == [round(value, 4) for value in spent[:2]]


def check_traffic(out: Path) -> None:
    """Steps went to every site, also to the one that forbids carried code, and payloads back."""
    whole = (out / "model.safetensors").stat().st_size
    for record in map(json.loads, (out / "rounds.jsonl").read_text().splitlines()[:2]):
        for entry in record["contributors"]:
            assert 0 < entry["bytes_up"] < 0.1 * whole and 0 < entry["bytes_down"] < 0.1 * whole


def test_carried_code_is_refused_where_it_is_forbidden_and_the_others_finish(
    federation, lead, job, work
):
    job_id = submit(lead, job("carried", "carried"), work)
    assert watch(federation, lead, job_id, 1) == "FINISHED:COMPLETED"
    out = collect(federation, lead, job_id, work, work / "carried")
    assert contributors(out) == ["site-2", "site-3"]
    details = " ".join(lead.get_job_meta(job_id)["job_deploy_detail"])
    assert "site-1: " in details
    assert "BYOC" in details.split("site-1: ")[1].split("site-2")[0]


@pytest.mark.parametrize("user", [MEMBER, ORG_ADMIN])
def test_members_and_org_admins_cannot_submit(federation, lead, plain, work, user):
    before = {entry["job_id"] for entry in lead.list_jobs()}
    session = federation.session(user)
    refused = 0
    try:
        for number in range(TRIES):
            copy = work / "unwanted" / f"{user}-{number}" / "tiny"
            shutil.copytree(plain, copy)
            with pytest.raises(Exception, match=r"(?i)authoriz"):
                session.submit_job(str(copy))
            refused += 1
    finally:
        session.close()
    assert refused == TRIES
    assert {entry["job_id"] for entry in lead.list_jobs()} == before


def test_a_class_that_a_site_does_not_allow_is_refused_by_name(federation, lead, plain, work):
    job = work / "foreign" / "foreign"
    shutil.copytree(plain, job)
    path = job / "app/config/config_fed_client.json"
    config = json.loads(path.read_text())
    component = {"id": "x", "path": "nvflare.app_common.np.np_trainer.NPTrainer", "args": {}}
    config["components"].append(component)
    path.write_text(json.dumps(config))
    job_id = submit(lead, job, work)
    assert watch(federation, lead, job_id, 1) != "FINISHED:COMPLETED"
    log = (federation.kits.kit("site-2") / job_id / "log.txt").read_text()
    assert "nvflare.app_common.np.np_trainer.NPTrainer" in log


def test_another_version_is_refused_with_both(federation, lead, plain, work):
    job = work / "old" / "old"
    shutil.copytree(plain, job)
    path = job / "app/config/versions.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fedvox": "0.0.1"}))
    job_id = submit(lead, job, work)
    assert watch(federation, lead, job_id, 1) != "FINISHED:COMPLETED"
    reason = first_error(federation, job_id)
    assert "the job needs fedvox 0.0.1, this machine has 0.1.0" in reason


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "name"])
def test_tls_refuses_a_strangers_certificate(federation, kits, tmp_path, kind):
    kit = stranger(kits, "site-3", kind, tmp_path)
    assert not server_speaks(kits, kit)
    if kind != "none":
        assert check_port(open_kit(kit)).status == FAIL


def test_a_client_with_a_name_that_no_hospital_has_does_not_join(federation, lead, kits, tmp_path):
    kit, console = stranger(kits, "site-3", "name", tmp_path), federation.output(kits.server)
    assert server_speaks(kits, kit) and check_port(open_kit(kit)).status == PASS
    before = refusals(console)
    tried = attempt(kit, "stranger", tmp_path, federation.mark)
    joined: set[str] = set()
    try:
        deadline = time.monotonic() + 600
        while refusals(console) == before and time.monotonic() < deadline:
            time.sleep(1)
        assert refusals(console) > before
        for _ in range(5):
            joined |= {client.name for client in lead.get_system_info().client_info}
            time.sleep(1)
    finally:
        tried.end()
    assert joined == {"site-1", "site-2", "site-3"}


def test_the_same_attempt_with_a_right_kit_joins(federation, lead, kits, tmp_path):
    """The control: what keeps strangers out is their certificate, not how the test starts them."""
    project = {**kits.project, "participants": [*kits.project["participants"], GUEST]}
    guest = provision(project, kits.folder.parents[1]).kit("guest")
    assert server_speaks(kits, guest)
    assert check_port(open_kit(guest)).status == PASS
    tried = attempt(guest, "guest", tmp_path, federation.mark)
    try:
        deadline = time.monotonic() + 60
        joined: set[str] = set()
        while "guest" not in joined and time.monotonic() < deadline:
            joined = {client.name for client in lead.get_system_info().client_info}
            time.sleep(1)
    finally:
        tried.end()
    assert "guest" in joined
