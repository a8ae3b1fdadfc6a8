import pytest

from fedvox.errors import ConfigError
from fedvox.report.failure import FAILURE, Failure, failure_banner, read_failure, write_failure
from fedvox.report.page import write_report

FAILED = Failure("training", 2, ("site-2",), "site-2: its task failed (EXECUTION_EXCEPTION)")


def test_failure_is_found_again(tmp_path):
    write_failure(tmp_path, FAILED)
    assert read_failure(tmp_path) == FAILED


def test_rounds_are_counted_from_one_for_people():
    assert FAILED.text.startswith("the run failed (training, round 3): site-2: its task failed")
    assert Failure("start", None, (), "x").text == "the run failed (start): x"


def test_a_run_that_did_not_fail_has_no_banner(tmp_path):
    assert (read_failure(tmp_path), failure_banner(tmp_path)) == (None, "")


def test_damaged_failure_file_is_named(tmp_path):
    (tmp_path / FAILURE).write_text("{")
    with pytest.raises(ConfigError, match="failure"):
        read_failure(tmp_path)


def test_page_of_a_failed_run_begins_with_the_reason_and_escapes_it(tmp_path):
    write_failure(tmp_path, Failure("start", None, (), "<b>evil</b> runs fedvox 0.0.1"))
    page = write_report(tmp_path).read_text()
    assert "The run failed (start): &lt;b&gt;evil&lt;/b&gt; runs fedvox 0.0.1" in page


def test_page_before_the_evaluation_says_so(tmp_path):
    record = '{"round": 2, "final": true, "evaluated": false, "notes": ["<i>late</i> came"]}\n'
    (tmp_path / "rounds.jsonl").write_text(record)
    page = write_report(tmp_path).read_text()
    assert "Not evaluated." in page
    assert "At the end: &lt;i&gt;late&lt;/i&gt; came" in page
