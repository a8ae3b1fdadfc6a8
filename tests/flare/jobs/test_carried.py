"""Code that a job carries: what differs, and that nothing else runs in its place."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fedvox.commands.main import main
from fedvox.errors import ConfigError
from fedvox.flare.jobs.carried import check_carried, installed_package, review
from fedvox.flare.jobs.export import export_job
from fedvox.manifest import MANIFEST, write_manifest

ROOT = Path(__file__).parents[3]
JOB = ROOT / "jobs/fedgin"


@pytest.fixture
def carried(carried_job, tmp_path):
    return Path(shutil.copytree(carried_job, tmp_path / carried_job.name))


def change(job, name="augment/gin.py", text="\nevil = True\n"):
    path = job / "app/custom/fedvox" / name
    path.write_text((path.read_text() if path.is_file() else "") + text)


def test_an_untouched_export_carries_the_reviewed_package(carried, capsys):
    assert main(["job", "diff", str(carried), "--text"]) == 0
    said = "the job matches its manifest and carries exactly the reviewed package\n"
    assert capsys.readouterr().out == said
    check_carried(carried / "app/custom")


@pytest.mark.parametrize("code", ["preinstalled", "pinned"])
def test_a_job_without_code_is_judged_by_its_configuration(tmp_path, capsys, code):
    job = export_job(JOB, tmp_path, code)
    assert main(["job", "diff", str(job)]) == 0
    assert capsys.readouterr().out.startswith("the job carries no code, and is configuration")
    (job / "app/custom").mkdir(exist_ok=True)
    (job / "app/custom/other.py").write_text("evil = True\n")
    assert main(["job", "diff", str(job)]) == 1
    assert "against the reviewed package: other.py: beside the package" in capsys.readouterr().out


def test_a_changed_file_is_named_against_manifest_and_package(carried, capsys):
    change(carried)
    assert main(["job", "diff", str(carried), "--text"]) == 1
    output = capsys.readouterr().out
    assert "against its manifest: app/custom/fedvox/augment/gin.py: changed" in output
    assert "against the reviewed package: augment/gin.py: changed" in output
    assert "+evil = True" in output


def test_no_character_of_the_job_hides_a_line_of_the_text(carried, capsys):
    change(carried, text="\nevil = True  # \x1b[2K\x1b[1A\r\n")
    assert main(["job", "diff", str(carried), "--text"]) == 1
    output = capsys.readouterr().out
    assert "+evil = True  # \\x1b[2K\\x1b[1A" in output
    assert "\x1b" not in output and "\r" not in output


def test_a_last_line_without_an_end_is_shown(carried, capsys):
    change(carried, "augment/new.py", text="evil = True")
    change(carried, "seeding.py", text="evil = False")
    assert main(["job", "diff", str(carried), "--text"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "+evil = True" in lines and "+evil = False" in lines


def test_added_and_missing_files_are_named(carried, capsys):
    change(carried, "augment/new.py")
    (carried / "app/custom/fedvox/seeding.py").unlink()
    assert main(["job", "diff", str(carried), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["code"] == ["augment/new.py: added", "seeding.py: missing"]
    assert "app/custom/fedvox/seeding.py: missing" in found["manifest"]


@pytest.mark.parametrize("name", ["sitecustomize.py", "evil/x.py", "fedvox/__pycache__/x.pyc"])
def test_code_hidden_beside_the_package_or_in_its_cache_is_found(carried, name):
    path = carried / "app/custom" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("print('evil')\n")
    write_manifest(carried, carried / "app/custom" / MANIFEST)
    assert len(review(carried)[1]) == 1
    with pytest.raises(ConfigError, match="the job carries"):
        check_carried(carried / "app/custom")


def test_a_link_is_found(carried, tmp_path):
    (carried / "app/custom/fedvox/link").symlink_to(tmp_path)
    assert "fedvox/link: beside the package" in review(carried)[1]


def test_signatures_that_flare_adds_at_submission_do_not_count(carried, capsys):
    (carried / "app" / ".__nvfl_sig.json").write_text("{}")
    (carried / ".__nvfl_submitter.crt").write_text("")
    (carried / "app/custom/fedvox/.__nvfl_sig.json").write_text("{}")
    check_carried(carried / "app/custom")
    assert main(["job", "diff", str(carried)]) == 0


@pytest.mark.parametrize(
    "name",
    [
        ".__nvfl_sig.json:evil.py",
        ".__nvfl_sig.json: evil.py",
        "fedvox/.__nvfl_submitter.crt:evil.py",
        "fedvox/.__nvfl_sig.json/evil.py",
    ],
)
def test_a_name_that_only_begins_like_a_signature_counts(carried, name):
    path = carried / "app/custom" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("print('evil')\n")
    sealed, code = review(carried)
    assert sealed == [f"app/custom/{name}: added"] and len(code) == 1
    with pytest.raises(ConfigError, match="the job carries"):
        check_carried(carried / "app/custom")


def test_what_is_no_file_lies_beside_the_package(carried):
    os.mkfifo(carried / "app/custom/fedvox/pipe")
    assert review(carried)[1] == ["fedvox/pipe: beside the package"]


def test_another_release_can_be_the_reviewed_one(carried, tmp_path, capsys):
    reviewed = tmp_path / "reviewed"
    shutil.copytree(installed_package(), reviewed)
    (reviewed / "errors.py").write_text("# older\n")
    assert main(["job", "diff", str(carried), "--against", str(reviewed)]) == 1
    assert "errors.py: changed" in capsys.readouterr().out


def test_other_code_than_the_installed_does_not_run_unnoticed(carried):
    change(carried)
    with pytest.raises(ConfigError, match=r"1 files differ, the first is augment/gin\.py: changed"):
        check_carried(carried / "app/custom")


def test_a_job_that_carries_no_package_is_not_checked(tmp_path):
    check_carried(tmp_path)


def by_hand(job):
    """Exit codes of the page's two lines for a site without fedvox."""
    page = (ROOT / "docs/hospital-it.md").read_text()
    lines = re.findall(r"^\(cd received/fedgin-carried && (.*)\)$", page, re.MULTILINE)
    assert len(lines) == 2
    return [subprocess.run(["bash", "-c", line], cwd=job).returncode for line in lines]


