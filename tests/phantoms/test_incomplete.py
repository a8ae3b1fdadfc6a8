import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.cases.channels import in_job_order
from fedvox.data.readers.brats import read
from fedvox.errors import ConfigError
from fedvox.phantoms.incomplete import check_incomplete, lacking_cases
from fedvox.phantoms.writer import write_phantom_site

ALL = ("t1", "t1ce", "t2", "flair")
COUNTS = {"train": 4, "val": 1, "test": 1}


@pytest.fixture(scope="module")
def sites(tmp_path_factory) -> Path:
    """One brain site each: complete, with the setting at 0, and with half of its cases lacking."""
    out = tmp_path_factory.mktemp("incomplete")

    def write(name: str, held: str = "+".join(ALL), **more) -> None:
        write_phantom_site(out / name, held, COUNTS, 3, 1, 120, 12, body="brain", **more)

    write("plain")
    write("none", incomplete=0.0)
    write("half", incomplete=0.5)
    write("one", "flair", incomplete=1.0)
    return out


def files(site: Path) -> dict[str, bytes]:
    return {str(p.relative_to(site)): p.read_bytes() for p in site.rglob("*") if p.is_file()}


def test_a_share_of_0_is_a_site_without_the_setting_byte_by_byte(sites):
    assert files(sites / "none") == files(sites / "plain")


def test_what_lacks_is_one_file_and_nothing_else_differs(sites):
    whole, half = files(sites / "plain"), files(sites / "half")
    lost = sorted(whole.keys() - half.keys())
    assert len(lost) == 2 and not half.keys() - whole.keys()
    assert {name for name in half if half[name] != whole[name]} == {"phantom.json"}
    listing = json.loads(half["phantom.json"])
    told = {entry["id"]: entry["lacks"] for entry in listing["cases"] if "lacks" in entry}
    assert sorted(told) == [name.split("/")[0] for name in lost]
    assert listing["incomplete"] == 0.5
    for entry in listing["cases"]:
        held = [name for name in ALL if name != entry.get("lacks")]
        assert entry["contrast"] == "+".join(held)


def test_the_reader_finds_what_phantom_json_says_and_test_cases_are_complete(sites):
    listing = json.loads((sites / "half" / "phantom.json").read_text())["cases"]
    cases = {case.id: in_job_order(case, ALL) for case in read(sites / "half", ALL)}
    assert {e["id"]: e["contrast"] for e in listing} == {i: c.modality for i, c in cases.items()}
    kept = [cases[entry["id"]].modality for entry in listing if entry["split"] != "train"]
    assert set(kept) == {"t1+t1ce+t2+flair"}


def test_a_site_of_one_modality_never_lacks_it(sites):
    listing = json.loads((sites / "one" / "phantom.json").read_text())
    assert "incomplete" not in listing and all("lacks" not in e for e in listing["cases"])


@given(
    st.floats(0, 1),
    st.integers(0, 40),
    st.lists(st.sampled_from(ALL), unique=True),
    st.integers(0, 9),
    st.integers(1, 9),
)
def test_no_case_loses_all_and_the_share_is_rounded_up(share, train, parts, seed, site):
    found = lacking_cases(share, train, parts, seed, site)
    assert set(found) <= set(range(1, train + 1)) and set(found.values()) <= set(parts)
    if len(parts) < 2:
        assert found == {}
    else:
        assert share * train - 1e-5 <= len(found) < share * train + 1


def test_which_cases_lack_what_depends_on_seed_and_site_alone():
    first = lacking_cases(0.5, 24, ALL, 0, 1)
    assert first == lacking_cases(0.5, 24, ALL, 0, 1) and len(first) == 12
    assert set(first.values()) > {"t1", "flair"}
    assert first != lacking_cases(0.5, 24, ALL, 1, 1) != lacking_cases(0.5, 24, ALL, 0, 2)
    assert lacking_cases(0.1, 30, ALL, 0, 1).keys() <= lacking_cases(0.4, 30, ALL, 0, 1).keys()


def test_a_share_that_nobody_can_have_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'x' is 1\.5; it must be from 0 to 1"):
        check_incomplete(1.5, ["t1+t2"], "'x'")
    with pytest.raises(ConfigError, match=r"'x' is 0\.5, and no site holds several modalities"):
        check_incomplete(0.5, ["t1", "flair"], "'x'")
    check_incomplete(0.5, ["t1", "t1+t2"], "'x'")
    check_incomplete(0.0, ["ct"], "'x'")
    with pytest.raises(ConfigError, match="'incomplete' is -1"):
        write_phantom_site(tmp_path / "s", "ct", {"train": 1}, 0, 1, incomplete=-1.0)
    assert not list(tmp_path.iterdir())
