"""`dry_run.py` refuses in one line, before it empties an earlier run's work folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from fedvox.flare.loopback.dry_run import MARKER

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sites", "ct,pet"], "phantom.modalities"),
        (["--set", "training.roundz=1"], "unknown key 'training.roundz'"),
        (["--job", "fedgen"], "no job 'fedgen'"),
    ],
)
def test_a_wrong_job_leaves_the_earlier_run_as_it_was(tmp_path, arguments, words):
    kept = tmp_path / ".work/poc/kits"
    kept.mkdir(parents=True)
    (kept.parent / MARKER).touch()
    script = [sys.executable, str(ROOT / "poc/dry_run.py"), "--out", str(tmp_path / "poc")]
    done = subprocess.run([*script, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr and done.stdout == ""
    assert kept.is_dir()
