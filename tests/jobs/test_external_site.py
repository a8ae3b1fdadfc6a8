"""A hospital that only tests, under the simulator: in every table, in no weight."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import job_settings
from fedvox.flare.loopback.simulate import simulate
from fedvox.phantoms.writer import write_phantom_site
from fedvox.training.in_process import run_in_process

pytestmark = pytest.mark.system
JOB = Path(__file__).parents[2] / "jobs/fedgin"
TRAINING = ("hospital-a", "hospital-b")
EXTERNAL = "outside"


def test_an_external_site_is_in_every_table_and_in_no_weight(
    tmp_path, phantom_site, tiny_overrides
):
    own = tmp_path / "own-data"
    write_phantom_site(own, "ct", {"train": 3, "val": 1, "test": 2}, seed=0, site=3, spacing_mm=12)
    roots = {"hospital-a": "ct", "hospital-b": "mr", EXTERNAL: "ct"}
    sites = {
        name: SiteSettings(
            dataset="phantom",
            root=str(own if name == EXTERNAL else phantom_site(modality)),
            modalities=(modality,),
            split="test" if name == EXTERNAL else "dataset",
            share="summary" if name == "hospital-b" else "cases",
        )
        for name, modality in roots.items()
    }
    job = export_job(JOB, tmp_path, "pinned", tiny_overrides, "tiny")
    lines: list[str] = []
    out = simulate(job, sites, tmp_path / "work", tell=lines.append)

    with (out / "metrics.csv").open() as stream:
        rows = {(r["model"], r["site"]) for r in csv.DictReader(stream) if r["split"] == "test"}
    models = ("global_best", "global_last", *TRAINING)
    assert {(model, EXTERNAL) for model in models} <= rows
    with (out / "summary.csv").open() as stream:
        cases = {r["cases"] for r in csv.DictReader(stream) if r["site"] == EXTERNAL}
    assert cases == {"6"}
    for record in map(json.loads, (out / "rounds.jsonl").read_text().splitlines()):
        told = [entry["site"] for entry in record["contributors"]]
        assert told == ([] if record.get("final") else list(TRAINING))
        assert EXTERNAL not in (*record["missing"], *record["registered"], *record["scores"])
    assert any("outside (external)" in line for line in lines)

    settings = job_settings(job)
    opened = [
        open_site(name, sites[name], settings.data, tmp_path / "own" / name) for name in TRAINING
    ]
    expected = run_in_process(opened, settings, tmp_path / "reference").last
    (path,) = out.parent.glob("fedvox_state/*/model_00001.safetensors")
    assert all(np.array_equal(array, expected[n]) for n, array in load_file(str(path)).items())
