"""The job folders in the repository: real files, one source of settings, the right version."""

import filecmp
import json
from pathlib import Path

import pytest

import fedvox
from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import CLIENT, SERVER, job_settings, list_jobs, plans_only

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.mark.parametrize("name", list_jobs(JOBS))
def test_job_holds_real_files_only(name: str) -> None:
    assert not [path for path in (JOBS / name).rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("name", list_jobs(JOBS))
def test_job_pins_the_package_version(name: str) -> None:
    custom = sorted(path.name for path in (JOBS / name / "app/custom").iterdir())
    assert custom == ["fedvox_version.txt"]
    pin = (JOBS / name / "app/custom/fedvox_version.txt").read_text().strip()
    assert pin == fedvox.__version__


@pytest.mark.parametrize("name", list_jobs(JOBS))
def test_job_is_named_like_its_folder(name: str) -> None:
    assert json.loads((JOBS / name / "meta.json").read_text())["name"] == name
    assert job_settings(JOBS / name).name == name


def test_fedavg_is_fedgin_without_gin_byte_for_byte(tmp_path: Path) -> None:
    changes = ["augmentation.name=none"]
    derived = export_job(JOBS / "fedgin", tmp_path, "pinned", changes, "fedavg")
    names = [
        str(path.relative_to(derived))
        for path in derived.rglob("*")
        if path.is_file() and path.name != "README.md"
    ]
    assert len(names) >= 5
    same, other, missing = filecmp.cmpfiles(derived, JOBS / "fedavg", names, shallow=False)
    assert (other, missing) == ([], [])
    assert sorted(same) == sorted(names)


def test_fedgin_settings_are_written_as_export_writes_them(tmp_path: Path) -> None:
    copy = export_job(JOBS / "fedgin", tmp_path, "pinned")
    name = "app/config/training.json"
    assert (copy / name).read_bytes() == (JOBS / "fedgin" / name).read_bytes()


PERSONAL = {"unet": ["training.personal=norm", "network.norm=batch"]}
PERSONAL["mixmodal"] = ["training.personal=decoder.*"]


@pytest.mark.parametrize("name", list_jobs(JOBS))
def test_every_training_job_has_the_filters_of_fedgin(name: str, tmp_path: Path) -> None:
    for file in (SERVER, CLIENT):
        own, fedgin = (json.loads((JOBS / job / file).read_text()) for job in (name, "fedgin"))
        for place in ("task_data_filters", "task_result_filters"):
            assert own[place] == ([] if plans_only(JOBS / name) else fedgin[place])
    network = job_settings(JOBS / name).network.name
    kept = PERSONAL.get(network, ["training.personal=norm"])
    export_job(JOBS / name, tmp_path, overrides=kept)
