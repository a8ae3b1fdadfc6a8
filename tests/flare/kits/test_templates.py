"""The classes in the package are those of the templates in provisioning/policies."""

import json
from pathlib import Path
from typing import Any

import pytest

from fedvox.flare.kits import templates

POLICIES = Path(__file__).parents[3] / "provisioning/policies"


def read(name: str) -> dict[str, Any]:
    return dict(json.loads((POLICIES / name).read_text()))


@pytest.mark.parametrize(("folder", "kind"), [("site", "client"), ("server", "server")])
def test_resources(folder, kind):
    resources = read(f"{folder}/resources.json")
    assert {entry["path"] for entry in resources["components"]} == templates.COMPONENTS[kind]


def test_privacy():
    (scope,) = read("site/privacy.json")["scopes"]
    entries = scope["task_data_filters"] + scope["task_result_filters"]
    assert {entry["path"] for entry in entries} == templates.FILTERS


@pytest.mark.parametrize("folder", ["site", "server"])
def test_logging(folder):
    config = read(f"{folder}/log_config.json")
    named = {entry["()"] for entry in config["formatters"].values()}
    named |= {entry["class"] for entry in config["handlers"].values()}
    assert named == templates.LOGGING
