import argparse
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fedvox.commands import check
from fedvox.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
CANARY = "miller_anna_1955"


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    check.add_parser(parser.add_subparsers())
    args = parser.parse_args(["check", "--workers", "1", *arguments])
    return args.run(args)


@pytest.fixture
def site_file(phantom_site, tmp_path) -> Path:
    """Six cases with a patient's name, read as a site of patients."""
    root = tmp_path / "scans"
    shutil.copytree(phantom_site("ct"), root)
    (root / "phantom.json").unlink()
    for part in ("images", "labels"):
        for path in sorted((root / part).iterdir()):
            path.rename(path.with_name(path.name.replace("phantom", CANARY)))
    site = {"dataset": "plain", "root": "scans", "modalities": ["ct"], "cache": "cache"}
    names = sorted(path.name.removesuffix(".nii.gz") for path in (root / "images").iterdir())
    split = {"train": names[:4], "val": names[4:5], "test": names[5:]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    path = tmp_path / "site-1.json"
    path.write_text(json.dumps(site | {"split": "split.json", "max_bad_fraction": 0.5}))
    return path


@pytest.fixture
def damaged(site_file) -> Path:
    """The same with an empty image."""
    sorted((site_file.parent / "scans/images").iterdir())[1].write_bytes(b"")
    return site_file


def test_the_current_folder_is_no_site_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^\.: it is a folder; name the site file, as fedvox_s"):
        call(".")


def test_sound_site_passes(site_file, capsys):
    assert call(str(site_file)) == 0
    assert capsys.readouterr().out == (
        "PASS  cases  6 of 6 cases can be used: 4 train, 1 val, 1 test\n"
    )


def test_a_slip_in_the_attachments_is_told_before_the_run(site_file):
    content = json.loads(site_file.read_text()) | {"attachments": ["prototype"]}
    site_file.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"'prototype'; did you mean 'prototypes'"):
        call(str(site_file))


def test_refused_case_is_called_by_its_code_with_a_remedy(damaged, capsys):
    assert call(str(damaged)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAIL  cases  5 of 6 cases can be used: 3 train")
    assert lines[1].startswith("FAIL  image  the file is empty")
    code = lines[1].partition("[1 case: ")[2].rstrip("]")
    assert len(code) == 8 and lines[2].strip() == "-> copy it again"
    assert CANARY not in "".join(lines)
    assert call(str(damaged), "--which", code) == 0
    assert capsys.readouterr().out == f"{CANARY}_0002\n"


def test_json_is_one_object_without_names(damaged, capsys):
    assert call(str(damaged), "--json") == 1
    text = capsys.readouterr().out
    content = json.loads(text)
    assert (content["status"], content["cases"], content["refused"]) == ("FAIL", 6, 1)
    assert CANARY not in text and str(damaged.parent) not in text


def test_quarantine_makes_the_next_check_pass_until_the_file_changes(damaged, capsys):
    assert call(str(damaged), "--quarantine") == 1
    assert "in quarantine.json of the site's cache: 1 case\n" in capsys.readouterr().out
    listed = damaged.parent / "cache/quarantine.json"
    assert CANARY not in listed.read_text() and listed.stat().st_mode & 0o777 == 0o600
    assert call(str(damaged)) == 0
    printed = capsys.readouterr().out
    assert "PASS  cases  5 of 6" in printed and "WARN  image  in quarantine: " in printed
    sorted((damaged.parent / "scans/images").iterdir())[1].write_bytes(b"other")
    assert call(str(damaged)) == 1


def test_page_is_written_for_its_owner_only_and_names_no_file(damaged, capsys):
    page = damaged.parent / "check.html"
    assert call(str(damaged), "--html", str(page), "--thumbnails") == 1
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    text = page.read_text()
    assert page.stat().st_mode & 0o777 == 0o600
    assert CANARY not in text and str(damaged.parent) not in text
    assert "Keep it at the site" in text


def test_processes_that_read_in_parallel_print_no_name(damaged, capfd):
    assert call(str(damaged), "--workers", "2") == 1
    printed = capfd.readouterr()
    assert "FAIL  image" in printed.out
    assert CANARY not in printed.out + printed.err and str(damaged.parent) not in printed.err


def test_job_decides_which_organs_count(site_file, capsys):
    assert call(str(site_file), "--job", str(ROOT / "jobs/fedgin")) == 0
    line = "NSD's tolerance of 3 mm in the job is below every voxel edge of 1 of 1 test cases"
    assert capsys.readouterr().out.count(line) == 1
    table = {"hippocampus anterior": 1, **{f"other_{value}": value for value in range(2, 9)}}
    (site_file.parent / "scans/labels.json").write_text(json.dumps(table))
    assert call(str(site_file), "--job", str(ROOT / "jobs/fedgin")) == 1
    printed = capsys.readouterr().out
    assert "FAIL  organs  no case annotates an organ of the job" in printed
    assert "the label holds none of the job's organs" in printed


def test_codes_without_a_cache_are_said_to_be_of_this_run(damaged, capsys):
    content = json.loads(damaged.read_text())
    del content["cache"]
    damaged.write_text(json.dumps(content))
    assert call(str(damaged)) == 1
    assert "names no cache: these codes hold for this run only" in capsys.readouterr().out
    for option in (("--quarantine",), ("--which", "12345678")):
        with pytest.raises(ConfigError, match="cache"):
            call(str(damaged), *option)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--workers", "0"), "--workers is 0"),
        (("--thumbnails",), "give --html FILE as well"),
        (("--html", "."), "it is a folder; name the file to write"),
        (("--job", "missing"), "no such folder"),
        (("--which", "ffffffff"), "no case has this code"),
    ],
)
def test_option_that_cannot_be_is_one_line(site_file, arguments, words):
    with pytest.raises(ConfigError, match=words):
        call(str(site_file), *arguments)


