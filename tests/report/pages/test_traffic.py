import pytest

from fedvox.report.pages.rounds_table import rounds_table
from fedvox.report.pages.traffic import traffic_section


def test_the_section_tells_training_from_evaluation(measured):
    section = traffic_section(measured, phantom=True)
    assert "Training sent 5.0 MB up and 3.0 MB down; the evaluation 40.0 MB more." in section
    assert "<img" in section and "Phantom data." in section


def test_the_table_of_rounds_says_that_its_sums_hold_the_evaluation(measured):
    training = [record for record in measured if not record.get("final")]
    words = "those of the evaluation included"
    assert words in rounds_table(measured) and words not in rounds_table(training)


@pytest.mark.parametrize("rounds", [[], [{"round": 0}], [{"round": 0, "bytes_up": 0}]])
def test_nothing_is_drawn_without_bytes(rounds):
    assert traffic_section(rounds, phantom=False) == ""


def test_a_run_without_validation_still_shows_its_rounds():
    rounds = [{"round": 0, "bytes_up": 10, "bytes_down": 20}]
    assert "Training sent 10 B up and 20 B down.</p>" in traffic_section(rounds, phantom=False)