def test_the_check_without_fedvox_passes_an_export(carried):
    assert by_hand(carried) == [0, 0]


@pytest.mark.parametrize(
    "name", ["app/custom/MANIFEST.py", "MANIFEST.sha256", "app2/MANIFEST/x.py", "app/x y.py"]
)
def test_the_check_without_fedvox_shows_a_file_that_the_list_lacks(carried, name):
    (carried / name).parent.mkdir(parents=True, exist_ok=True)
    (carried / name).write_text("print('evil')\n")
    assert by_hand(carried) == [0, 1]


@pytest.mark.parametrize("name", ["app2", "app/custom/fedvox/seeding.py", "app/custom/fedvox"])
def test_the_check_without_fedvox_shows_a_link(carried, tmp_path, name):
    path = carried / name
    if path.exists():
        path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert by_hand(carried) == [0, 1]


def test_the_check_without_fedvox_shows_a_changed_file(carried):
    change(carried)
    assert by_hand(carried) == [1, 0]


def test_a_reviewed_package_that_is_none_is_one_line(carried, tmp_path, capsys):
    for folder in ("/nope", str(tmp_path)):
        assert main(["job", "diff", str(carried), "--against", folder]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"fedvox: error: --against {folder}: no fedvox package")


def test_a_job_that_is_none_is_one_line(tmp_path, capsys):
    assert main(["job", "diff", str(tmp_path / "a\nb")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(
        f"fedvox: error: {tmp_path}/a\\nb: no such folder; name an exported job"
    )
    assert error.count("\n") == 1
