"""`fedvox doctor` names code that FLARE would import from a kit, and changes in `local/`."""

import json
import shutil

import pytest

from fedvox.doctor.examine import examine
from fedvox.doctor.kit import open_kit
from fedvox.doctor.local import check_local, check_place
from fedvox.flare.kit_guard import KitGuard, check_kit, sign_manifest
from fedvox.manifest import MANIFEST, write_manifest

SITE_FILE = "local/fedvox_site.json"


@pytest.fixture
def kit(kits, tmp_path):
    """A site's kit, with its site file."""
    folder = shutil.copytree(kits.kit("site-1"), tmp_path / "kit")
    (folder / SITE_FILE).write_text("{}")
    return folder


@pytest.mark.parametrize("name", ["site-1", "localhost"])
def test_a_kit_as_provisioned_passes(kits, name):
    assert check_local(open_kit(kits.kit(name))).status == "PASS"


def test_a_site_file_and_what_flare_writes_are_no_complaint(kit):
    for name in ("log.txt", "error_log.txt", "audit.log", "pid.fl", "daemon_pid.fl", "log.json"):
        (kit / name).touch()
    job = kit / "5a1c0d7e-1111-4222-8333-444455556666"
    for folder in (job / "app_site-1/custom/fedvox", kit / "transfer", kit / "jobs-storage"):
        folder.mkdir(parents=True, exist_ok=True)
    (job / "app_site-1/custom/fedvox/__init__.py").touch()
    assert check_local(open_kit(kit)).status == "PASS"


@pytest.mark.parametrize(
    "name",
    [
        "nvflare.py",
        "nvflare.pyc",
        "nvflare/__init__.py",
        "json.abi3.so",
        "local/custom/sitecustomize.py",
        "local/custom/deep/er/evil.py",
        "local/job_resources.json",
        "local/relay__resources.json",
        "local/a__p_resources.json",
        "local/a__j_resources.json",
    ],
)
def test_code_that_flare_would_run_is_a_failure(kit, name):
    path = kit / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    finding = check_local(open_kit(kit))
    assert finding.status == "FAIL"
    assert name in finding.message
    assert "remove it" in finding.remedy


def test_a_folder_that_is_a_link_is_a_failure(kit, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/evil.py").touch()
    (kit / "local/custom").symlink_to(tmp_path / "elsewhere")
    finding = check_local(open_kit(kit))
    assert (finding.status, "local/custom" in finding.message) == ("FAIL", True)


def test_code_in_the_folder_in_which_flare_works_is_a_failure(kit, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("NVFL_WORKSPACE", str(tmp_path / "work"))
    (tmp_path / "work/nvflare.py").touch()
    finding = check_local(open_kit(kit))
    assert (finding.status, "nvflare.py" in finding.message) == ("FAIL", True)


def test_what_a_hospital_changed_is_a_warning_by_name_and_does_not_stop_the_site(kit, monkeypatch):
    policy = json.loads((kit / "local/resources.json").read_text())
    policy["components"][1]["args"]["expiration_period"] = 200
    (kit / "local/resources.json").write_text(json.dumps(policy))
    (kit / "local/log_config.json.default").unlink()
    (kit / "local/notes.txt").touch()
    finding = check_local(open_kit(kit))
    assert finding.status == "WARN"
    for words in ("resources.json: changed", "log_config.json.default: missing", "notes.txt: add"):
        assert f"local/{words}" in finding.message
    assert "right if your hospital changed it" in finding.remedy
    monkeypatch.chdir(kit)
    KitGuard()


def test_a_manifest_without_local_is_a_warning(kit, kits):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    store = json.loads((kits.folder.parent / "state/cert.json").read_text())
    write_manifest(kit, kit / MANIFEST, ("startup",))
    sign_manifest(kit, load_pem_private_key(store["root_pri_key"].encode(), None))
    check_kit(kit)
    finding = check_local(open_kit(kit))
    assert (finding.status, "does not list local/" in finding.message) == ("WARN", True)


def test_a_cache_in_a_folder_of_the_kit_that_travels_is_a_warning(place):
    assert check_place(place.kit.parent / "cache").status == "PASS"
    finding = check_place(place.kit / "local/cache")
    assert finding.status == "WARN" and "local/ of a start-up kit" in finding.message
    assert "'cache' in the site file" in finding.remedy


def test_doctor_looks_at_the_cache_of_a_site_of_patients(place):
    path = place.local / "fedvox_site.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"dataset": "plain", "cache": "../startup/cache"}))
    found = {finding.check: finding for finding in examine(place.kit, None, None)}
    assert found["privacy"].status == "WARN"
