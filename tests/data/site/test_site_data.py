import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from fedvox.data.cases.case import Case
from fedvox.data.readers import READERS
from fedvox.data.settings import DataSettings
from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import ConfigError, DataError

SETTINGS = DataSettings(organs=("liver", "spleen"), spacing=(6.0, 6.0, 6.0), patch=(8, 8, 8))
NAMES = [f"miller_anna_{number}" for number in range(10)]


@pytest.fixture
def site(tmp_path, make_plain_site):
    """Ten cases: seven for training, one for validation, two for the test."""
    root = make_plain_site(tmp_path / "scans", NAMES)
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": NAMES[:7], "val": NAMES[7:8], "test": NAMES[8:]}))
    return SiteSettings(
        dataset="plain",
        root=str(root),
        modalities=("ct",),
        split=str(split),
        cache=str(tmp_path / "cache"),
    )


def damage(site: SiteSettings, *names: str) -> None:
    for name in names:
        os.truncate(f"{site.root}/images/{name}.nii.gz", 200)


def test_site_opens_with_its_splits(site, tmp_path):
    data = open_site("site-1", site, SETTINGS, tmp_path / "state")
    assert [len(part) for part in (data.train, data.val, data.test)] == [7, 1, 2]
    assert len(data.cases) == 10 and data.skipped == {}
    assert data.annotated == {"liver", "spleen"} and data.modalities == ["ct"]
    assert data.name == "site-1" and data.share == "summary" and not data.phantom


def test_prepared_cases_lie_in_the_cache_or_else_in_the_state_folder(site, tmp_path):
    open_site("a", site, SETTINGS, tmp_path / "state")
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == 10
    assert not (tmp_path / "state").exists()
    open_site("a", dataclasses.replace(site, cache=""), SETTINGS, tmp_path / "state")
    assert len(list((tmp_path / "state" / "prepared").iterdir())) == 10


def test_case_codes_stay_the_same_under_the_sites_own_secret(site, tmp_path):
    first, again = (open_site("a", site, SETTINGS, tmp_path) for _ in range(2))
    assert [case.code for case in first.cases] == [case.code for case in again.cases]
    key = tmp_path / "cache" / "site_key"
    assert len(key.read_bytes()) == 32 and key.stat().st_mode & 0o777 == 0o600
    elsewhere = open_site("a", dataclasses.replace(site, cache=""), SETTINGS, tmp_path / "s")
    assert {c.code for c in elsewhere.cases}.isdisjoint(c.code for c in first.cases)


def test_nobody_else_reads_the_prepared_cases(site, tmp_path):
    """They are copies of images; a cache of an earlier version is closed too."""
    (tmp_path / "cache/prepared").mkdir(parents=True)
    (tmp_path / "cache/prepared").chmod(0o755)
    for where in (site, dataclasses.replace(site, cache="")):
        data = open_site("a", where, SETTINGS, tmp_path / "state")
        assert {case.path.stat().st_mode & 0o777 for case in data.cases} == {0o600}
        assert {case.path.parent.stat().st_mode & 0o777 for case in data.cases} == {0o700}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_bad_case_is_skipped_and_counted_under_a_fingerprint(site, tmp_path):
    damage(site, NAMES[0])
    data = open_site("a", dataclasses.replace(site, max_bad_fraction=0.1), SETTINGS, tmp_path)
    assert len(data.train) == 6 and len(data.skipped) == 1
    ((fingerprint, reason),) = data.skipped.items()
    assert len(fingerprint) == 8 and int(fingerprint, 16) >= 0
    assert "damaged or truncated" in reason and "miller" not in fingerprint + reason


def test_more_bad_cases_than_allowed_stop_the_site_with_their_number(site, tmp_path):
    damage(site, NAMES[0], NAMES[9])
    settings = dataclasses.replace(site, max_bad_fraction=0.1)
    with pytest.raises(DataError, match="site-1: 2 of 10 cases are unusable") as caught:
        open_site("site-1", settings, SETTINGS, tmp_path)
    assert "max_bad_fraction 0.1" in str(caught.value)
    assert "miller" not in str(caught.value)


