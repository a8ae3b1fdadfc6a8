"""No handler of a site's process writes what names a patient, whichever way it comes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = ("quastenbauer", "xanthippe", "4711081547", "1955-03-17", "19550317")
OWN = ("log.txt", "error_log.txt", "log.json")
FLARE = (*OWN, "log_fl.txt")
PLANTS = (
    "path",
    "name-with-number",
    "table",
    "object",
    "list",
    "error-as-argument",
    "stack",
    "field",
    "object-field",
    "logger",
    "exception",
    "quoted",
    "flare",
    "cause",
    "late",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> Callable[[str, str], dict[str, str]]:
    """A function from policy and mode of logging to what the process wrote, by place."""
    found: dict[tuple[str, str], dict[str, str]] = {}

    def run(policy: str, mode: str) -> dict[str, str]:
        if (policy, mode) not in found:
            folder = tmp_path_factory.mktemp(f"{policy}-{mode}")
            config = ROOT / "provisioning/policies" / policy / "log_config.json"
            done = subprocess.run(
                [sys.executable, ROOT / "tests/flare/leaky_process.py", folder, config, mode],
                capture_output=True,
                text=True,
                timeout=1800,
            )
            places = {path.name: path.read_text() for path in folder.iterdir()}
            found[policy, mode] = places | {"stdout": done.stdout, "stderr": done.stderr}
        return found[policy, mode]

    return run


@pytest.mark.parametrize(("policy", "mode"), [("site", "own"), ("server", "own"), ("site", "full")])
def test_nothing_of_a_patient_is_in_any_output(outputs, policy, mode):
    for place, text in outputs(policy, mode).items():
        leaked = [line for line in text.lower().splitlines() if any(word in line for word in WORDS)]
        assert leaked == [], place


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("place", [*OWN, "stdout"])
def test_the_line_itself_is_in_every_output(outputs, plant, place):
    """A log that holds nothing would pass the test above."""
    assert f"plant-{plant}" in outputs("site", "own")[place]


@pytest.mark.parametrize("place", FLARE)
def test_flares_own_format_gets_the_same_lines(outputs, place):
    if place == "log_fl.txt":
        assert outputs("site", "full").keys() >= set(FLARE)
    else:
        assert "plant-exception" in outputs("site", "full")[place]


@pytest.mark.parametrize(
    "words",
    [
        "plant-exception (ExceptionGroup at leaky_process.py:",
        "plant-error-as-argument ValueError at unknown place",
        "plant-late ValueError: ...",
        "UserWarning at leaky_process.py:",
        "cannot be written (TypeError)",
        "cannot be written (ValueError)",
    ],
)
def test_kind_and_place_of_an_exception_or_warning_are_left(outputs, words):
    assert words in outputs("site", "own")["log.txt"]


def test_uncaught_exceptions_are_one_line_each(outputs):
    lines = outputs("site", "own")["stderr"].splitlines()
    starts = ("uncaught in a thread: ExceptionGroup at", "ignored ValueError at")
    assert [line.startswith(start) for line, start in zip(lines, starts)] == [True, True]
    assert lines[2].startswith("uncaught ExceptionGroup at leaky_process.py:")
    assert len(lines) == 3


def test_the_json_log_is_one_object_a_line(outputs):
    entries = [json.loads(line) for line in outputs("site", "own")["log.json"].splitlines()]
    assert len(entries) > len(PLANTS)
    assert all(isinstance(entry["message"], str) for entry in entries)
