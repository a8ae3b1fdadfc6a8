"""The runbook names for each symptom a test that produces it, or says that none does."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
COLUMNS = 4


def rows() -> list[list[str]]:
    lines = (ROOT / "provisioning/RUNBOOK.md").read_text().splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if "|" in line
    ]
    return [row for row in cells if row[0] != "symptom" and not row[0].startswith("---")]


def test_every_entry_has_cause_fix_and_proof():
    assert len(rows()) > 20
    assert [row for row in rows() if len(row) != COLUMNS or not all(row)] == []


def test_the_named_tests_are_there():
    for row in rows():
        proof = row[-1].strip("`")
        if proof != "no":
            name, _, function = proof.partition("::")
            assert f"def {function}(" in (ROOT / "tests" / name).read_text(), proof
