import math

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from fedvox.report.figures.axes import LINE
from fedvox.report.figures.learning_curves import _draw_dice, _draw_losses, draw_progress


def record(number: int, **changes) -> dict:
    parts = [
        {"site": "site-1", "modality": "ct", "train_loss": 1.0 / (number + 1), "val_dice": 0.5},
        {"site": "site-2", "modality": "mr", "train_loss": 2.0 / (number + 1), "val_dice": None},
    ]
    validation = {"ct": 0.2 + 0.1 * number, "mr": 0.3}
    return {
        "round": number,
        "contributors": parts,
        "refused": [],
        "validation": validation,
    } | changes


REFUSED = [{"site": "site-2", "reason": "norm"}, {"site": "site-9", "reason": "NaN"}]

RUNS = {
    "several rounds": [record(number) for number in range(5)],
    "one round": [record(0)],
    "no round": [],
    "nothing but the number": [{"round": 0}, {"round": 1}],
    "no validation": [record(0, validation={}), record(1, validation={})],
    "NaN and missing values": [
        record(0, validation={"ct": math.nan, "mr": None}),
        record(1, contributors=[{"site": "site-1", "train_loss": math.nan}, {"site": "site-2"}]),
    ],
    "refused updates": [record(0), record(1, refused=REFUSED), record(2, refused=REFUSED[:1])],
    "only refused": [record(0, contributors=[], refused=REFUSED)],
    "many sites": [record(0, contributors=[{"site": f"s{k}", "train_loss": k} for k in range(40)])],
}


@pytest.mark.parametrize("name", RUNS)
def test_every_kind_of_run_gives_a_picture(tmp_path, name):
    path = tmp_path / "progress.png"
    draw_progress(RUNS[name], path, phantom=False)
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[1] > 2 * pixels.shape[0]
    assert pixels[..., :3].min() < 0.5
    assert list(tmp_path.iterdir()) == [path]


def test_phantom_runs_say_so_in_the_picture(tmp_path):
    pictures = []
    for phantom in (False, True):
        draw_progress(RUNS["several rounds"], tmp_path / "p.png", phantom)
        pictures.append(matplotlib.image.imread(tmp_path / "p.png"))
    # The line of text shifts the panels down: the top rows were blank and now carry letters.
    top = slice(0, pictures[0].shape[0] // 20)
    plain, phantom_top = (picture[top, 400:1100, :3] for picture in pictures)
    assert (phantom_top < 0.5).sum() > 2 * (plain < 0.5).sum()


def test_refused_update_is_marked_at_the_foot_in_the_sites_colour(tmp_path):
    pictures = []
    for run in (RUNS["one round"], [record(0, refused=[{"site": "site-9", "reason": "NaN"}])]):
        draw_progress(run, tmp_path / "p.png", phantom=False)
        pictures.append(matplotlib.image.imread(tmp_path / "p.png")[..., :3])
    third_colour = np.array([0x00, 0x9E, 0x73]) / 255  # site-9 is the third site by name
    before, after = (int((abs(p - third_colour).max(-1) < 0.02).sum()) for p in pictures)
    assert before == 0
    assert after > 20


def panel_of(rounds, chosen=None):
    """The right panel, drawn."""
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    _draw_dice(axes, rounds, chosen)
    return axes


def labels(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_star_marks_the_chosen_model_and_no_round_that_lacks_a_modality():
    rounds = [*RUNS["several rounds"], record(5, validation={"ct": 0.99})]
    assert labels(panel_of(rounds))[-1] == "best: 0.450 after 4 rounds"
    assert labels(panel_of(rounds, chosen=1))[-1] == "chosen: 0.300 after 1 round"
    assert labels(panel_of(rounds, chosen=5))[-1] == "chosen: 0.990 without MR after 5 rounds"
    unscored = [*rounds, record(6, validation={})]
    assert not any("after" in label for label in labels(panel_of(unscored, chosen=6)))
    means = next(line for line in panel_of(rounds).get_lines() if line.get_label() == "mean")
    assert math.isnan(means.get_ydata()[-1])


def test_legends_stand_below_the_axes_where_they_cover_no_curve():
    axes = panel_of([record(n, validation={"ct": 0.01, "mr": 0.02}) for n in range(9)])
    axes.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().y1 < axes.get_window_extent().y0


def test_a_report_that_the_evaluation_refused_is_no_refused_update():
    last = record(3, final=True, contributors=[], refused=REFUSED)
    axes = Figure().subplots()
    _draw_losses(axes, [record(0), record(1), last])
    assert not [line for line in axes.get_lines() if "refused" in str(line.get_label())]


def test_many_names_below_make_the_picture_higher_and_not_the_curves_lower(tmp_path):
    names = [f"Universitaetsklinikum-der-Landeshauptstadt-{k}" for k in range(11)]
    parts = [{"site": name, "train_loss": 1.0} for name in names]
    heights = []
    for contributors in (parts[:2], parts):
        draw_progress([record(0, contributors=contributors)], tmp_path / "p.png", phantom=False)
        heights.append(matplotlib.image.imread(tmp_path / "p.png").shape[0])
    assert heights[1] - heights[0] == pytest.approx(9 * LINE * 140, abs=2)