def test_folder_in_another_layout_is_refused(site_file):
    (site_file.parent / "scans/labels.json").unlink()
    with pytest.raises(DataError, match="no labels"):
        call(str(site_file))


def test_a_page_replaces_a_page_and_nothing_else(site_file, tmp_path):
    scan = next((tmp_path / "scans/images").iterdir())
    before = scan.read_bytes()
    for target in (scan, site_file):
        with pytest.raises(ConfigError, match="it exists and is no page"):
            call(str(site_file), "--html", str(target))
    assert scan.read_bytes() == before
    page = tmp_path / "check.html"
    assert call(str(site_file), "--html", str(page)) == 0
    assert call(str(site_file), "--html", str(page)) == 0


def test_a_damaged_list_is_written_anew_by_the_command_that_its_message_names(site_file, tmp_path):
    assert call(str(site_file)) == 0  # makes the cache and its key
    (tmp_path / "cache/quarantine.json").write_text("{")
    with pytest.raises(DataError, match="write it again with"):
        call(str(site_file))
    assert call(str(site_file), "--quarantine") == 0
    assert call(str(site_file)) == 0


def test_a_file_name_that_is_not_utf8_is_a_case_like_any_other(site_file, tmp_path, capsys):
    names = json.loads((tmp_path / "split.json").read_text())["train"]
    for part in ("images", "labels"):
        old = tmp_path / f"scans/{part}/{names[0]}.nii.gz"
        old.rename(old.with_name(os.fsdecode(b"M\xfcller.nii.gz")))
    site = json.loads(site_file.read_text()) | {"split": "hash"}
    site_file.write_text(json.dumps(site))
    assert call(str(site_file), "--quarantine") == 0
    assert "6 of 6 cases can be used" in capsys.readouterr().out


