import pytest

from fedvox.config import build
from fedvox.data.settings import DataSettings
from fedvox.errors import ConfigError


def test_organs_are_the_only_required_key():
    settings = build(DataSettings, {"organs": ["liver"]}, "training.json")
    assert settings == DataSettings(organs=("liver",))
    assert settings.modalities == ("ct", "mr") and settings.spacing == (6.0, 6.0, 6.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"organs": ["lung"]}, "unknown organ 'lung'"),
        ({"organs": []}, "'data.organs' is empty"),
        ({"modalities": []}, "'data.modalities' is empty"),
        ({"modalities": ["pet"]}, "allowed: ct, mr, t1, t1ce, t2, flair"),
        ({"ct_window": [240, -160]}, "'data.ct_window' must rise"),
        ({"mr_percentiles": [50, 50]}, "'data.mr_percentiles' must rise"),
        ({"mr_percentiles": [0, 101]}, "at most 100"),
        ({"spacing": [0, 6, 6]}, "at least 0.1"),
        ({"patch": [48, 48]}, "3 elements, not 2"),
        ({"foreground": 1.1}, "at most 1"),
    ],
)
def test_impossible_image_settings_are_refused_with_the_file(changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        build(DataSettings, {"organs": ["liver"], **changes}, "training.json")
    assert str(caught.value).startswith("training.json: ")
