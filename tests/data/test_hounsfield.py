"""Sound CTs of many kinds are never refused; numbers that are no HU always are, padded or not."""

from collections.abc import Callable

import numpy as np
import pytest

from fedvox.data.images.modality import check_modality, recognise_modality
from fedvox.data.images.nifti import Volume
from fedvox.errors import DataError

SHAPE = (48, 44, 40)
X, Y, Z = np.indices(SHAPE)
CIRCLE = ((X - 23.5) / 23) ** 2 + ((Y - 21.5) / 21) ** 2 < 1
BODY = ((X - 23.5) / 18) ** 2 + ((Y - 21.5) / 14) ** 2 < 1
INNER = ((X - 23.5) / 15.5) ** 2 + ((Y - 21.5) / 11.5) ** 2 < 1
LIVER = ((X - 15) / 6) ** 2 + ((Y - 20) / 7) ** 2 + ((Z - 22) / 12) ** 2 < 1
BONE = ((X - 23.5) / 3) ** 2 + ((Y - 30) / 3) ** 2 < 1


def drawn(parts: list[tuple[np.ndarray, float, float]], seed: int = 0) -> np.ndarray:
    """Later parts (where, mean, standard deviation) over earlier ones."""
    rng = np.random.default_rng(seed)
    mean, sd = np.zeros(SHAPE), np.zeros(SHAPE)
    for where, value, noise in parts:
        mean[where], sd[where] = value, noise
    return np.rint(mean + sd * rng.normal(size=SHAPE))


EVERYWHERE = np.ones(SHAPE, bool)


def abdomen(seed: int = 0, noise: float = 15.0) -> np.ndarray:
    return drawn(
        [
            (EVERYWHERE, -1000, noise),
            (BODY, -100, noise),
            (INNER, 45, noise),
            (LIVER, 110, noise),
            (BONE, 500, 200),
        ],
        seed,
    ).clip(-1024)


def head(air: float) -> np.ndarray:
    """Skull and brain; ``air`` -1000 around, or 35 for a box that lies within the head."""
    return drawn([(EVERYWHERE, air, 10), (BODY, 900, 300), (INNER, 35, 8), (BONE, -900, 40)])


def lungs() -> np.ndarray:
    vessels = np.random.default_rng(1).random(SHAPE) < 0.04
    return drawn([(EVERYWHERE, -860, 50), (vessels, 40, 30)])


def padded(data: np.ndarray, value: float, where: np.ndarray = ~CIRCLE) -> np.ndarray:
    return np.where(where, value, data)


