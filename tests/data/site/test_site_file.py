import json

import pytest

from fedvox.data.site.site_file import SITE_FILE, SiteSettings, find_site_file, read_site_file
from fedvox.errors import ConfigError


@pytest.fixture
def write_site(tmp_path):
    (tmp_path / "scans").mkdir()

    def write(**changes):
        content = {"dataset": "plain", "root": "scans", "modalities": ["ct"], **changes}
        path = tmp_path / SITE_FILE
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))
        return path

    return write


def test_minimal_site_file_takes_the_defaults(write_site, tmp_path):
    assert read_site_file(write_site()) == SiteSettings(
        dataset="plain",
        root=str(tmp_path / "scans"),
        modalities=("ct",),
        split="hash",
        cache="",
        max_bad_fraction=0.05,
        share="summary",
    )


def test_relative_paths_count_from_the_site_file(write_site, tmp_path):
    site = read_site_file(write_site(cache="../cache", split="split.json"))
    assert site.cache == str(tmp_path.parent / "cache")
    assert site.split == str(tmp_path / "split.json")


def test_absolute_paths_stay(write_site, tmp_path):
    path = write_site(root=str(tmp_path), cache="/scratch/x", split="/lists/split.json")
    site = read_site_file(path)
    assert (site.root, site.cache, site.split) == (str(tmp_path), "/scratch/x", "/lists/split.json")


@pytest.mark.parametrize("split", ["hash", "dataset", "test"])
def test_named_splits_are_not_taken_for_files(write_site, split):
    assert read_site_file(write_site(split=split)).split == split


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"roots": "x"}, ["unknown key 'roots'", "dataset, root, modalities, split, cache"]),
        ({"root": ...}, ["'root' is missing"]),
        ({"dataset": ...}, ["'dataset' is missing"]),
        ({"modalities": ["pet"]}, ["'modalities'", "'pet'", "ct, mr, t1, t1ce, t2, flair"]),
        ({"modalities": []}, ["'modalities' is empty"]),
        ({"modalities": "ct"}, ["'modalities'", "a list"]),
        ({"max_bad_fraction": 1.5}, ["'max_bad_fraction' is 1.5", "at most 1"]),
        ({"share": "all"}, ["'share'", "'all'", "cases, summary"]),
        ({"split": 3}, ["'split'", "a text"]),
        ({"root": "nowhere"}, ["'root' is not a folder"]),
    ],
)
def test_wrong_entry_names_key_file_and_allowed_values(write_site, changes, words):
    path = write_site(**changes)
    with pytest.raises(ConfigError) as caught:
        read_site_file(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_each_site_finds_its_own_file_through_the_variable(tmp_path):
    for name in ("site-1", "site-2"):
        (tmp_path / f"{name}.json").write_text("{}")
        environ = {"FEDVOX_SITE": f"{tmp_path}/{{site}}.json"}
        assert find_site_file(name, (), environ) == tmp_path / f"{name}.json"


def test_the_variable_goes_before_the_local_folder(tmp_path):
    for folder in ("local", "named"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / SITE_FILE).write_text("{}")
    named = tmp_path / "named" / SITE_FILE
    assert find_site_file("a", (tmp_path / "local",), {"FEDVOX_SITE": str(named)}) == named
    assert find_site_file("a", (tmp_path / "local",), {}) == tmp_path / "local" / SITE_FILE


def test_relative_name_counts_from_the_folder_that_the_user_is_in(tmp_path, monkeypatch):
    (tmp_path / "user" / "sites").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "user" / "sites" / "a.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "elsewhere")  # as the simulator does
    environ = {"FEDVOX_SITE": "sites/{site}.json", "PWD": str(tmp_path / "user")}
    assert find_site_file("a", (), environ) == tmp_path / "user" / "sites" / "a.json"


def test_variable_that_names_no_file_is_an_error_even_with_a_local_one(tmp_path):
    (tmp_path / SITE_FILE).write_text("{}")
    environ = {"FEDVOX_SITE": str(tmp_path / "{site}.json")}
    with pytest.raises(ConfigError, match=r"FEDVOX_SITE names no file for b: .*/b\.json"):
        find_site_file("b", (tmp_path,), environ)


def test_first_local_folder_that_has_a_file_wins_and_none_means_none(tmp_path):
    assert find_site_file("a", (tmp_path / "x", tmp_path / "y"), {}) is None
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / SITE_FILE).write_text("{}")
    assert find_site_file("a", (tmp_path / "x", tmp_path / "y"), {}) == tmp_path / "y" / SITE_FILE


@pytest.mark.parametrize("key", ["root", "cache", "split"])
def test_paths_must_be_texts_without_nul(write_site, key):
    with pytest.raises(ConfigError, match=f"'{key}' must be a text"):
        read_site_file(write_site(**{key: 3}))
    with pytest.raises(ConfigError, match=f"'{key}' holds a NUL character"):
        read_site_file(write_site(**{key: "a\0b"}))


@pytest.mark.parametrize("key", ["root", "split"])
def test_empty_path_is_refused(write_site, key):
    with pytest.raises(ConfigError, match=f"'{key}' is empty"):
        read_site_file(write_site(**{key: ""}))


def test_home_folder_is_expanded(write_site, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    site = read_site_file(write_site(root="~/scans", cache="~/cache"))
    assert (site.root, site.cache) == (str(tmp_path / "scans"), str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match="'cache' leads nowhere"):
        read_site_file(write_site(cache="~no_such_user_here/x"))
