"""What a plan run leaves and prints."""

import json

import numpy as np
import pytest

from fedvox.job.settings import job_from
from fedvox.memory import GIB
from fedvox.planning.fingerprint import CaseFingerprint, summarise_cases
from fedvox.planning.plan import FreeMemory, make_plan, read_plan
from fedvox.planning.step_memory import StepMemory
from fedvox.report.plan import plan_text, write_plan

JOB = job_from({"name": "job", "data": {"organs": ["liver"]}, "network": {"channels": [4, 8]}})
COUNTS = {"ct": {"site-1": 6, "site-2": 0}, "mr": {"site-1": 0, "site-2": 0}}


@pytest.fixture
def made():
    shares = np.eye(1, 1024, 260)[0]
    case = CaseFingerprint((0.8, 0.8, 5.0), (320.0, 320.0, 240.0), shares)
    fingerprints = {"ct": summarise_cases("ct", 6, [case] * 6)}
    memory = FreeMemory(8 * GIB, "site-1", gpu=False, sharing=2)
    return fingerprints, make_plan(fingerprints, JOB, memory, StepMemory(0, 500), phantom=True)


def test_every_file_is_written_and_the_plan_is_read_again(made, tmp_path):
    fingerprints, plan = made
    path = write_plan(tmp_path, plan, fingerprints, COUNTS)
    assert {p.name for p in tmp_path.iterdir()} == {
        "plan.json",
        "fingerprint.json",
        "fingerprint.png",
    }
    assert read_plan(path) == plan
    assert '  "spacing": [0.8, 0.8, 5.0],\n' in path.read_text()
    record = json.loads((tmp_path / "fingerprint.json").read_text())
    assert record["phantom"] is True
    assert record["modalities"]["ct"]["spacing_s"] == {
        "cases": 6,
        "bin_width": 0.05,
        "bins": [[5.0, 6.0]],
    }


def test_the_table_names_values_reasons_and_silent_sites(made, tmp_path):
    fingerprints, plan = made
    text = plan_text(plan, fingerprints, COUNTS, ["ct"], tmp_path / "plan.json")
    assert "Fingerprint of the training cases (phantom data, not patients)" in text
    assert "0.80 x 0.80 x 5.00" in text and "320 x 320 x 240" in text
    assert "ct: cases of site-1 6; none, or too few to be told, of site-2" in text
    assert "mr: no site holds it" in text
    assert "data.spacing    [0.8, 0.8, 5.0]" in text and "median of 6 cases" in text
    assert f"--plan {tmp_path / 'plan.json'}" in text


def test_the_table_says_when_the_window_stays(made, tmp_path):
    import dataclasses

    fingerprints, plan = made
    plan = dataclasses.replace(plan, ct_window=None)
    text = plan_text(plan, fingerprints, COUNTS, ["ct", "mr"], tmp_path / "plan.json")
    assert "data.ct_window  as it is" in text
    assert "mr: none; none, or too few" in text


def test_columns_stand_below_their_titles_for_a_set_of_channels_too(made, tmp_path):
    fingerprints, plan = made
    channels = {"t1+t1ce+t2+flair": fingerprints["ct"]}
    text = plan_text(plan, channels, COUNTS, ["ct"], tmp_path / "plan.json")
    title, row = text.splitlines()[2:4]
    assert row.startswith("t1+t1ce+t2+flair  ")
    assert title.index("cases") + len("cases") == row.index(" 6 ") + 2
    assert title.index("median voxel size") == row.index("0.80 x")
    assert title.index("median extent") == row.index("320 x")
