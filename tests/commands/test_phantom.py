import argparse
import json
import shlex
from pathlib import Path

import pytest

from fedvox.commands import phantom
from fedvox.commands.main import build_parser
from fedvox.data.cases.splits import split_cases
from fedvox.data.readers import brats
from fedvox.data.readers.phantom import read
from fedvox.data.site.site_file import read_site_file
from fedvox.errors import ConfigError
from fedvox.flare.jobs.folder import job_settings
from fedvox.phantoms import writer


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    phantom.add_parser(parser.add_subparsers())
    args = parser.parse_args(["phantom", *arguments])
    return args.run(args)


def small(out: Path, *arguments: str) -> int:
    return call("--out", str(out), "--cases", "3", "--spacing", "12", *arguments)


def test_sites_can_be_read_through_their_site_files(tmp_path, capsys):
    out = tmp_path / "data"
    assert small(out, "--sites", "ct,mr_t2") == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "site-1",
        "site-1.json",
        "site-2",
        "site-2.json",
    ]
    for number, modality in ((1, "ct"), (2, "mr")):
        settings = read_site_file(out / f"site-{number}.json")
        assert (settings.dataset, settings.split, settings.share) == ("phantom", "dataset", "cases")
        assert Path(settings.root) == (out / f"site-{number}").resolve()
        cases = read(Path(settings.root), settings.modalities)
        assert settings.modalities == (modality,)
        assert sorted(str(case.split) for case in cases) == ["test", "train", "val"]
    printed = capsys.readouterr().out
    assert "phantom: a test instrument, not evidence about patients" in printed
    assert f"FEDVOX_SITE={out}/{{site}}.json nvflare simulator jobs/fedgin -n 2 -t 2" in printed


def test_json_output_is_one_object(tmp_path, capsys):
    small(tmp_path / "data", "--sites", "ct", "--json")
    result = json.loads(capsys.readouterr().out)
    assert result["note"] == "phantom: a test instrument, not evidence about patients"
    assert result["sites"][0]["counts"] == {"train": 1, "val": 1, "test": 1}
    assert result["next"].endswith("nvflare simulator jobs/fedgin -n 1 -t 1")


@pytest.mark.parametrize(
    ("cases", "expected"), [(3, (1, 1, 1)), (8, (5, 1, 2)), (10, (7, 1, 2)), (20, (14, 2, 4))]
)
def test_cases_are_split_70_10_20(cases, expected):
    assert tuple(phantom.split_counts(cases).values()) == expected


def test_fewer_than_three_cases_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least 3"):
        call("--out", str(tmp_path / "data"), "--cases", "2")
    assert list(tmp_path.iterdir()) == []


