"""The runbook names for each symptom a test that produces it, or says that none does."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "provisioning/RUNBOOK.md"
COLUMNS = 4
LINK = re.compile(r'^\[(\d+)\]: \.\./(tests/\S+\.py) "(\w+)"$', re.MULTILINE)


def rows() -> list[list[str]]:
    lines = RUNBOOK.read_text().splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if "|" in line
    ]
    return [row for row in cells if row[0] != "symptom" and not row[0].startswith("---")]


def test_every_entry_has_cause_fix_and_proof():
    assert len(rows()) > 20
    assert [row for row in rows() if len(row) != COLUMNS or not all(row)] == []


def test_the_named_tests_are_there():
    named = {number: (name, test) for number, name, test in LINK.findall(RUNBOOK.read_text())}
    told = [row[-1].removeprefix("[yes][").removesuffix("]") for row in rows() if row[-1] != "no"]
    assert set(told) == set(named)
    for name, test in named.values():
        assert f"def {test}(" in (ROOT / name).read_text(), f"{name}::{test}"
