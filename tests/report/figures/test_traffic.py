import pytest

from fedvox.report.figures.traffic import dice_by_bytes, draw_traffic


def test_a_model_cost_what_the_rounds_before_it_sent(measured):
    points = dice_by_bytes(measured)  # round 2 lacks MRI: its mean would be another one
    assert points == [(0, 0.1), (3e6, 0.4), (8e6, pytest.approx(0.7))]


def test_a_run_without_validation_is_drawn():
    assert draw_traffic([{"round": 0, "bytes_up": 10, "bytes_down": 20}]).startswith(b"\x89PNG")
