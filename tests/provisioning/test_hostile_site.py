"""Hospitals with their real names over mTLS, alone and beside one that sends what it likes."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from drills.hostile_kit import make_hostile
from fedvox.flare.jobs.export import export_job
from fedvox.flare.loopback.dry_run import write_phantom_sites
from fedvox.flare.loopback.federation import Federation
from fedvox.flare.loopback.kits import Kits, provision
from fedvox.flare.loopback.submission import DONE, collect, submit, watch
from fedvox.inference.model_files.model_file import read_model
from fedvox.metrics.table import MetricRow, read_csv
from fedvox.tensors import weights_hash

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
JOB = ROOT / "jobs/fedgin"
SERVER = "FedVox-1.Klinikum-Nord.example"
LONG = "Universitaetsklinikum-Bonn_Radiologie-und-Nuklearmedizin_A-1"
HONEST = (LONG, "hospital-b-2")
HOSTILE = "Ukb-X_3"
MESSAGES = 180


@pytest.fixture(scope="module")
def kits(work: Path, project: Callable[[], dict[str, Any]]) -> Kits:
    """A server whose name holds dots, two honest hospitals and a hostile one."""
    found = project()
    people = [entry for entry in found["participants"] if entry["type"] == "admin"]
    (server,) = (entry for entry in found["participants"] if entry["type"] == "server")
    server |= {"name": SERVER, "default_host": "localhost", "host_names": ["localhost"]}
    sites = [{"name": n, "type": "client", "org": "hospital_a"} for n in (*HONEST, HOSTILE)]
    return provision({**found, "participants": [server, *sites, *people]}, work / "kits")


@pytest.fixture(scope="module")
def job(work: Path, tiny_overrides: list[str]) -> Path:
    """Two compressed rounds, so that the hostile site is sent steps and may send payloads."""
    changes = [*tiny_overrides, "training.rounds=2", 'phantom.modalities=["ct","mr","ct"]']
    changes += ["compression.up.keep=0.2", "compression.down.keep=0.2", "compression.small=64"]
    return export_job(JOB, work / "jobs", "preinstalled", changes, "tiny")


@pytest.fixture(scope="module")
def federation(kits: Kits, job: Path, work: Path) -> Iterator[Federation]:
    """The honest hospitals only."""
    write_phantom_sites(kits, job, work)
    with Federation(kits, HONEST, make_hostile(kits, HOSTILE, HONEST[1])) as running:
        yield running


@pytest.fixture(scope="module")
def alone(federation: Federation, lead: Any, job: Path, work: Path) -> Path:
    """Results of a run of the honest hospitals."""
    job_id = submit(lead, job, work)
    assert watch(federation, lead, job_id, 2) == DONE
    return collect(federation, lead, job_id, work, work / "alone")


def test_all_rows_of_hospitals_with_real_names_reach_the_table(alone):
    rows = read_csv(alone / "metrics.csv", MetricRow)
    organs = 6
    for model in ("global_best", "global_last", *HONEST):
        for site in HONEST:
            own = [row for row in rows if (row.model, row.site) == (model, site)]
            assert sorted({row.split for row in own}) == ["test", "val"]
            assert len(own) == 2 * organs
    assert len(rows) == 4 * 2 * 2 * organs
    assert len(LONG) == 60
    assert {path.name for path in (alone / "tb").iterdir()} == set(HONEST)
    for record in map(json.loads, (alone / "rounds.jsonl").read_text().splitlines()):
        assert record["refused"] == record["missing"] == []


def test_a_hostile_site_changes_nothing(federation, lead, alone, job, work, replicas):
    server = federation.kits.kit(SERVER)
    federation.sites.append(HOSTILE)
    federation.start(HOSTILE)
    federation.wait_for_sites(lead)
    before = size(server)
    memory = Peak(server)
    job_id = submit(lead, job, work)
    assert watch(federation, lead, job_id, 2) == DONE
    peak = memory.stop()
    grown = size(server) - before
    sent = (federation.kits.kit(HOSTILE) / "hostile.txt").read_text().splitlines()
    assert len(sent) >= MESSAGES
    out = collect(federation, lead, job_id, work, work / "beside")
    for name in ("metrics.csv", "summary.csv"):
        assert (out / name).read_bytes() == (alone / name).read_bytes(), name
    written = [read_model(folder / "model.safetensors") for folder in (alone, out)]
    assert len({weights_hash(model.weights) for model in written}) == 1
    assert len({model.description["round"] for model in written}) == 1
    records = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    for record in records:
        assert {entry["site"] for entry in record["contributors"]} <= set(HONEST)
        assert {entry["site"] for entry in record["refused"]} == {HOSTILE}
    for record in records[:-1]:
        reasons = [entry["reason"] for entry in record["refused"]]
        assert "compressed update: of another model than the one of this round" in reasons
    held = replicas(job_id)
    assert len({held[site] for site in HONEST}) == 1
    told = " ".join(entry["reason"] for entry in records[-1]["refused"])
    assert "its report on global_last speaks of more" in told and "its own model" in told
    assert size(out) < size(alone) + 2**20
    assert grown < size(alone) * 8 + 2**23
    kept = (work / "download" / job_id / "workspace/cross_site_val").rglob("*")
    models = {"SRV_global_best", "SRV_global_last", *HONEST}
    assert {path.name for path in kept if path.is_file()} == models
    assert not list(work.rglob("hostile"))
    assert 0 < peak < 3 * 2**30
    shutil.rmtree(out)


def size(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Peak:
    """Most memory that a process of a participant takes while it is watched."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bytes, self.done = folder, 0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def stop(self) -> int:
        self.done.set()
        self.thread.join()
        return self.bytes

    def _watch(self) -> None:
        while not self.done.wait(0.5):
            for process in psutil.process_iter():
                try:
                    if self.folder in (Path(process.cwd()), *Path(process.cwd()).parents):
                        self.bytes = max(self.bytes, process.memory_info().rss)
                except (psutil.Error, OSError):
                    continue