def test_no_bad_case_is_allowed_where_the_site_says_zero(site, tmp_path):
    strict = dataclasses.replace(site, max_bad_fraction=0.0)
    assert len(open_site("a", strict, SETTINGS, tmp_path).cases) == 10
    damage(site, NAMES[3])
    with pytest.raises(DataError, match="1 of 10 cases are unusable"):
        open_site("a", strict, SETTINGS, tmp_path)


def test_site_without_a_training_case_is_refused(site, tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"val": NAMES[:2], "test": NAMES[2:]}))
    with pytest.raises(DataError, match="a: no training case among 10; check 'root' and 'split'"):
        open_site("a", site, SETTINGS, tmp_path)


def test_site_whose_cases_happen_to_be_test_cases_is_told_how_to_say_so(site, tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"train": [], "test": NAMES}))
    with pytest.raises(DataError, match=r'no training case.*a site that only tests .*"split": "te'):
        open_site("a", site, SETTINGS, tmp_path)


@pytest.mark.parametrize("listed", [NAMES[:3], None])
def test_site_that_only_tests_needs_no_other_part(site, tmp_path, listed):
    if listed is None:
        site = dataclasses.replace(site, split="test")
    else:
        (tmp_path / "split.json").write_text(json.dumps({"test": listed}))
    data = open_site("a", site, SETTINGS, tmp_path)
    assert data.external
    assert (len(data.train), len(data.val), len(data.test)) == (0, 0, len(listed or NAMES))
    assert data.annotated == frozenset()


def test_site_that_only_tests_and_has_no_test_case_is_refused(site, tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"test": []}))
    with pytest.raises(DataError, match="a: no test case among 0; check 'root' and 'split'"):
        open_site("a", site, SETTINGS, tmp_path)


def test_site_whose_training_cases_are_all_bad_is_refused(site, tmp_path):
    damage(site, *NAMES[:7])
    with pytest.raises(DataError, match="no training case among 10"):
        open_site("a", dataclasses.replace(site, max_bad_fraction=1.0), SETTINGS, tmp_path)


def test_site_that_annotates_none_of_the_jobs_organs_is_refused(site, tmp_path):
    settings = dataclasses.replace(SETTINGS, organs=("pancreas", "aorta"))
    with pytest.raises(DataError, match=r"annotates any of the job's organs \(pancreas, aorta\)"):
        open_site("a", site, settings, tmp_path)


def test_partly_annotated_site_names_what_it_has(site, tmp_path):
    settings = dataclasses.replace(SETTINGS, organs=("pancreas", "liver"))
    assert open_site("a", site, settings, tmp_path).annotated == {"liver"}


def test_unknown_data_set_lists_the_readers(site, tmp_path):
    with pytest.raises(ConfigError, match=r"unknown dataset 'btcv'; choose one of: .*plain"):
        open_site("a", dataclasses.replace(site, dataset="btcv"), SETTINGS, tmp_path)


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_phantom_data_are_flagged(phantom_site, tmp_path, modality):
    root = str(phantom_site(modality))
    site = SiteSettings(dataset="phantom", root=root, modalities=(modality,), split="dataset")
    settings = dataclasses.replace(SETTINGS, spacing=(12.0, 12.0, 12.0))
    data = open_site("a", site, settings, tmp_path)
    assert data.phantom and data.modalities == [modality]
    assert [len(part) for part in (data.train, data.val, data.test)] == [3, 1, 2]
    assert all(min(case.counts) > 0 for case in data.cases)


def test_one_folder_read_by_two_sites_has_one_source(site, tmp_path):
    first = open_site("a", site, SETTINGS, tmp_path).source
    assert open_site("b", site, SETTINGS, tmp_path).source == first
    copy = shutil.copytree(site.root, tmp_path / "copy")
    other = dataclasses.replace(site, root=str(copy))
    assert open_site("b", other, SETTINGS, tmp_path).source != first
    assert "scans" not in first and len(first) == 16


def test_a_source_tells_the_cases_used_and_not_how_they_are_divided(site, tmp_path):
    def source(**parts):
        path = tmp_path / "own.json"
        path.write_text(json.dumps(parts))
        own = dataclasses.replace(site, split=str(path))
        return open_site("a", own, SETTINGS, tmp_path).source

    whole = open_site("a", site, SETTINGS, tmp_path).source
    only_tests = dataclasses.replace(site, split="test")
    assert open_site("b", only_tests, SETTINGS, tmp_path).source == whole == source(test=NAMES)
    part, rest = source(train=NAMES[:2]), source(train=NAMES[2:])
    assert source(test=NAMES[:2]) == part != rest
    assert {part.partition("-")[0], rest.partition("-")[0]} == {whole}


