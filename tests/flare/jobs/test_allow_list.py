"""An allow-list is read as FLARE reads it."""

import json

import pytest

from fedvox.flare.jobs.allow_list import refused_classes

CONFIG = {"components": [{"id": "x", "path": "a.b.C", "args": {"d": {"class_path": "e.f"}}}]}


@pytest.fixture
def resources(tmp_path):
    def write(*allowed, **more):
        path = tmp_path / "resources.json"
        path.write_text(json.dumps({"class_allow_list": allowed, **more}))
        return path

    return write


@pytest.mark.parametrize(
    ("allowed", "missing"),
    [
        (["a.b.C", "e.f"], []),
        (["a.", "e."], []),
        (["a.b", "e.f"], []),
        (["*"], []),
        (["a.b.C"], ["e.f"]),
        (["a.b.CD", "e.f.g"], ["a.b.C", "e.f"]),
        ([], ["a.b.C", "e.f"]),
    ],
)
def test_classes_that_the_list_lacks_are_named(resources, allowed, missing):
    assert refused_classes(CONFIG, resources(*allowed)) == (missing, [])


@pytest.mark.parametrize("entry", ["a", " a.b", "a..b", "."])
def test_a_list_that_flare_cannot_use_is_a_reason_of_its_own(resources, entry):
    missing, (reason,) = refused_classes(CONFIG, resources("a.b.C", "e.f", entry))
    assert missing == [] and reason.startswith("allow_list entr")


def test_an_unknown_mode_is_a_reason(resources):
    _, (reason,) = refused_classes(CONFIG, resources("a.", class_list_enforcement_mode="off"))
    assert "must be one of" in reason


def test_a_short_name_is_a_reason(resources):
    parts = {"components": [{"id": "x", "name": "C"}]}
    _, (reason,) = refused_classes(parts, resources("a."))
    assert "name is not allowed" in reason
