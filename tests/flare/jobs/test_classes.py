"""Which classes a configuration names, and which a FedVox job may name."""

import json
from pathlib import Path

import pytest

from fedvox.flare.jobs.classes import CLASSES, class_names, components, foreign_classes

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("kind", "side"), [("site", "client"), ("server", "server")])
def test_the_list_is_that_of_the_templates(kind, side):
    policy = json.loads((ROOT / "provisioning/policies" / kind / "resources.json").read_text())
    assert list(CLASSES[side]) == policy["class_allow_list"]


JOBS = ("fedgin", "fedavg", "plan")


def config(job, side):
    return json.loads((ROOT / f"jobs/{job}/app/config/config_fed_{side}.json").read_text())


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("job", JOBS)
def test_a_job_names_those_classes_only(job, side):
    named = class_names(config(job, side))
    assert set(named) <= set(CLASSES[side])
    assert foreign_classes(config(job, side), side) == []
    assert len(components(config(job, side))) == len(named)


@pytest.mark.parametrize("side", ["client", "server"])
def test_every_listed_class_is_named_by_a_job(side):
    named = {name for job in JOBS for name in class_names(config(job, side))}
    assert sorted(named) == sorted(CLASSES[side])


def test_a_name_is_a_component_only_where_flare_may_build_one():
    parts = [{"id": "x", "name": "Y"}, {"path": "a.b", "name": "Y"}]
    assert components({"components": parts, "plain": {"name": "Y"}}) == parts
