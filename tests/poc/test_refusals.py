"""`dry_run.py` refuses in one line, before it empties an earlier run's work folder."""

import pytest

from fedvox.flare.loopback.dry_run import MARKER


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sites", "ct,pet"], "--sites ct,pet: 'phantom.modalities'"),
        (["--job", "brats", "--sites", "ct,mr,mr"], "--sites ct,mr,mr: 'phantom.modalities'"),
        (["--set", "training.roundz=1"], "unknown key 'training.roundz'"),
        (["--set", "training.steps=1", "--set", "training.steps=2"], "is set to 1 too; keep one"),
        (["--job", "fedgen"], "no job 'fedgen'"),
    ],
)
def test_a_wrong_job_leaves_the_earlier_run_as_it_was(tmp_path, call_script, arguments, words):
    kept = tmp_path / ".work/poc/kits"
    kept.mkdir(parents=True)
    (kept.parent / MARKER).touch()
    code, output, error = call_script("poc/dry_run.py", "--out", str(tmp_path / "poc"), *arguments)
    assert code == 1 and error.count("\n") == 1, error
    assert words in error and output == ""
    assert kept.is_dir()
