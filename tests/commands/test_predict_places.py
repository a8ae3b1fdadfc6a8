"""Pictures and records of patients do not go where they would travel on."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git work tree that ignores its folder ``private``."""
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True)
    (tmp_path / "repo/.gitignore").write_text("/private/\n")
    return tmp_path / "repo"


@pytest.mark.parametrize(
    ("option", "name", "what"),
    [("--preview", "seg.png", "slices"), ("--report", "seg.json", "volumes")],
)
@pytest.mark.parametrize("many", [False, True])
def test_what_shows_patients_is_refused_where_git_would_commit_it(
    predict: Callable[..., int],
    model: Path,
    scan: Path,
    repository: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    name: str,
    what: str,
    many: bool,
) -> None:
    given, output = (scan, tmp_path / "out.nii.gz")
    if many:
        (tmp_path / "scans").mkdir()
        scan.rename(tmp_path / "scans/seg.nii.gz")
        given, output = tmp_path / "scans", tmp_path / "out"
    shown, kept = (repository, repository / "private")
    target = [shown / "new", kept] if many else [shown / "new" / name, kept / name]
    assert predict(given, output, option, target[0], "--force") == 0  # phantoms
    description = json.loads(model.with_suffix(".json").read_text())
    model.with_suffix(".json").write_text(json.dumps(description | {"phantom": False}))
    assert predict(given, output, option, target[0], "--force") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{option} {shown / 'new' / name}: git would commit it, with {what} of patients" in error
    assert predict(given, output, option, target[1], "--force") == 0