@pytest.mark.parametrize(("copy_of", "words"), [(0, "another case under 'train'"), (8, "'test'")])
def test_same_voxels_under_two_names_are_used_once(site, tmp_path, copy_of, words):
    # Cases are read in the order train, val, test: the copy stands last in its part.
    kept, twin = (NAMES[0], NAMES[6]) if copy_of == 0 else (NAMES[7], NAMES[8])
    for part in ("images", "labels"):
        shutil.copy(f"{site.root}/{part}/{kept}.nii.gz", f"{site.root}/{part}/{twin}.nii.gz")
    data = open_site("a", dataclasses.replace(site, max_bad_fraction=0.1), SETTINGS, tmp_path)
    (reason,) = data.skipped.values()
    assert words in reason and "miller" not in reason and len(data.cases) == 9


def test_damaged_site_key_is_refused_with_the_remedy(site, tmp_path):
    open_site("a", site, SETTINGS, tmp_path)
    (tmp_path / "cache" / "site_key").write_bytes(b"short")
    with pytest.raises(DataError, match="site_key holds 5 bytes, not 32; restore it, or delete"):
        open_site("a", site, SETTINGS, tmp_path)


def test_first_reason_is_shown_where_all_cases_may_be_bad(site, tmp_path):
    damage(site, *NAMES)
    with pytest.raises(
        DataError, match=r"no training case among 10.*damaged or truncated"
    ) as caught:
        open_site("a", dataclasses.replace(site, max_bad_fraction=1.0), SETTINGS, tmp_path)
    assert "miller" not in str(caught.value)


@pytest.mark.parametrize("blocked", ["cache", "cache/prepared"])
def test_cache_that_cannot_be_written_stops_the_site_in_one_line(site, tmp_path, blocked):
    path = tmp_path / blocked
    path.parent.mkdir(exist_ok=True)
    path.touch()
    lenient = dataclasses.replace(site, max_bad_fraction=1.0)
    with pytest.raises(
        DataError, match=r"cache folder cannot be written \(.*mend 'cache'"
    ) as caught:
        open_site("a", lenient, SETTINGS, tmp_path)
    assert str(tmp_path) not in str(caught.value)


def test_data_folder_that_cannot_be_read_is_refused_without_its_name(site, tmp_path, monkeypatch):
    def fail(root, modalities):
        raise PermissionError(13, "Permission denied", str(root))

    monkeypatch.setitem(READERS._entries, "plain", fail)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)") as caught:
        open_site("a", site, SETTINGS, tmp_path)
    assert str(tmp_path) not in str(caught.value)


def test_two_sites_may_share_a_folder_whose_modalities_they_divide(site, tmp_path, write_nifti):
    rng = np.random.default_rng(0)
    label = np.ones((8, 8, 8), np.uint8)
    for number in (1, 507):
        low, high = (-200, 200) if number < 500 else (0, 500)
        name = f"amos_{number:04d}.nii.gz"
        image = rng.integers(low, high, label.shape).astype(np.int16)
        write_nifti(tmp_path / "amos" / "imagesTr" / name, image)
        write_nifti(tmp_path / "amos" / "labelsTr" / name, label)
    sources = [
        open_site(
            "a",
            SiteSettings("amos", str(tmp_path / "amos"), modalities, split="dataset"),
            SETTINGS,
            tmp_path,
        ).source
        for modalities in (("ct",), ("mr",), ("ct",))
    ]
    assert sources[0] == sources[2] != sources[1]


def test_several_modalities_per_case_are_refused_with_the_remedy(tmp_path, site, monkeypatch):
    def read(root, modalities):
        return [Case("a", "a", dict.fromkeys(modalities, root / "a.nii"), ())]

    monkeypatch.setitem(READERS._entries, "plain", read)
    several = dataclasses.replace(site, modalities=("t1", "flair"))
    with pytest.raises(ConfigError, match=r"2 modalities \(t1, flair\).*list one under"):
        open_site("a", several, SETTINGS, tmp_path)