def test_a_list_of_files_is_written_on_request_and_nothing_else_names_one(damaged, capsys):
    stray = damaged.parent / "scans/labels" / f"{CANARY}_note.txt"
    stray.touch()
    path = damaged.parent / "files.csv"
    assert call(str(damaged), "--list", str(path)) == 1
    printed = capsys.readouterr().out
    assert CANARY not in printed and "--list FILE names them" in printed
    assert printed.endswith(f"{path} (holds file names: keep it at the site)\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(stray) in path.read_text() and f"{CANARY}_0002" in path.read_text()
    assert call(str(damaged), "--list", str(path)) == 1  # a list may be replaced


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("scans", "it is a folder"),
        ("site-1.json", "it exists and is no such list"),
        ("site-1.json/x.csv", "is a file, not a folder"),
    ],
)
def test_a_list_that_cannot_be_written_is_refused_before_any_case_is_read(
    site_file, place, words, monkeypatch
):
    monkeypatch.setattr("fedvox.data.check.site.check_site", None)
    with pytest.raises(ConfigError, match=words):
        call(str(site_file), "--list", str(site_file.parent / place))


def test_share_of_voxels_that_nobody_annotated_is_told(site_file, capsys):
    table = site_file.parent / "scans/labels.json"
    content = json.loads(table.read_text())
    table.write_text(json.dumps({"ignore": content.pop("liver"), **content}))
    assert call(str(site_file)) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("PASS  ignore") and "of 6 of 6 cases are 'ignore'" in line
    assert call(str(site_file), "--json") == 0
    ignored = json.loads(capsys.readouterr().out)["ignored"]
    assert ignored["cases"] == 6 and 0 < ignored["share"] < 1


def test_files_that_make_a_whole_folder_unusable_are_counted_and_named_on_request(
    site_file, capsys
):
    image = min((site_file.parent / "scans/images").iterdir())
    shutil.copy(image, image.with_suffix(""))  # .nii beside .nii.gz
    with pytest.raises(
        DataError, match=r"1 cases repeat.*keep one of each \(--list FILE names"
    ) as error:
        call(str(site_file))
    assert CANARY not in str(error.value)
    path = site_file.parent / "files.csv"
    with pytest.raises(DataError, match="1 cases repeat"):
        call(str(site_file), "--list", str(path))
    assert str(image) in path.read_text() and str(image.with_suffix("")) in path.read_text()
    image.with_suffix("").unlink()  # as the remedy says
    assert call(str(site_file)) == 0


@pytest.fixture
def in_git(site_file, monkeypatch) -> Path:
    """The site in a repository that ignores its folder ``private``; no case is read."""
    subprocess.run(["git", "init", "-q", str(site_file.parent)], check=True)
    (site_file.parent / ".gitignore").write_text("/private/\n")
    monkeypatch.setattr(check, "_check", lambda args, site: 0)
    return site_file


def test_a_page_of_slices_is_refused_where_git_would_commit_it(in_git):
    with pytest.raises(ConfigError, match="git would commit it, with slices of patients"):
        call(str(in_git), "--html", str(in_git.parent / "check.html"), "--thumbnails")
    page = str(in_git.parent / "private/check.html")
    assert call(str(in_git), "--html", page, "--thumbnails") == 0


def test_a_list_of_file_names_is_refused_where_git_would_commit_it(in_git):
    with pytest.raises(ConfigError, match=r"--list .*git would commit it, with names of"):
        call(str(in_git), "--list", str(in_git.parent / "files.csv"))
    assert call(str(in_git), "--list", str(in_git.parent / "private/files.csv")) == 0


def test_a_site_file_and_a_cache_that_git_would_commit_are_noted(in_git, capsys):
    assert call(str(in_git)) == 0
    assert capsys.readouterr().err.splitlines() == [
        "note: the site file: git would commit it; move it to a place of its own",
        "note: 'cache': git would commit it; move it to a place of its own",
    ]
    (in_git.parent / ".gitignore").write_text("*\n")
    assert call(str(in_git)) == 0
    assert capsys.readouterr().err == ""
