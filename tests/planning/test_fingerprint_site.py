"""A site's training cases, listed at once and read when they are asked for."""

import dataclasses
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from fedvox.data.settings import DataSettings
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import ConfigError, DataError
from fedvox.planning.fingerprint_site import (
    kept_fingerprints,
    list_training_cases,
    read_fingerprints,
    write_fingerprints,
)

ORGANS = ("liver", "spleen")
DATA = DataSettings(ORGANS)


@pytest.fixture
def site(make_plain_site, tmp_path):
    """A plain CT folder: a, b, c train, d and e are kept from training."""
    make_plain_site(tmp_path / "data", "abcde")
    split = {"train": ["a", "b", "c"], "val": ["d"], "test": ["e"]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    return SiteSettings(
        dataset="plain",
        root=str(tmp_path / "data"),
        modalities=("mr",),
        split=str(tmp_path / "split.json"),
    )


def spoil(site, name):
    from pathlib import Path

    (Path(site.root) / "images" / f"{name}.nii.gz").write_bytes(b"nothing")


def test_only_training_cases_are_listed(site):
    listed = list_training_cases("site-1", site, DATA)
    assert [case.id for case in listed.cases] == ["a", "b", "c"]
    assert listed.modalities == ["mr"]
    assert listed.annotated(("liver", "pancreas")) == ["liver"]
    assert not listed.phantom


def test_test_cases_are_never_opened(site):
    spoil(site, "e")
    listed = list_training_cases("site-1", site, DATA)
    found = read_fingerprints("site-1", site, listed, ORGANS)
    assert found["mr"].cases == found["mr"].counted["spacing_r"] == 3


def test_too_many_unusable_cases_stop_the_site_without_a_name(site):
    spoil(site, "b")
    listed = list_training_cases("site-1", site, DATA)
    with pytest.raises(DataError, match="1 of 3 training cases are unusable") as error:
        read_fingerprints("site-1", site, listed, ORGANS)
    assert "b.nii" not in str(error.value)


def test_an_unusable_case_counts_as_one_that_nothing_was_taken_from(site):
    spoil(site, "b")
    site = dataclasses.replace(site, max_bad_fraction=0.5)
    listed = list_training_cases("site-1", site, DATA)
    found = read_fingerprints("site-1", site, listed, ORGANS)
    assert (found["mr"].cases, found["mr"].counted["extent_s"]) == (3, 2)


def test_a_site_without_training_cases_is_refused(site, tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"train": [], "val": ["a"], "test": []}))
    with pytest.raises(DataError, match="site-1: no training case among 5"):
        list_training_cases("site-1", site, DATA)


def test_stopped_work_has_no_result(site):
    listed = list_training_cases("site-1", site, DATA)
    assert read_fingerprints("site-1", site, listed, ORGANS, lambda: True) is None


def test_what_is_kept_comes_back_and_is_private(site, tmp_path):
    found = read_fingerprints("site-1", site, list_training_cases("site-1", site, DATA), ORGANS)
    path = tmp_path / "kept.json"
    assert kept_fingerprints(path) is None
    write_fingerprints(path, found)
    assert path.stat().st_mode & 0o777 == 0o600
    again = kept_fingerprints(path)["mr"]
    assert (again.cases, again.counted) == (found["mr"].cases, found["mr"].counted)
    for name, bins in found["mr"].histograms.items():
        assert np.array_equal(again.histograms[name], bins)


@pytest.mark.parametrize("text", ["{", "[]", '{"mr": 1}', '{"mr": {"cases": 1}}'])
def test_what_is_damaged_is_read_again(tmp_path, text):
    path = tmp_path / "kept.json"
    path.write_text(text)
    assert kept_fingerprints(path) is None


def test_a_job_with_channels_is_planned_from_whole_cases(brats_site, channel_job, tmp_path):
    root = shutil.copytree(brats_site, tmp_path / "brats")
    split = tmp_path / "split.json"
    names = [f"BraTS2021_0000{number}" for number in range(4)]
    split.write_text(json.dumps({"train": names}))
    order = ("flair", "t1", "t2")
    site = SiteSettings("brats", str(root), order, str(split), max_bad_fraction=0.5)
    (root / names[1] / f"{names[1]}_t1.nii.gz").unlink()
    listed = list_training_cases("site-1", site, channel_job.data)
    assert (listed.modalities, listed.counts) == (["t1+t2+flair"], {"t1+t2+flair": 3})
    found = read_fingerprints("site-1", site, listed, channel_job.data.organs)
    assert set(found) == {"t1+t2+flair"} and found["t1+t2+flair"].counted["spacing_r"] == 3
    strict = dataclasses.replace(site, max_bad_fraction=0.0)
    with pytest.raises(DataError, match=r"1 of 4 training cases .* no image of t1"):
        read_fingerprints("site-1", strict, listed, channel_job.data.organs)
    lacking = dataclasses.replace(site, modalities=("t1", "flair"))
    with pytest.raises(ConfigError, match="add t2 to 'modalities'"):
        list_training_cases("site-1", lacking, channel_job.data)


