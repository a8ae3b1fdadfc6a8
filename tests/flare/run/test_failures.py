import pytest

from fedvox.errors import DataError
from fedvox.flare.run.failures import failure_kind, failure_line, failure_text


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


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DataError("Mueller"), "DataError"),
        (MemoryError("x"), "MemoryError"),
        (type("MuellerError", (Exception,), {})("x"), "Exception"),
        (OSError(28, "No space left on device", "/data/MUELLER.nii"), "OSError"),
    ],
)
def test_the_kind_of_a_failure_holds_no_text_of_its_own(error, kind):
    assert failure_kind(error) == kind


def test_a_full_disk_at_a_site_is_named():
    text = failure_line("site-1", OSError(28, "No space left on device", "/data/M"), "train")
    assert text == "site-1: no space left on the site's disk in task train; free some"
