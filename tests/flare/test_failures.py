import pytest

from fedvox.errors import DataError
from fedvox.flare.failures import failure_line, failure_text


def test_an_exception_tells_kind_and_place_but_not_its_message():
    try:
        raise OSError("/data/MUELLER_HANS.nii.gz")
    except OSError as error:
        text = failure_text(error, "train")
    assert "OSError at test_failures.py:" in text and "MUELLER" not in text


@pytest.mark.parametrize("text", ["too few cases", "site-1: too few cases"])
def test_the_line_begins_with_the_sites_name_once(text):
    assert failure_line("site-1", DataError(text), "train") == "site-1: too few cases"


def test_memory_that_ran_out_is_named_with_what_to_lower():
    assert "lower data.patch" in failure_line("site-1", MemoryError(), "validate")