def test_cases_that_may_lack_channels_are_counted_by_set_and_planned_as_one_group(
    brats_site, lenient_job, tmp_path
):
    root = shutil.copytree(brats_site, tmp_path / "brats")
    names = [f"BraTS2021_0000{number}" for number in range(4)]
    (tmp_path / "split.json").write_text(json.dumps({"train": names}))
    for name, kinds in zip(names, (("t1",), ("t1", "t2"), ("t1", "t2", "flair"))):
        for kind in kinds:
            (root / name / f"{name}_{kind}.nii.gz").unlink()
    site = SiteSettings(
        "brats", str(root), ("flair", "t1", "t2"), str(tmp_path / "split.json"), max_bad_fraction=1
    )
    data = lenient_job.data
    listed = list_training_cases("site-1", site, data)
    assert listed.counts == {"flair": 1, "t1+t2+flair": 1, "t2+flair": 1}
    assert listed.modalities == sorted(listed.counts)
    found = read_fingerprints("site-1", site, listed, data.organs)
    assert list(found) == ["t1+t2+flair"]
    assert found["t1+t2+flair"].cases == found["t1+t2+flair"].counted["spacing_r"] == 3
    strict = dataclasses.replace(site, max_bad_fraction=0.0)
    with pytest.raises(DataError, match=r"1 of 4 training cases .* at least one of t1\+t2\+flair"):
        read_fingerprints("site-1", strict, listed, data.organs)
    none = dataclasses.replace(site, modalities=("t1ce",))
    with pytest.raises(ConfigError, match="of which a site needs at least one"):
        list_training_cases("site-1", none, data)


@pytest.mark.parametrize("lenient", [False, True])
def test_a_site_that_only_tests_counts_the_cases_that_the_job_can_use(
    brats_site, channel_job, lenient_job, tmp_path, lenient
):
    root = shutil.copytree(brats_site, tmp_path / "brats")
    (root / "BraTS2021_00001" / "BraTS2021_00001_t1.nii.gz").unlink()
    site = SiteSettings("brats", str(root), ("t1", "t2", "flair"), "test")
    job = lenient_job if lenient else channel_job
    listed = list_training_cases("site-1", site, job.data)
    expected = {"t1+t2+flair": 3, "t2+flair": 1} if lenient else {"t1+t2+flair": 3}
    assert listed.external and listed.test_counts == expected and listed.counts == {}
    assert listed.modalities == sorted(expected)


KILLED = """
import json, os, signal, sys
from pathlib import Path
from fedvox.config import build
from fedvox.data.settings import DataSettings
from fedvox.data.site.fatal import watch_cases
from fedvox.data.site.site_file import SiteSettings
from fedvox.planning import fingerprint_site as fs

site, state, crashed = json.loads(sys.argv[1])
real = fs.case_fingerprint

def read(case, organs):
    if case.id == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    return real(case, organs)

fs.case_fingerprint = read
data = DataSettings(organs=("liver", "spleen"), spacing=(12.0,) * 3, patch=(16, 16, 16))
site = build(SiteSettings, site, "site.json")
fatal = watch_cases(Path(state), "job", crashed)
listed = fs.list_training_cases("site-1", site, data)
found = fs.read_fingerprints("site-1", site, listed, data.organs, fatal=fatal)
print(json.dumps([found["mr"].cases, found["mr"].counted["spacing_r"]]))
"""


def test_a_case_that_ends_its_process_is_left_out_of_the_plan(site, tmp_path):
    plain = {**dataclasses.asdict(site), "workers": 3, "max_bad_fraction": 0.5}
    given = {key: value for key, value in plain.items() if value not in (None, "", (), {})}
    ends = []
    while not ends or ends[-1] == -signal.SIGKILL:
        plan = json.dumps([given, str(tmp_path / "state"), bool(ends)])
        done = subprocess.run([sys.executable, "-c", KILLED, plan], capture_output=True, text=True)
        ends.append(done.returncode)
        assert len(ends) <= 5, "as often as the launcher starts a process in a row"
    assert ends[-1] == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [3, 2]
    assert (tmp_path / "state" / "fatal.json").is_file()
