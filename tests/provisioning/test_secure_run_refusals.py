"""`secure_run.py` refuses in one line, before it starts or deletes anything."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "provisioning/secure_run.py"


def refusal(folder: Path, *arguments: str) -> str:
    """The last word of a run that must fail."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("out", ["runs/o", "/", "."])
def test_no_folder_of_somebody_else_is_deleted(tmp_path, out):
    own = tmp_path / "runs/o-console"
    own.mkdir(parents=True)
    (own / "thesis.tex").touch()
    error = refusal(tmp_path, "--out", out)
    assert "holds other files than a run's" in error or "would be replaced whole" in error
    assert (own / "thesis.tex").is_file()
    assert not (tmp_path / "runs/.work").exists()


SERVER = "{name: s, type: server, fed_learn_port: 48102, admin_port: 48103}"


def refusal_of_project(tmp_path, people, kits, *more):
    """What is said about a project with the server and these people, and kits of these names."""
    participants = ", ".join([SERVER, *people])
    (tmp_path / "p.yml").write_text(f"name: p\nparticipants: [{participants}]\n")
    for name in kits:
        (tmp_path / "kits/p/prod_00" / name).mkdir(parents=True)
    return refusal(tmp_path, "--project", "p.yml", "--kits", "kits", *more)


def test_a_project_without_a_lead_is_refused(tmp_path):
    assert "no person with role lead; add one" in refusal_of_project(tmp_path, [], "s")


def test_another_number_of_modalities_than_sites_is_refused(tmp_path):
    people = ["{name: l, type: admin, role: lead}", "{name: a, type: client}"]
    people += ["{name: b, type: client}"]
    error = refusal_of_project(tmp_path, people, "slab", "--sites", "ct")
    assert "--sites names 1 modalities, the project has 2 sites" in error


def test_a_site_without_a_kit_is_named_before_anything_starts(tmp_path):
    people = ["{name: l, type: admin, role: lead}", "{name: new, type: client}"]
    error = refusal_of_project(tmp_path, people, "sl")
    assert "kits/p/prod_00: no kit of new, which the project file names" in error
    assert not (tmp_path / "runs/.work").exists()
