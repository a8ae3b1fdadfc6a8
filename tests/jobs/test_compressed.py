"""Compressed updates under `nvflare simulator`: bytes on the wire, and the in-process reference.

The updates have a little noise too, so that this is compared as well.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fedvox.compression.replica import replica_of
from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import job_settings
from fedvox.flare.loopback.simulate import simulate
from fedvox.privacy.accountant import Spend, spent
from fedvox.training.in_process import run_in_process

pytestmark = pytest.mark.system
JOBS = Path(__file__).parents[2] / "jobs"
SITES = ("site-1", "site-2")
REPORTER = "nvflare.app_common.widgets.job_stats_reporter.JobStatsReporter"
MB = 2**20
HEADERS = 1000
"""Bytes of a message beside its content."""
COMPRESSED = [
    "compression.up.keep=0.05",
    "compression.down.keep=0.05",
    "network.channels=[16,32]",
    "training.rounds=3",
    "evaluation.site_models=false",
    "privacy.noise=0.001",
    "privacy.epsilon=1e9",
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, tiny_overrides: list[str]) -> Path:
    """With FLARE's own reporter at the server."""
    folder, changes = tmp_path_factory.mktemp("job"), [*tiny_overrides, *COMPRESSED]
    job = export_job(JOBS / "fedgin", folder, "pinned", changes, "compressed")
    path = job / "app/config/config_fed_server.json"
    config = json.loads(path.read_text())
    config["components"].append({"id": "job_stats", "path": REPORTER, "args": {}})
    path.write_text(json.dumps(config))
    return job


@pytest.fixture(scope="module")
def work(job: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    simulate(job, 2, work, threads=2)
    return work / "run"


def test_simulator_equals_the_in_process_reference(
    job: Path, work: Path, phantom_sites, tmp_path: Path
) -> None:
    settings = job_settings(job)
    reference = run_in_process(phantom_sites(settings), settings, tmp_path / "run")
    (path,) = work.glob("server/simulate_job/fedvox_state/*/model_00003.safetensors")
    simulated = load_file(str(path))
    assert replica_of(3, simulated) == replica_of(3, reference.last)
    for name in SITES:  # what the last round began with, at every site
        (path,) = work.glob(f"{name}/simulate_job/fedvox_state/*/replica.safetensors")
        (own,) = (tmp_path / "run" / name).parent.glob("server/model_00002.safetensors")
        held = load_file(str(path))
        assert replica_of(2, held) == replica_of(2, load_file(str(own)))


def test_the_record_and_the_report_say_what_the_noise_cost(work: Path) -> None:
    folder = work / "server/simulate_job/fedvox"
    records = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    told = [[entry["epsilon"] for entry in record["contributors"]] for record in records[:3]]
    assert told == [[round(spent([Spend(0.001)] * (index + 1), 1e-5), 4)] * 2 for index in range(3)]
    assert all(entry["train_loss"] is None for entry in records[0]["contributors"])
    assert "Privacy by site" in (folder / "report.html").read_text()


def test_the_record_holds_the_bytes_of_the_messages(job: Path, work: Path) -> None:
    lines = (work / "server/simulate_job/fedvox/rounds.jsonl").read_text().splitlines()
    *rounds, final = map(json.loads, lines)
    (path,) = work.glob("server/simulate_job/fedvox_state/*/model_00003.safetensors")
    whole = 2 * sum(np.asarray(array).nbytes for array in load_file(str(path)).values())
    for record in rounds:
        assert 0 < record["bytes_down"] < 0.1 * whole
        assert 0 < record["bytes_up"] < 0.1 * whole
        parts = record["contributors"]
        assert record["bytes_up"] == sum(entry["bytes_up"] for entry in parts)
    assert final["bytes_down"] > 2 * whole  # two models to two sites, whole
    assert 0 < final["bytes_up"] < final["bytes_down"]


def test_flare_s_own_reporter_counts_the_same_bytes(work: Path) -> None:
    """Per task it adds up names and values; in sum it sees all that FLARE sends, polls included."""
    server = work / "server/simulate_job"
    stats = json.loads((server / "job_stats_run_summary.json").read_text())
    records = [json.loads(r) for r in (server / "fedvox/rounds.jsonl").read_text().splitlines()]
    tasks = {(own["round"], own["client"]): own for own in stats["timing"]["tasks"]}
    for record in records[:-1]:
        for entry in record["contributors"]:
            told = tasks[record["round"], entry["site"]]
            assert 0 < entry["bytes_down"] - MB * told["task_payload_mb"] < HEADERS
            assert 0 < entry["bytes_up"] - MB * told["model_update_mb"] < HEADERS
    seen = stats["communication"]["transport"]
    for ours, way in (("bytes_down", "sent"), ("bytes_up", "received")):
        ledger, most = sum(record[ours] for record in records), seen[f"item_count_{way}"]
        assert ledger < MB * seen[f"streamed_{way}_mb"] < ledger + most * HEADERS
