import pytest

from fedvox.data.cases.splits import split_cases
from fedvox.data.readers.phantom import read
from fedvox.errors import ConfigError, DataError
from fedvox.phantoms.abdomen.tissue import ORGANS


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_cases_carry_the_split_that_they_were_written_with(phantom_site, modality):
    cases = read(phantom_site(modality), [modality])
    assert {part: len(found) for part, found in split_cases(cases, "dataset").items()} == {
        "train": 3,
        "val": 1,
        "test": 2,
    }
    for case in cases:
        assert case.modality == modality
        assert case.annotated() == frozenset(ORGANS)
        assert case.images[modality].is_file() and case.labels[0].path.is_file()


def test_other_modality_than_the_written_one_is_refused(phantom_site):
    with pytest.raises(DataError, match=r"phantom\.json says 'ct', the site file says 'mr'"):
        read(phantom_site("ct"), ["mr"])


def test_plain_folder_is_no_phantom_folder(tmp_path, make_plain_site):
    make_plain_site(tmp_path, ["a"])
    with pytest.raises(DataError, match=r"no phantom\.json"):
        read(tmp_path, ["ct"])


def test_damaged_listing_is_named_without_its_folder(tmp_path):
    (tmp_path / "phantom.json").write_text("{")
    with pytest.raises(ConfigError, match=r"^phantom\.json: ") as caught:
        read(tmp_path, ["ct"])
    assert str(tmp_path) not in str(caught.value)