def test_existing_site_is_refused_by_name_and_left_alone(tmp_path):
    (tmp_path / "site-2").mkdir()
    with pytest.raises(ConfigError, match="site-2 exists already"):
        small(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["site-2"]


def test_unknown_modality_of_a_later_site_leaves_nothing(tmp_path):
    with pytest.raises(ConfigError, match="choose one of: ct, mr"):
        small(tmp_path / "data", "--sites", "ct,pet")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "_write_nifti", fail)
    with pytest.raises(ConfigError, match="No space left on device"):
        small(tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_help_shows_examples_and_says_what_phantoms_are(capsys):
    with pytest.raises(SystemExit):
        call("--help")
    printed = capsys.readouterr().out
    assert "fedvox phantom --out data" in printed
    assert "a test instrument, not evidence about patients" in printed


def test_printed_command_quotes_the_folder(tmp_path, capsys):
    small(tmp_path / "my data", "--sites", "ct", "--json")
    command = json.loads(capsys.readouterr().out)["next"]
    assert shlex.split(command)[0] == f"FEDVOX_SITE={tmp_path}/my data/{{site}}.json"


def test_negative_seed_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--seed is -1; it must be 0 or more"):
        small(tmp_path / "data", "--seed", "-1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["", " "])
def test_empty_out_is_a_usage_error(out, capsys):
    with pytest.raises(SystemExit):
        call("--out", out)
    assert "--out: is empty; name a folder" in capsys.readouterr().err


def test_brains_come_as_a_site_of_brats_would_describe_them(tmp_path, capsys):
    out = tmp_path / "data"
    assert small(out, "--body", "brain", "--sites", "t1+t1ce+t2+flair,flair+t1") == 0
    for number, modalities in ((1, ("t1", "t1ce", "t2", "flair")), (2, ("flair", "t1"))):
        settings = read_site_file(out / f"site-{number}.json")
        assert (settings.dataset, settings.modalities) == ("brats", modalities)
        cases = brats.read(Path(settings.root), modalities)
        assert [len(part) for part in split_cases(cases, settings.split).values()] == [1, 1, 1]
    printed = capsys.readouterr().out
    assert "nvflare simulator jobs/mixmfl -n 2" in printed


def test_the_printed_command_of_a_heart_exports_a_job_for_it_first(tmp_path, capsys):
    out = tmp_path / "my data"
    assert small(out, "--body", "heart", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert [site["modality"] for site in result["sites"]] == ["ct", "mr"]
    words = shlex.split(result["next"])
    end = words.index("&&")
    args = build_parser().parse_args(words[1:end])
    args.run(args)
    job = job_settings(Path(words[words.index("simulator") + 1]))
    assert (job.name, len(job.data.organs), job.phantom.body) == ("heart", 7, "heart")
    assert words[end + 1] == f"FEDVOX_SITE={out}/{{site}}.json"


def test_contrast_of_a_brain_is_refused_in_an_abdomen(tmp_path):
    with pytest.raises(ConfigError, match="'flair'; choose one of: ct, mr"):
        small(tmp_path / "data", "--sites", "flair")
    assert list(tmp_path.iterdir()) == []


def test_qualities_go_in_turn_and_counts_are_those_of_the_files(tmp_path, capsys):
    out = tmp_path / "data"
    call(
        *("--out", str(out), "--cases", "8", "--spacing", "12", "--size", "100", "--json"),
        *("--sites", "ct,ct,ct", "--quality", "small, good"),
    )
    sites = json.loads(capsys.readouterr().out)["sites"]
    assert [site["quality"] for site in sites] == ["small", "good", "small"]
    assert [site["counts"]["train"] for site in sites] == [2, 5, 2]
    for site in sites:
        written = list((Path(site["folder"]) / "images").iterdir())
        assert len(written) == sum(site["counts"].values())


def test_unknown_quality_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="'best'; choose one of: good, noisy"):
        small(tmp_path / "data", "--quality", "best")
    assert list(tmp_path.iterdir()) == []


def test_training_cases_lack_a_contrast_where_asked_for(tmp_path, capsys):
    out = tmp_path / "data"
    sites = ("--body", "brain", "--sites", "t1+flair,t2", "--incomplete", "1")
    assert call("--out", str(out), "--cases", "3", "--spacing", "12", *sites) == 0
    whole, one = (json.loads((out / f"site-{n}" / "phantom.json").read_text()) for n in (1, 2))
    assert ["lacks" in entry for entry in whole["cases"]] == [True, False, False]
    assert not any("lacks" in entry for entry in one["cases"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--incomplete", "2"), "--incomplete is 2; it must be from 0 to 1"),
        (("--incomplete", "nan"), "--incomplete is nan; it must be from 0 to 1"),
        (("--incomplete", "0.5"), "--incomplete is 0.5, and no site holds several modalities"),
    ],
)
def test_a_share_of_incomplete_cases_that_no_site_can_have_is_refused(tmp_path, arguments, words):
    with pytest.raises(ConfigError, match=words):
        small(tmp_path / "data", *arguments)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("sites", "share", "lenient"),
    [
        ("t1+t1ce+t2+flair,flair+t1+t2+t1ce", "0", False),
        ("t1+t1ce+t2+flair,flair", "0", True),
        ("t1+t1ce+t2+flair", "0.5", True),
    ],
)
def test_the_next_command_lets_cases_lack_what_they_were_written_without(
    tmp_path, capsys, sites, share, lenient
):
    out = tmp_path / "data"
    arguments = ("--body", "brain", "--sites", sites, "--incomplete", share, "--json")
    call("--out", str(out), "--cases", "3", "--spacing", "12", *arguments)
    told = json.loads(capsys.readouterr().out)["next"]
    assert ("jobs/mixmfl " if lenient else "jobs/brats ") in told
    assert f"-n {len(sites.split(','))} " in told
