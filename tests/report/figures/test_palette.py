import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fedvox.data.organs import ABDOMEN, BRAIN, CANONICAL, HEART, TUMOURS
from fedvox.report.figures import fingerprint
from fedvox.report.figures.palette import CURVE_COLOURS, ORGAN_COLOURS

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TOUCHING = (
    "liver gallbladder, liver stomach, liver kidney_right, liver liver_tumour, liver duodenum, "
    "liver inferior_vena_cava, liver adrenal_right, spleen stomach, spleen kidney_left, "
    "spleen pancreas, pancreas duodenum, pancreas stomach, pancreas aorta, "
    "pancreas inferior_vena_cava, stomach duodenum, stomach oesophagus, aorta inferior_vena_cava, "
    "aorta oesophagus, gallbladder duodenum, gallbladder liver_tumour, kidney_left adrenal_left, "
    "kidney_right adrenal_right, kidney_right duodenum, adrenal_right inferior_vena_cava, "
    "duodenum inferior_vena_cava, bladder prostate_uterus"
)


def lab(name: str, vision: str) -> np.ndarray:
    """CIE L*a*b* (D65) of an organ's colour, or of any, as seen with a kind of vision."""
    rgb = np.array(to_rgb(ORGAN_COLOURS.get(name, name)))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(VISION[vision]) @ linear, 0, 1)
    xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750]]
    ratios = np.array([*xyz, [0.0193339, 0.1191920, 0.9503041]]) @ seen / [0.95047, 1, 1.08883]
    f = np.where(ratios > 216 / 24389, np.cbrt(ratios), (24389 / 27 * ratios + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(first: np.ndarray, second: np.ndarray) -> float:
    """Sharma, Wu and Dalal (2005), with all weights 1."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    a1, a2 = (a * (1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25.0**7))) for a in (a1, a2))
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    hue = h1 + h2 if c1 * c2 == 0 else h1 + turn / 2
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    wave = 1 - 0.17 * np.cos(np.radians(hue - 30)) + 0.24 * np.cos(np.radians(2 * hue))
    wave += 0.32 * np.cos(np.radians(3 * hue + 6)) - 0.2 * np.cos(np.radians(4 * hue - 63))
    by_light = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    by_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    by_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * wave)
    angle = 60 * np.exp(-(((hue % 360 - 275) / 25) ** 2))
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(angle))
    return float(np.sqrt(by_light**2 + by_chroma**2 + by_hue**2 + rotation * by_chroma * by_hue))


def distance(first: str, second: str) -> float:
    """The smallest over all kinds of vision."""
    return min(ciede2000(lab(first, v), lab(second, v)) for v in VISION)


def closest(organs) -> tuple[float, tuple[str, str]]:
    return min((distance(*pair), pair) for pair in itertools.combinations(organs, 2))


def test_distance_is_that_of_the_published_examples():
    pairs = [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ]
    for first, second, expected in pairs:
        found = ciede2000(np.array(first), np.array(second))
        assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("organs", "least"),
    [
        ((*ABDOMEN, "liver_tumour"), 9.0),
        (ABDOMEN[:6], 20.0),
        (HEART, 17.0),
        ([organ for organ in TUMOURS if organ != "liver_tumour"], 37.0),
        (BRAIN, 37.0),
    ],
    ids=["abdomen", "six organs", "heart", "brain tumour", "hippocampus"],
)
def test_organs_of_one_picture_stay_apart_for_every_kind_of_vision(organs, least):
    found, pair = closest(organs)
    assert found >= least, pair


@pytest.mark.parametrize(
    ("colours", "least"), [(fingerprint._COLOURS, 23.0), (CURVE_COLOURS, 10.0)]
)
def test_curves_and_bars_stay_apart_for_every_kind_of_vision(colours, least):
    found, pair = closest(colours)
    assert found >= least, pair


def test_organs_that_touch_stay_well_apart_for_every_kind_of_vision():
    pairs = [pair.split() for pair in TOUCHING.split(", ")]
    least, pair = min((distance(*pair), pair) for pair in pairs)
    assert least >= 18.0, pair


def test_no_organ_is_grey_or_dark_as_the_scan_itself():
    for organ in CANONICAL:
        light, a, b = lab(organ, "normal")
        assert light > 37 and np.hypot(a, b) > (30 if organ in ABDOMEN else 17), organ
