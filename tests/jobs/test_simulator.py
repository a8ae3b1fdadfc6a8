"""Whole jobs under `nvflare simulator`, on tiny phantoms, against the in-process reference."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fedvox.errors import FedVoxError
from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import job_settings
from fedvox.flare.loopback.simulate import simulate
from fedvox.inference.model_files.model_file import read_model
from fedvox.training.in_process import run_in_process

pytestmark = pytest.mark.system
JOBS = Path(__file__).parents[2] / "jobs"
CHANGES = ["phantom.train=3", "phantom.test=2", "training.rounds=2", "training.steps=3"]
FILES = {
    "metrics.csv",
    "summary.csv",
    "rounds.jsonl",
    "progress.png",
    "report.html",
    "model.safetensors",
    "model.json",
    "tb",
}


def results(work: Path) -> Path:
    return work / "run/server/simulate_job/fedvox"


def summary(folder: Path) -> dict[tuple[str, str, str], float]:
    with (folder / "summary.csv").open() as stream:
        rows = [r for r in csv.DictReader(stream) if r["site"] == "all"]
    return {(r["model"], r["modality"], r["organ"]): float(r["dice_mean"]) for r in rows}


@pytest.fixture(scope="module")
def tiny_job(tmp_path_factory: pytest.TempPathFactory, tiny_overrides: list[str]) -> Path:
    folder, changes = tmp_path_factory.mktemp("job"), [*tiny_overrides, *CHANGES]
    return export_job(JOBS / "fedgin", folder, "pinned", changes, "tiny")


@pytest.fixture(scope="module")
def parallel(tiny_job: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("parallel")
    lines: list[str] = []
    assert simulate(tiny_job, 2, work, threads=2, tell=lines.append) == results(work)
    (work / "output.txt").write_text("\n".join(lines))
    return work


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory, tiny_overrides: list[str]) -> Path:
    """One thread: a new process for each task, so fewer tasks, without the sites' own models."""
    work = tmp_path_factory.mktemp("swapped")
    changes = [*tiny_overrides, *CHANGES, "evaluation.site_models=false"]
    job = export_job(JOBS / "fedgin", work / "job", "pinned", changes, "tiny")
    simulate(job, 2, work, threads=1)
    return work


def test_run_leaves_every_promised_file(parallel: Path) -> None:
    found = {path.name for path in results(parallel).iterdir()}
    assert found >= FILES
    assert {"overlay_global_last_site-1_1.png", "overlay_global_last_site-2_1.png"} <= found
    assert {path.name for path in (results(parallel) / "tb").iterdir()} == {"site-1", "site-2"}


def test_run_prints_the_table_and_where_the_files_lie(parallel: Path) -> None:
    output = (parallel / "output.txt").read_text()
    assert "Dice (phantom data, not patients" in output
    assert str(results(parallel)) in output
    assert "NO SITE FILE, USING PHANTOM DATA" in output


def test_rounds_name_contributors_weights_and_bytes(parallel: Path) -> None:
    lines = (results(parallel) / "rounds.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["round"] for record in records] == [0, 1, 2]
    for record in records[:2]:
        assert [entry["site"] for entry in record["contributors"]] == ["site-1", "site-2"]
        assert sum(entry["weight"] for entry in record["contributors"]) == pytest.approx(1)
        assert record["bytes_up"] > 0 and record["bytes_down"] > 0 and record["seconds"] > 0
    assert set(records[2]["validation"]) == {"ct", "mr"}


def test_curves_have_a_point_for_each_round(parallel: Path, swapped: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for work in (parallel, swapped):
        for site, modality in (("site-1", "ct"), ("site-2", "mr")):
            events = EventAccumulator(str(results(work) / "tb" / site))
            events.Reload()
            found = ("server/weight", "server/bytes_up", "server/bytes_down", "server/update_norm")
            for tag in ("train_loss", "train_seconds", f"val_dice_{modality}", *found):
                assert sorted(point.step for point in events.Scalars(tag)) == [0, 1], (site, tag)


def test_fewer_threads_than_sites_give_the_same_numbers(parallel: Path, swapped: Path) -> None:
    ours, theirs = (
        load_file(
            str(next(work.glob("run/server/simulate_job/fedvox_state/*/model_00002.safetensors")))
        )
        for work in (parallel, swapped)
    )
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    full, globals_only = (summary(results(work)) for work in (parallel, swapped))
    assert {model for model, *_ in globals_only} == {"global_best", "global_last"}
    assert globals_only == {key: full[key] for key in globals_only}


def test_simulator_equals_the_in_process_reference(
    tiny_job: Path, parallel: Path, phantom_sites, tmp_path: Path
) -> None:
    job = job_settings(tiny_job)
    reference = run_in_process(phantom_sites(job), job, tmp_path / "run")
    path = next(parallel.glob("run/server/simulate_job/fedvox_state/*/model_00002.safetensors"))
    simulated = load_file(str(path))
    assert simulated.keys() == reference.last.keys()
    for name, array in reference.last.items():
        np.testing.assert_allclose(simulated[name], array, rtol=0, atol=1e-6)
    model = read_model(results(parallel) / "model.safetensors")
    assert reference.choice is not None
    assert model.description["round"] == reference.choice.version
    for name, array in reference.best.items():
        np.testing.assert_allclose(model.weights[name], array, rtol=0, atol=1e-6)


def test_an_organ_nobody_annotates_is_refused_before_training(
    tmp_path: Path, tiny_overrides: list[str]
) -> None:
    changes = [*tiny_overrides, "data.organs=liver,stomach"]
    job = export_job(JOBS / "fedgin", tmp_path, "pinned", changes, "unannotated")
    reason = "no site annotates stomach; take it out of 'data.organs'"
    with pytest.raises(FedVoxError, match=reason):
        simulate(job, 2, tmp_path / "work")
    failure = json.loads((results(tmp_path / "work") / "failure.json").read_text())
    assert failure["stage"] == "start" and reason in failure["reason"]
    assert reason.replace("'", "&#x27;") in (results(tmp_path / "work") / "report.html").read_text()
    assert not list((tmp_path / "work").rglob("optimizer_*.safetensors"))


def test_an_unknown_key_is_named_before_training(tiny_job: Path, tmp_path: Path) -> None:
    import shutil

    job = tmp_path / "job"
    shutil.copytree(tiny_job, job)
    path = job / "app/config/training.json"
    path.write_text(path.read_text().replace('"rounds"', '"roundz"'))
    with pytest.raises(FedVoxError, match=r"unknown key 'training\.roundz'"):
        simulate(job, 2, tmp_path / "work")
    failure = json.loads((results(tmp_path / "work") / "failure.json").read_text())
    assert "unknown key 'training.roundz'" in failure["reason"]
