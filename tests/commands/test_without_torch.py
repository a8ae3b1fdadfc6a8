"""What people do who only submit and look on: their environment has no PyTorch."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fedvox.doctor.job import check_versions
from fedvox.flare.jobs.versions import exported_versions, installed_versions, read_versions

ROOT = Path(__file__).parents[2]
JOB = ROOT / "jobs/fedgin"
TRAINING = ("torch", "monai", "einops", "nibabel", "highdicom", "pydicom", "tensorboard")
"""Packages that requirements.txt has and requirements-admin.txt has not."""
BARE = f"""
import sys
sys.modules.update(dict.fromkeys({TRAINING}))  # importing one of them then fails as if missing
from fedvox.commands.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def no_torch(monkeypatch):
    """Python's own register knows no torch either."""
    from importlib import metadata

    real = metadata.version

    def version(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr("fedvox.flare.jobs.versions.version", version)


def test_versions_of_a_machine_without_torch(no_torch):
    own = installed_versions()
    assert own["torch"] == "not installed"
    assert exported_versions(JOB) == {**own, "torch": read_versions(JOB)["torch"]}
    person, site = check_versions(JOB, trains=False), check_versions(JOB, trains=True)
    assert person.status == "PASS" and "torch not installed; the job's 2." in person.message
    assert site.status == "FAIL" and "this machine has none" in site.message


@pytest.fixture
def bare(tmp_path):
    """A function that runs a command where PyTorch is not installed."""

    def call(*words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", BARE, *map(str, words)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return call


@pytest.mark.parametrize("words", ["job list", "job show fedgin", "kit templates --out ."])
def test_commands_of_people_need_no_torch(bare, words):
    done = bare(*words.split())
    assert (done.returncode, done.stderr) == (0, "")


def test_an_exported_job_names_the_torch_that_its_sites_need(bare, tmp_path):
    assert bare("job", "export", "fedgin", "--out", "a").returncode == 0
    name = "app/config/versions.json"
    assert (tmp_path / "a/fedgin" / name).read_text() == (ROOT / "jobs/fedgin" / name).read_text()
    assert bare("job", "diff", "a/fedgin").returncode == 0


def test_doctor_checks_a_persons_kit_and_a_job(bare, clean_kits):
    kit = clean_kits.kit("lead@hospital-a.org")
    done = bare("doctor", "--kit", kit, "--job", ROOT / "jobs/fedgin")
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 1 and failed[0].split()[1] == "port", done.stdout + done.stderr


def test_doctor_says_what_a_machine_without_torch_is_not_good_for(bare, clean_kits):
    lines = bare("doctor", "--kit", clean_kits.kit("site-1")).stdout.splitlines()
    place = next(i for i, line in enumerate(lines) if "PyTorch is not installed here" in line)
    assert lines[place].startswith("FAIL") and "requirements.txt" in lines[place + 1]
    assert "WARN  gpu" in bare("doctor").stdout


def test_a_command_that_computes_says_what_to_install(bare, tmp_path):
    for name in ("scan.nii.gz", "m.safetensors"):
        (tmp_path / name).touch()
    words = "predict --model m.safetensors --input scan.nii.gz --modality ct --output x.nii.gz"
    done = bare(*words.split())
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "torch is not installed here; pip install -r requirements.txt" in done.stderr


def test_the_report_of_a_run_finds_the_intervals_library_in_the_admin_install():
    """Its intervals need SciPy, which PyTorch's machines have for other reasons."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        extra = tomllib.load(stream)["project"]["optional-dependencies"]["admin"]
    pinned = (ROOT / "requirements-admin.txt").read_text()
    assert any(line.startswith("scipy>=") for line in extra) and "\nscipy==" in pinned


def test_the_admin_requirements_are_pinned_as_the_others_and_lack_torch():
    def pins(name: str) -> dict[str, str]:
        lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
        return dict(line.split("==") for line in lines if "==" in line)

    everything, admin = pins("requirements.txt"), pins("requirements-admin.txt")
    assert admin.items() <= everything.items()
    assert not {*TRAINING} & {*admin}
    assert not {*pins("requirements-dev.txt")} & {*everything}
