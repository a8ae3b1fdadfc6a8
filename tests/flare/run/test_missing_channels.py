"""What sites tell the server in a job whose cases may lack channels."""

import json
import shutil
from pathlib import Path

import pytest
from nvflare.apis.dxo import from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import StatisticsConstants as StC

import fedvox
from fedvox.admission.refusals import site_refusals
from fedvox.admission.registration import registration_from
from fedvox.config import to_mapping
from fedvox.data.organs import label_map_hash
from fedvox.flare.executor import FedVoxExecutor
from fedvox.flare.outgoing import OutgoingFilter
from fedvox.flare.plan_server import FedVoxStatistics
from fedvox.flare.plan_site import PlanExecutor
from fedvox.flare.run import messages
from fedvox.flare.run.statistics import EDGES, read_statistics, unpack

SET = "t1+t2+flair"


@pytest.fixture
def place(party, brats_site, lenient_job, tmp_path):
    """A function from modalities to a site whose case 1 lacks T2; three cases train."""
    root = shutil.copytree(brats_site, tmp_path / "data")
    (root / "BraTS2021_00001" / "BraTS2021_00001_t2.nii.gz").unlink()
    names = [f"BraTS2021_0000{number}" for number in range(4)]
    split = {"train": names[:3], "test": names[3:]}

    def make(*modalities: str):
        made = party("site-1", job=json.loads(json.dumps(to_mapping(lenient_job))))
        local = Path(made.root) / "local"
        (local / "split.json").write_text(json.dumps(split))
        content = {"dataset": "brats", "root": str(root), "modalities": modalities}
        content["split"] = "split.json"
        (local / "fedvox_site.json").write_text(json.dumps(content))
        return made

    return make


def registered(site, executor):
    executor.handle_event(EventType.START_RUN, site.context())
    told = site.context().get_all_public_props()[messages.REGISTRATION]
    return registration_from(json.loads(json.dumps(told)), "site-1")


def refused(own, job):
    label_map = label_map_hash(job.data.organs)
    return site_refusals("site-1", own, fedvox.__version__, label_map, job.data.modality_sets)


@pytest.mark.parametrize("executor", [FedVoxExecutor, PlanExecutor])
def test_cases_are_registered_under_the_sets_that_they_have_and_admitted(
    place, lenient_job, executor
):
    own = registered(place("flair", "t2", "t1"), executor())
    assert own.error == "" and own.training == {"t1+flair": 1, SET: 2}
    assert own.modalities == ("t1+flair", SET) and refused(own, lenient_job) == []


@pytest.mark.parametrize("executor", [FedVoxExecutor, PlanExecutor])
def test_a_site_of_one_modality_is_admitted_and_one_of_none_is_refused_by_name(
    place, lenient_job, executor
):
    own = registered(place("t1"), executor())
    assert own.training == {"t1": 3} and refused(own, lenient_job) == []
    (reason,) = refused(registered(place("t1ce"), executor()), lenient_job)
    assert reason.startswith("site-1: the site file lists t1ce, the job uses t1, t2, flair, of ")
    assert "add those that the site has to 'modalities' in the site file" in reason


def test_a_plan_run_asks_and_answers_for_one_group(place, lenient_job):
    site, executor = place("t1", "t2", "flair"), PlanExecutor(3)
    registered(site, executor)
    controller = FedVoxStatistics()
    for name, end in ((StC.STATS_MIN, 0), (StC.STATS_MAX, -1)):
        ends = {feature: edges[end] for feature, edges in EDGES.items()}
        controller.global_statistics[name] = {SET: ends}
    task = controller._prepare_inputs(StC.STATS_2nd_STATISTICS)
    answer = executor.execute(StC.FED_STATS_TASK, task, site.context(), Signal())
    passed = from_shareable(OutgoingFilter(min_cases=3).process(answer, site.context())).data
    _, statistics = unpack(passed)
    assert set(statistics["count"]) == {SET} and statistics["count"][SET]["spacing_r"] == 3
    read_statistics(passed, StC.STATS_2nd_STATISTICS, (SET,), 3)
