"""Where files about patients would travel along."""

import shutil
import subprocess

import pytest

from fedvox.exposure import exposed


@pytest.fixture
def repository(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True)
    (tmp_path / "repo/.gitignore").write_text("/private/\n*.nii.gz\n")
    return tmp_path / "repo"


def test_a_file_that_git_does_not_ignore_would_be_committed(repository):
    assert exposed(repository / "check.html") == "git would commit it"
    assert exposed(repository / "new/folder/cache") == "git would commit it"


@pytest.mark.parametrize("name", ["private/check.html", "scan.nii.gz", "private/new/cache"])
def test_what_git_ignores_stays(repository, name):
    assert exposed(repository / name) == ""


def test_a_path_from_the_current_folder_counts(repository, monkeypatch):
    monkeypatch.chdir(repository)
    from pathlib import Path

    assert exposed(Path("check.html")) and not exposed(Path("private/check.html"))


def test_without_git_a_work_tree_counts(repository, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert exposed(repository / "private/check.html")


@pytest.mark.parametrize(
    ("name", "travels"),
    [
        ("startup/site_key", True),
        ("transfer/a/page.html", True),
        ("local/fedvox_site.json", False),
        ("local/cache", True),
        ("cache", False),
    ],
)
def test_folders_of_a_kit_that_travel(tmp_path, name, travels):
    (tmp_path / "kit/startup").mkdir(parents=True)
    (tmp_path / "kit/startup/fed_client.json").touch()
    assert bool(exposed(tmp_path / "kit" / name)) == travels


def test_a_folder_of_that_name_is_no_kit(tmp_path):
    assert exposed(tmp_path / "startup/x") == ""


def test_a_link_counts_where_it_leads_and_a_linked_file_where_it_lies_too(repository, tmp_path):
    (tmp_path / "link").symlink_to(repository)
    assert exposed(tmp_path / "link/check.html") == "git would commit it"
    (repository / "away").symlink_to(tmp_path)
    assert exposed(repository / "away/cache") == ""
    (repository / "page.html").symlink_to(tmp_path / "page.html")
    assert exposed(repository / "page.html") == "git would commit it"
