import dataclasses

import matplotlib.image
import nibabel as nib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fedvox.data.images.modality import ModalityGuess
from fedvox.data.images.nifti import Volume
from fedvox.inference.predict import Prediction, thinning
from fedvox.report.figures.overlay import ORGAN_COLOURS
from fedvox.report.prediction import describe_prediction, draw_prediction

ORGANS = ["liver", "spleen"]
DESCRIPTION = {"job": "fedgin", "round": 6, "hash": "ab", "phantom": False}


def prediction(labels: np.ndarray, affine: np.ndarray) -> Prediction:
    return Prediction(
        labels=Volume(labels, affine, None),
        told=ModalityGuess("ct", "named by the user"),
        voxels={organ: int((labels == i).sum()) for i, organ in enumerate(ORGANS, start=1)},
        picture=np.zeros(labels[thinning(labels.shape)].shape, np.float32),
        device="cpu",
        seconds=1.234,
    )


def example() -> Prediction:
    labels = np.zeros((30, 40, 20), np.uint8)
    labels[5:15, 10:20, 5:10], labels[20:25, 10:15, 10:14] = 1, 2
    return prediction(labels, np.diag([-2.0, 1.5, 3.0, 1.0]))


def test_record_holds_counts_volumes_geometry_and_the_model():
    record = describe_prediction(example(), DESCRIPTION, largest_component=True)
    assert record["organs"] == {
        "liver": {"value": 1, "voxels": 500, "ml": 4.5},
        "spleen": {"value": 2, "voxels": 100, "ml": 0.9},
    }
    assert record["input"] == {
        "shape": [30, 40, 20],
        "spacing_mm": [2.0, 1.5, 3.0],
        "orientation": "LAS",
    }
    assert (record["job"], record["round"], record["model_hash"]) == ("fedgin", 6, "ab")
    assert (record["modality"], record["modality_reason"]) == ("ct", "named by the user")
    assert record["largest_component"] is True and record["phantom_model"] is False
    assert (record["device"], record["seconds"]) == ("cpu", 1.23)


def coloured(path, organ: str) -> float:
    """Share of pixels whose colour is the organ's, half over black."""
    pixels = matplotlib.image.imread(path)[..., :3]
    return float(
        (np.abs(pixels - 0.5 * np.array(to_rgb(ORGAN_COLOURS[organ]))) < 0.02).all(-1).mean()
    )


def test_picture_shows_every_organ(tmp_path):
    draw_prediction(example(), DESCRIPTION, ORGANS, tmp_path / "a.png")
    assert coloured(tmp_path / "a.png", "liver") > coloured(tmp_path / "a.png", "spleen") > 0


@pytest.mark.parametrize("axes", ["LPS", "PIR", "SRP"])
def test_picture_does_not_depend_on_how_the_scan_is_stored(tmp_path, axes):
    stored = example()
    image = nib.Nifti1Image(stored.labels.data, stored.labels.affine)
    change = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes)
    )
    turned = image.as_reoriented(change)
    other = prediction(np.asarray(turned.dataobj), turned.affine)
    for name, case in (("a", stored), ("b", other)):
        draw_prediction(case, DESCRIPTION, ORGANS, tmp_path / f"{name}.png")
    first, second = (matplotlib.image.imread(tmp_path / f"{name}.png") for name in ("a", "b"))
    assert np.array_equal(first, second)


def test_thinned_picture_keeps_its_proportions(tmp_path):
    labels = np.zeros((520, 100, 60), np.uint8)
    labels[100:300, 20:60, 20:40] = 1
    draw_prediction(
        prediction(labels, np.diag([1.0, 2, 3, 1])), DESCRIPTION, ORGANS, tmp_path / "a.png"
    )
    pixels = matplotlib.image.imread(tmp_path / "a.png")[..., :3]
    dark = (pixels.max(-1) < 0.1).any(0)  # the axial and the coronal panel are 520 mm wide
    edges = np.flatnonzero(np.diff(np.concatenate([[0], dark.astype(int), [0]])))
    widths = np.diff(edges)[::2]
    assert len(widths) == 3
    assert widths[0] == pytest.approx(widths[1], abs=2)
    assert widths[2] / widths[0] == pytest.approx(200 / 520, abs=0.02)


def test_picture_of_a_phantom_model_says_so(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr("fedvox.report.prediction.draw_overlay", lambda *a: titles.append(a[-1]))
    for phantom in (False, True):
        draw_prediction(example(), DESCRIPTION | {"phantom": phantom}, ORGANS, tmp_path / "a.png")
    assert titles[0] == "fedgin on CT"
    assert titles[1].startswith("fedgin on CT: a model trained on phantoms, not for patients")


def test_record_and_picture_of_several_channels_name_them(tmp_path, monkeypatch):
    told = ModalityGuess("t1+flair", "named by the user")
    case = dataclasses.replace(example(), told=told, channels=("t1", "flair"))
    record = describe_prediction(case, DESCRIPTION, largest_component=False)
    assert (record["modality"], record["channels"]) == ("t1+flair", ["t1", "flair"])
    assert describe_prediction(example(), DESCRIPTION, False)["channels"] == []
    titles = []
    monkeypatch.setattr(
        "fedvox.report.prediction.draw_overlay", lambda *arguments: titles.append(arguments[-1])
    )
    draw_prediction(case, DESCRIPTION, ORGANS, tmp_path / "a.png")
    assert titles == ["fedgin on T1+FLAIR (T1 shown)"]