def mri(scale: float = 400.0, ringing: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    data = np.abs(rng.normal(0, 0.02 * scale, SHAPE))
    data[BODY] = rng.uniform(0.2 * scale, 1.8 * scale, SHAPE)[BODY]
    return data + ringing * scale * rng.normal(size=SHAPE)


def metal(value: float) -> np.ndarray:
    data = abdomen()
    data[20:26, 20:26, 10:30] = value
    return data


def turned(data: np.ndarray, value: float) -> np.ndarray:
    """Turned in plane by 20 degrees with linear interpolation, filled up at the corners."""
    from scipy import ndimage

    return np.rint(ndimage.rotate(data, 20, reshape=True, order=1, cval=value))


SOUND: dict[str, Callable[[], np.ndarray]] = {
    "abdomen": abdomen,
    "abdomen with much noise": lambda: abdomen(noise=60),
    "circle at -2000": lambda: padded(abdomen(), -2000),
    "circle at -3024": lambda: padded(abdomen(), -3024),
    "turned and filled": lambda: turned(abdomen(), -1024),
    "turned within a circle at -3024": lambda: turned(padded(abdomen(), -3024), -3024),
    "air cut off at -1024": lambda: abdomen(noise=60).clip(-1024),
    "air exactly -1000": lambda: padded(abdomen(), -1000, ~BODY),
    "outside the body 0": lambda: padded(abdomen(), 0, ~BODY),
    "one thin slab": lambda: abdomen()[:, :, 20:22],
    "head": lambda: head(-1000),
    "box within the head": lambda: head(35),
    "brain alone on 0": lambda: padded(head(35), 0, ~INNER),
    "lungs": lungs,
    "lungs alone on -1024": lambda: padded(lungs(), -1024, ~BODY),
    "metal at 3071": lambda: metal(3071),
    "metal at 20000": lambda: metal(20000),
    "liver alone on -1024": lambda: padded(abdomen(), -1024, ~LIVER),
    "liver alone on 0, with its rim": lambda: padded(abdomen(), 0, X + Y > 40),
    "box in the liver": lambda: abdomen()[12:18, 16:24, 16:28] - 80,
    "box around a vertebra": lambda: abdomen()[18:30, 24:38],
    "strong contrast": lambda: np.where(LIVER, abdomen() + 250, abdomen()),
    "window of the abdomen": lambda: abdomen().clip(-160, 240),
    "quarter of the voxels": lambda: abdomen()[::2, ::2],
    "water": lambda: drawn([(EVERYWHERE, 0, 4)]),
}


def volume(data: np.ndarray) -> Volume:
    return Volume(np.asarray(data, np.float32), np.eye(4), None)


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_ct_is_not_refused(kind):
    check_modality(volume(SOUND[kind]()), "ct")


def raw(offset: float = 1024) -> np.ndarray:
    return (abdomen() + offset).clip(0)


def grey(data: np.ndarray) -> np.ndarray:
    """8 bits, as an export of the abdomen's window makes."""
    return np.rint((data.clip(-160, 240) + 160) / 400 * 255)


def z_score(data: np.ndarray) -> np.ndarray:
    return (data - data.mean()) / data.std()


def to_unit(data: np.ndarray) -> np.ndarray:
    return (data - data.min()) / (data.max() - data.min())


LOST, SCALED, NO_HU = (
    "around 1024 and not around 0 HU; subtract 1024,",
    "were scaled",
    "export it in HU",
)
NO_UNITS: dict[str, tuple[Callable[[], np.ndarray], str]] = {
    "offset": (raw, LOST),
    "offset, circle at -2000": (lambda: padded(raw(), -2000), LOST),
    "offset, circle at -1024": (lambda: padded(raw(), -1024), LOST),
    "offset, circle at -1": (lambda: padded(raw(), -1), LOST),
    "offset, half of it padded": (lambda: padded(raw(), -3024, X > 26), LOST),
    "offset, turned and filled": (lambda: turned(raw(), -1000), LOST),
    "offset, noise below 0": (lambda: padded(abdomen(noise=35) + 1024, -2000), LOST),
    "offset, head": (lambda: padded((head(-1000) + 1024).clip(0), -2000), LOST),
    "offset, liver alone": (lambda: padded(raw(), -1024, ~LIVER), LOST),
    "offset of 1000": (lambda: padded(raw(1000), -2000), LOST),
    "offset of 8192": (lambda: padded(raw(8192), -1000), "lost: tissue lies around 8192"),
    "offset of 32768": (lambda: raw(32768), "lost: tissue lies around 32768"),
    "intercept twice": (lambda: abdomen() - 1024, "around -1024 and not around 0 HU; add 1024,"),
    "intercept twice, circle": (
        lambda: padded(abdomen() - 1024, -3024),
        "around -1024 and not around 0 HU; add 1024,",
    ),
    "-1 to 1": (lambda: abdomen().clip(-1000, 1000) / 1000, SCALED),
    "-1 to 1, circle at -1000": (lambda: padded(abdomen() / 1000, -1000), SCALED),
    "0 to 1": (lambda: to_unit(abdomen()), SCALED),
    "0 to 1, circle at -1": (lambda: padded(to_unit(abdomen()), -1), SCALED),
    "z-scores": (lambda: z_score(abdomen()), SCALED),
    "z-scores, circle at -9": (lambda: padded(z_score(abdomen()), -9), SCALED),
    "8 bits": (lambda: grey(abdomen()), NO_HU),
    "8 bits, circle at -1": (lambda: padded(grey(abdomen()), -1), "grey values from 0 to 255"),
    "8 bits, circle at -1000": (lambda: padded(grey(abdomen()), -1000), "grey values"),
    "0 to 4095, circle at -1000": (lambda: padded(4095 * to_unit(abdomen()), -1000), NO_HU),
    "0 to 1000, circle at -2000": (lambda: padded(1000 * to_unit(abdomen()), -2000), NO_HU),
    "MRI": (mri, "no value below 0"),
    "MRI, padded": (lambda: padded(mri(), -1000), "hardly a value of the scan lies below -50"),
    "MRI, padded by a half": (lambda: padded(mri(), -1024, X > 26), "hardly a value"),
    "MRI, ringing": (lambda: mri(ringing=0.02), "hardly a value"),
    "MRI of large numbers, ringing": (lambda: mri(4000, ringing=0.02), "hardly a value"),
    "MRI of small numbers, padded": (lambda: padded(mri(100), -1), "hardly a value"),
    "MRI, z-scores": (lambda: z_score(mri()), SCALED),
}


@pytest.mark.parametrize("kind", NO_UNITS)
def test_a_ct_without_hounsfield_units_is_refused_with_its_reason(kind):
    make, words = NO_UNITS[kind]
    with pytest.raises(DataError) as caught:
        check_modality(volume(make()), "ct")
    assert words in str(caught.value)


# Of positive numbers from 0 to 1000 or 4095 nothing tells that a CT was scaled to them.
TOLD = [kind for kind in NO_UNITS if "MRI" not in kind and "0 to 4095" not in kind]


@pytest.mark.parametrize("kind", [kind for kind in TOLD if "0 to 1000" not in kind])
@pytest.mark.parametrize("known", [("ct",), ("ct", "mr")])
def test_nor_is_it_recognised_as_a_ct_or_taken_for_an_mri(kind, known):
    with pytest.raises(DataError):
        recognise_modality(volume(NO_UNITS[kind][0]()), known)


@pytest.mark.parametrize("kind", ["offset", "offset, circle at -2000", "offset of 32768"])
def test_subtracting_what_the_remedy_says_makes_a_ct(kind):
    data = NO_UNITS[kind][0]()
    with pytest.raises(DataError) as caught:
        check_modality(volume(data), "ct")
    number = int(str(caught.value).split("; ")[1].split()[1].rstrip(","))
    mended = volume(data - number)
    check_modality(mended, "ct")
    assert np.median(mended.data[LIVER]) == pytest.approx(110, abs=10)


def test_adding_what_was_subtracted_twice_makes_a_ct():
    check_modality(volume(NO_UNITS["intercept twice, circle"][0]() + 1024), "ct")


@pytest.mark.parametrize("value", [-1000, -1024, -3024])
def test_padding_makes_no_ct_of_an_mri(value):
    scan = volume(padded(mri(), value))
    check_modality(scan, "mr")
    assert recognise_modality(scan, ("ct", "mr")).modality == "mr"


@pytest.mark.parametrize("kind", ["abdomen", "circle at -3024", "air exactly -1000", "head"])
def test_a_ct_is_refused_as_mri_and_recognised(kind):
    scan = volume(SOUND[kind]())
    with pytest.raises(DataError, match="its modality is ct"):
        check_modality(scan, "mr")
    assert recognise_modality(scan, ("ct", "mr")).modality == "ct"
