import dataclasses
import json
import os
from pathlib import Path

import pytest

from fedvox.data.cases.case import Case
from fedvox.data.readers import READERS
from fedvox.data.settings import DataSettings
from fedvox.data.site.quarantine import QUARANTINE, files_mark, quarantined, write_quarantine
from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import ConfigError, DataError

SETTINGS = DataSettings(organs=("liver", "spleen"), spacing=(6.0, 6.0, 6.0), patch=(8, 8, 8))
NAMES = [f"miller_anna_{number}" for number in range(5)]


@pytest.fixture
def site(tmp_path, make_plain_site):
    """Five cases, of which three train; no bad one is allowed."""
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": NAMES[:3], "val": NAMES[3:4], "test": NAMES[4:]}))
    root, cache = str(make_plain_site(tmp_path / "scans", NAMES)), str(tmp_path / "cache")
    return SiteSettings("plain", root, ("ct",), str(split), cache, max_bad_fraction=0.0)


@pytest.fixture
def cases(site) -> list[Case]:
    return READERS["plain"](Path(site.root), ["ct"])


def listed(site) -> Path:
    return Path(site.cache) / QUARANTINE


def test_list_names_nobody_and_only_its_owner_reads_it(site, cases):
    path = write_quarantine(site, [(cases[1], "the image is constant")])
    assert path == listed(site) and path.stat().st_mode & 0o777 == 0o600
    assert "miller" not in path.read_text() and "the image is constant" in path.read_text()
    assert quarantined(site, cases) == {NAMES[1]: "the image is constant"}


def test_without_a_list_nothing_is_in_quarantine_and_no_key_is_made(site, cases):
    assert quarantined(site, cases) == {}
    assert quarantined(dataclasses.replace(site, cache=""), cases) == {}
    assert not Path(site.cache).exists()


def test_a_new_list_replaces_the_old_one(site, cases):
    write_quarantine(site, [(cases[1], "a"), (cases[2], "b")])
    write_quarantine(site, [(cases[2], "c")])
    assert quarantined(site, cases) == {NAMES[2]: "c"}


def test_a_list_needs_a_cache(site, cases):
    with pytest.raises(ConfigError, match="names no 'cache'"):
        write_quarantine(dataclasses.replace(site, cache=""), [(cases[0], "a")])


@pytest.mark.parametrize("part", ["images", "labels"])
def test_a_case_whose_files_changed_is_looked_at_again(site, cases, part):
    write_quarantine(site, [(cases[1], "a")])
    path = Path(site.root) / part / f"{NAMES[1]}.nii.gz"
    os.utime(path, ns=(1, 1))
    assert quarantined(site, cases) == {}


def test_a_missing_file_stays_in_quarantine_until_it_comes_back(site, cases):
    path = Path(site.root) / "labels" / f"{NAMES[1]}.nii.gz"
    content = path.read_bytes()
    path.unlink()
    write_quarantine(site, [(cases[1], "the file is missing")])
    assert NAMES[1] in quarantined(site, cases)
    path.write_bytes(content)
    assert quarantined(site, cases) == {}


def test_the_mark_of_a_dicom_folder_follows_its_files(tmp_path):
    (tmp_path / "series").mkdir()
    (tmp_path / "series/1.dcm").write_bytes(b"a")
    case = Case("a", "a", {"ct": tmp_path / "series"}, ())
    first = files_mark(case, b"key")
    os.utime(tmp_path / "series/1.dcm", ns=(1, 1))
    assert files_mark(case, b"key") != first


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"format": 2, "cases": {}}',
        '{"format": 1, "cases": []}',
        '{"format": 1, "cases": {"ab": "x"}}',
        '{"format": 1, "cases": {"ab": {"reason": 1, "files": "x"}}}',
    ],
)
def test_damaged_list_is_refused_with_the_remedy(site, cases, text):
    listed(site).parent.mkdir()
    listed(site).write_text(text)
    with pytest.raises(DataError, match=r"quarantine\.json is damaged; write it again"):
        quarantined(site, cases)


def test_training_leaves_the_case_out_reports_it_and_does_not_count_it_as_bad(
    site, cases, tmp_path
):
    Path(cases[1].images["ct"]).write_bytes(b"")
    with pytest.raises(DataError, match="1 of 5 cases are unusable"):
        open_site("a", site, SETTINGS, tmp_path)
    write_quarantine(site, [(cases[1], "the file is not readable")])
    data = open_site("a", site, SETTINGS, tmp_path)
    assert len(data.cases) == 4 and len(data.train) == 2
    ((code, reason),) = data.skipped.items()
    assert len(code) == 8 and reason == "in quarantine: the file is not readable"


def test_sound_case_in_quarantine_is_left_out_and_comes_back_without_the_list(
    site, cases, tmp_path
):
    write_quarantine(site, [(cases[4], "twin")])
    assert len(open_site("a", site, SETTINGS, tmp_path).test) == 0
    listed(site).unlink()
    assert len(open_site("a", site, SETTINGS, tmp_path).test) == 1


def test_other_bad_cases_count_as_before(site, cases, tmp_path):
    write_quarantine(site, [(cases[1], "a")])
    Path(cases[2].images["ct"]).write_bytes(b"")
    with pytest.raises(DataError, match="1 of 4 cases are unusable") as caught:
        open_site("a", site, SETTINGS, tmp_path)
    assert "quarantine" not in str(caught.value)


def test_site_whose_training_cases_are_all_in_quarantine_is_refused(site, cases, tmp_path):
    write_quarantine(site, [(case, "a") for case in cases[:3]])
    with pytest.raises(DataError, match=r"no training case among 2.*3 more are in quarantine"):
        open_site("a", site, SETTINGS, tmp_path)


def test_damaged_list_stops_the_site(site, tmp_path):
    listed(site).parent.mkdir()
    listed(site).write_text("{")
    with pytest.raises(DataError, match="damaged"):
        open_site("a", site, SETTINGS, tmp_path)
