"""The planning rules on made-up fingerprints."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.config import to_mapping
from fedvox.errors import ConfigError
from fedvox.job.settings import job_from
from fedvox.memory import GIB
from fedvox.planning.fingerprint import FEATURES, CaseFingerprint, summarise_cases
from fedvox.planning.plan import (
    CPU_VOXELS,
    LEAST_BATCH,
    FreeMemory,
    make_plan,
    planned_settings,
    read_plan,
)
from fedvox.planning.step_memory import StepMemory

JOB = job_from(
    {
        "name": "job",
        "data": {"organs": ["liver"]},
        "network": {"channels": [8, 16, 32, 64]},
    }
)
KILOBYTE_A_VOXEL = StepMemory(fixed=0.0, per_voxel=1000.0)
LARGE = FreeMemory(bytes=1000 * GIB, site="site-1", gpu=True)


def cases_of(modality, *sizes, extent=(100.0, 100.0, 100.0), hu=()):
    bins = FEATURES["organ_hu"]
    shares = bins.histogram(np.array(hu)) / len(hu) if len(hu) else None
    cases = [CaseFingerprint(size, extent, shares) for size in sizes]
    return summarise_cases(modality, len(cases), cases)


ONE = (1.0, 1.0, 1.0)


def test_with_room_enough_the_patch_covers_the_median_case():
    plan = make_plan({"mr": cases_of("mr", ONE)}, JOB, LARGE, KILOBYTE_A_VOXEL)
    assert plan.patch == (104, 104, 104)
    assert plan.reasons.patch == "covers the median case"


@given(
    st.tuples(*[st.floats(0.2, 8.0)] * 3),
    st.tuples(*[st.floats(20.0, 900.0)] * 3),
    st.integers(2, 6),
    st.floats(0.05, 80.0),
    st.booleans(),
)
def test_a_patch_is_a_multiple_and_its_step_fits(size, extent, levels, gib, gpu):
    network = dataclasses.replace(JOB.network, channels=(8,) * levels)
    job = dataclasses.replace(
        JOB, network=network, data=dataclasses.replace(JOB.data, patch=(64,) * 3)
    )
    memory = FreeMemory(bytes=gib * GIB, site="site-1", gpu=gpu)
    fingerprints = {"mr": cases_of("mr", size, extent=extent)}
    try:
        plan = make_plan(fingerprints, job, memory, KILOBYTE_A_VOXEL)
    except ConfigError as error:
        assert "no patch fits" in str(error)
        return
    multiple = 2 ** (levels - 1)
    assert all(edge % multiple == 0 and 8 <= edge <= 512 for edge in plan.patch)
    assert max(plan.patch) > multiple
    voxels = math.prod(plan.patch) * plan.batch
    assert KILOBYTE_A_VOXEL.bytes(voxels) <= memory.bytes
    assert plan.batch >= LEAST_BATCH
    assert gpu or voxels <= LEAST_BATCH * CPU_VOXELS
    dataclasses.replace(job, data=dataclasses.replace(job.data, patch=plan.patch))


def test_the_smallest_site_is_named_where_its_memory_decides():
    memory = FreeMemory(bytes=GIB, site="site-7", gpu=True)
    plan = make_plan({"mr": cases_of("mr", ONE)}, JOB, memory, KILOBYTE_A_VOXEL)
    assert math.prod(plan.patch) * 2 * 1000 <= 0.75 * GIB
    assert "1.0 GiB free at site-7" in plan.reasons.patch


def test_without_a_gpu_a_patch_stays_below_96_cubed():
    memory = dataclasses.replace(LARGE, gpu=False)
    big = cases_of("ct", ONE, extent=(400.0, 400.0, 400.0))
    plan = make_plan({"ct": big}, JOB, memory, KILOBYTE_A_VOXEL)
    assert plan.patch == (96, 96, 96)
    assert "no site has a GPU" in plan.reasons.patch


def test_a_network_that_fits_nowhere_is_an_error_with_a_remedy():
    memory = FreeMemory(bytes=1000, site="site-1", gpu=False)
    with pytest.raises(ConfigError, match=r"no patch fits: .* smaller 'network.channels'"):
        make_plan({"mr": cases_of("mr", ONE)}, JOB, memory, KILOBYTE_A_VOXEL)


def test_the_batch_grows_only_when_the_patch_covers_the_median_case():
    few, many = cases_of("mr", *[ONE] * 20), cases_of("mr", *[ONE] * 100)
    assert make_plan({"mr": few}, JOB, LARGE, KILOBYTE_A_VOXEL).batch == 2
    assert make_plan({"mr": many}, JOB, LARGE, KILOBYTE_A_VOXEL).batch == 5
    tight = FreeMemory(bytes=GIB, site="site-1", gpu=True)
    assert make_plan({"mr": many}, JOB, tight, KILOBYTE_A_VOXEL).batch == 2


def test_the_window_spans_the_organs_hu():
    values = np.concatenate([np.full(990, 50.0), np.full(5, -900.0), np.full(5, 900.0)])
    plan = make_plan({"ct": cases_of("ct", ONE, hu=values)}, JOB, LARGE, KILOBYTE_A_VOXEL)
    low, high = plan.ct_window
    assert -900 <= low <= 50 <= high <= 904
    half = np.linspace(0, 200, 10001)
    plan = make_plan({"ct": cases_of("ct", ONE, hu=half)}, JOB, LARGE, KILOBYTE_A_VOXEL)
    assert plan.ct_window == pytest.approx((1.0, 199.0), abs=2)


def test_without_ct_the_job_s_window_stays():
    plan = make_plan({"mr": cases_of("mr", ONE)}, JOB, LARGE, KILOBYTE_A_VOXEL)
    assert plan.ct_window is None
    assert set(planned_settings(plan)) == {"data.spacing", "data.patch", "training.batch"}


def test_a_plan_comes_back_from_its_file(tmp_path):
    plan = make_plan({"ct": cases_of("ct", ONE, hu=[50.0])}, JOB, LARGE, KILOBYTE_A_VOXEL)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(to_mapping(plan)))
    assert read_plan(path) == plan
    path.write_text(json.dumps({**to_mapping(plan), "batch": 0}))
    with pytest.raises(ConfigError, match="'batch' is 0; it must be at least 1"):
        read_plan(path)
