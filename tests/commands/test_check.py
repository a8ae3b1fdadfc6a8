import argparse
import json
import os
import shutil
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


def test_sound_site_passes(site_file, capsys):
    assert call(str(site_file)) == 0
    assert capsys.readouterr().out == (
        "PASS  cases  6 of 6 cases can be used: 4 train, 1 val, 1 test\n"
    )


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
    line = "NSD's tolerance of 3 mm in the job is below the voxel size of 1 of 1 test cases"
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
