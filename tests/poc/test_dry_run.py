"""`make poc` in small: the simulator's numbers, and nothing left running."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import read_site_file
from fedvox.encryption.cipher import is_sealed
from fedvox.errors import ModelError
from fedvox.flare.jobs.export import export_job
from fedvox.inference.model_files.model_file import read_model
from fedvox.tensors import read_arrays, weights_hash
from fedvox.training.in_process import run_in_process

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(start_script):
    def run(out: Path, *more: str) -> "subprocess.Popen[str]":
        return start_script("poc/dry_run.py", "--out", os.path.relpath(out, ROOT), *more)

    return run


def settings(overrides: list[str]) -> list[str]:
    return [word for change in overrides for word in ("--set", change)]


def test_sites_give_the_simulators_table_and_files(tmp_path, tiny_overrides, left_over, start):
    """In two compressed rounds, so that the second task is a step."""
    small = [f"compression.{way}.keep=0.2" for way in ("up", "down")]
    overrides = [change for change in tiny_overrides if change != "training.rounds=1"]
    overrides += ["training.rounds=2", *small]
    run = start(tmp_path / "poc", "--sites", "ct,mr", *settings(overrides))
    output, _ = run.communicate(timeout=1800)
    assert run.returncode == 0, output
    assert "round 2 of 2 is done" in output
    assert "Dice (phantom data, not patients; test cases)" in output
    assert left_over(tmp_path) == []
    changes = [*overrides, 'phantom.modalities=["ct","mr"]']
    job = export_job(ROOT / "jobs/fedgin", tmp_path / "jobs", "pinned", changes)
    command = [sys.executable, "-m", "nvflare.cli", "simulator", str(job), "-n", "2", "-t", "2"]
    subprocess.run(
        [*command, "-w", str(tmp_path / "simulator")], check=True, capture_output=True, cwd=tmp_path
    )
    expected = tmp_path / "simulator/server/simulate_job/fedvox"
    own = tmp_path / "poc"
    assert (own / "summary.csv").read_text() == (expected / "summary.csv").read_text()
    assert {path.name for path in own.iterdir()} == {path.name for path in expected.iterdir()}


def test_an_encrypted_round_has_the_plain_mean_which_only_sites_can_read(
    tmp_path, tiny_overrides, start
):
    """The keys come with the kits; the server's files and results hold ciphertexts alone."""
    changes = [*tiny_overrides, "encryption.scheme=ckks", "evaluation.site_models=false"]
    run = start(tmp_path / "poc", "--sites", "ct,mr", *settings(changes))
    output, _ = run.communicate(timeout=1800)
    assert run.returncode == 0, output
    work, result = tmp_path / ".work/poc", tmp_path / "poc/model.safetensors"
    stored = [*work.rglob("fedvox_state/**/model_*.safetensors"), result]
    assert len(stored) > 1 and all(is_sealed(read_arrays(path)) for path in stored)
    with pytest.raises(ModelError, match=r"is encrypted, .* take fedvox/own_model/round_1/"):
        read_model(result)
    models = [read_model(path) for path in sorted(work.rglob("own_model/*/model.safetensors"))]
    assert len(models) == 2
    assert weights_hash(models[0].weights) == weights_hash(models[1].weights)
    job, data = dataclasses.replace(models[0].job, encryption=None), []
    for number in (1, 2):
        described = next(work.rglob(f"site-{number}/local/fedvox_site.json"))
        state = tmp_path / f"state-{number}"
        data.append(open_site(f"site-{number}", read_site_file(described), job.data, state))
    expected = run_in_process(data, job, tmp_path / "in_process").last
    for name, array in expected.items():
        assert np.abs(models[0].weights[name] - array).max() < 2e-6


def test_nothing_is_left_of_a_killed_run(tmp_path, tiny_overrides, stop_in_the_middle, start):
    run = start(tmp_path / "poc", "--sites", "ct", *settings(tiny_overrides))
    stop_in_the_middle(run, tmp_path, signal.SIGKILL)


def test_a_failing_job_gives_its_reason_and_leaves_nothing(
    tmp_path, tiny_overrides, left_over, start
):
    changes = [*tiny_overrides, "data.organs=liver,oesophagus"]
    run = start(tmp_path / "poc", "--sites", "ct", *settings(changes))
    output, _ = run.communicate(timeout=1800)
    assert run.returncode == 1
    last = output.strip().splitlines()[-1]
    assert last.startswith("dry run: error: ")
    assert "no site annotates oesophagus" in last
    assert left_over(tmp_path) == []


def test_a_wrong_setting_is_one_line(tmp_path, start):
    run = start(tmp_path / "poc", "--set", "training.roundz=1")
    output, _ = run.communicate(timeout=1800)
    assert run.returncode == 1
    assert "unknown key 'training.roundz'" in output.splitlines()[-1]
