import pytest

from fedvox.report.traffic import dice_by_bytes, draw_traffic, traffic_section

ROUNDS = [
    {"round": 0, "bytes_up": 3e6, "bytes_down": 0, "validation": {"ct": 0.1, "mr": 0.1}},
    {"round": 1, "bytes_up": 1e6, "bytes_down": 2e6, "validation": {"ct": 0.5, "mr": 0.3}},
    {"round": 2, "bytes_up": 1e6, "bytes_down": 1e6, "validation": {"ct": 0.9}},
    {
        "round": 3,
        "final": True,
        "bytes_up": 5e3,
        "bytes_down": 4e7,
        "validation": {"ct": 0.8, "mr": 0.6},
    },
]


def test_a_model_cost_what_the_rounds_before_it_sent():
    points = dice_by_bytes(ROUNDS)  # round 2 lacks MRI: its mean would be another one
    assert points == [(0, 0.1), (3e6, 0.4), (8e6, pytest.approx(0.7))]


def test_the_section_tells_training_from_evaluation():
    section = traffic_section(ROUNDS, phantom=True)
    assert "Training sent 5.0 MB up and 3.0 MB down; the evaluation 40.0 MB more." in section
    assert "<img" in section and "Phantom data." in section


@pytest.mark.parametrize("rounds", [[], [{"round": 0}], [{"round": 0, "bytes_up": 0}]])
def test_nothing_is_drawn_without_bytes(rounds):
    assert traffic_section(rounds, phantom=False) == ""


def test_a_run_without_validation_still_shows_its_rounds():
    rounds = [{"round": 0, "bytes_up": 10, "bytes_down": 20}]
    assert draw_traffic(rounds).startswith(b"\x89PNG")
    assert "Training sent 10 B up and 20 B down.</p>" in traffic_section(rounds, phantom=False)
