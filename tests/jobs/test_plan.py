"""The job `plan` under `nvflare simulator`, on tiny phantoms: from two sites' cases to a job."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import job_settings
from fedvox.phantoms.writer import write_phantom_site
from fedvox.planning.plan import read_plan

pytestmark = pytest.mark.system
JOBS = Path(__file__).parents[2] / "jobs"
SMALL = ["network.channels=[4,8]", "data.organs=liver,spleen"]
TRAINING_CASES = {"site-1": 5, "site-2": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Results folder and output of a run with two CT sites, of which one has too few cases."""
    folder = tmp_path_factory.mktemp("plan")
    for number, (site, cases) in enumerate(TRAINING_CASES.items(), 1):
        counts = {"train": cases, "val": 0, "test": 1}
        write_phantom_site(folder / site, "ct", counts, 0, number, spacing_mm=12)
        described = {"dataset": "phantom", "root": site, "modalities": ["ct"], "split": "dataset"}
        (folder / f"{site}.json").write_text(json.dumps(described))
    job = export_job(JOBS / "plan", folder / "jobs", "pinned", SMALL)
    command = [sys.executable, "-m", "nvflare.cli", "simulator", str(job), "-n", "2", "-t", "2"]
    done = subprocess.run(
        [*command, "-w", str(folder / "work")],
        capture_output=True,
        text=True,
        timeout=1800,
        cwd=folder,
        env={**os.environ, "FEDVOX_SITE": f"{folder}/{{site}}.json"},
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return folder / "work/server/simulate_job/fedvox", done.stdout


def test_the_plan_is_written_and_printed(run: tuple[Path, str]) -> None:
    folder, output = run
    plan = read_plan(folder / "plan.json")
    assert plan.phantom and plan.modalities == ("ct",)
    assert all(9 < size < 15 for size in plan.spacing)
    assert plan.ct_window is not None and -500 < plan.ct_window[0] < plan.ct_window[1] < 400
    assert (folder / "fingerprint.png").is_file()
    assert "Fingerprint of the training cases (phantom data, not patients)" in output
    assert f"plan: {folder / 'plan.json'}" in output


def test_a_site_with_too_few_cases_contributes_nothing_and_is_named(run: tuple[Path, str]) -> None:
    folder, output = run
    record = json.loads((folder / "fingerprint.json").read_text())
    assert record["sites"]["ct"] == {"site-1": 5, "site-2": 0}
    assert {own["cases"] for own in record["modalities"]["ct"].values()} == {5}
    assert "ct: cases of site-1 5; none, or too few to be told, of site-2" in output
    assert "mr: no site holds it" in output


def test_the_plan_makes_a_job_that_is_in_order(run: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = run
    job = export_job(JOBS / "fedgin", tmp_path, overrides=SMALL, plan=folder / "plan.json")
    plan = read_plan(folder / "plan.json")
    assert job_settings(job).data.patch == plan.patch
    assert job_settings(job).training.batch == plan.batch
