import pytest

from fedvox.errors import ConfigError
from fedvox.report.records.failure import FAILURE, Failure, read_failure, write_failure

FAILED = Failure("training", 2, ("site-2",), "site-2: its task failed (EXECUTION_EXCEPTION)")


def test_failure_is_found_again(tmp_path):
    write_failure(tmp_path, FAILED)
    assert read_failure(tmp_path) == FAILED


def test_rounds_are_counted_from_one_for_people():
    assert FAILED.text.startswith("the run failed (training, round 3): site-2: its task failed")
    assert Failure("start", None, (), "x").text == "the run failed (start): x"


def test_a_run_that_did_not_fail_leaves_no_failure(tmp_path):
    assert read_failure(tmp_path) is None


def test_damaged_failure_file_is_named(tmp_path):
    (tmp_path / FAILURE).write_text("{")
    with pytest.raises(ConfigError, match="failure"):
        read_failure(tmp_path)
