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
        ({"channels": ["t1", "pet"]}, "'channels' is 'pet'; allowed: ct, mr, t1"),
        (
            {"channels": ["t1", "t1"], "modalities": ["t1"]},
            "'data.channels' names a modality twice",
        ),
        (
            {"channels": ["t1"], "modalities": ["t1"], "missing_channels": True},
            "'data.missing_channels' is true and 'data.channels' names 1; name two",
        ),
        (
            {"channels": ["t1", "flair"]},
            r"with channels the job's modalities are its channels: list",
        ),
        ({"ct_window": [240, -160]}, "'data.ct_window' must rise"),
        ({"mr_percentiles": [50, 50]}, "'data.mr_percentiles' must rise"),
        ({"mr_percentiles": [0, 101]}, "at most 100"),
        ({"spacing": [0, 6, 6]}, "at least 0.1"),
        ({"patch": [48, 48]}, "3 elements, not 2"),
        ({"sampler": {"share": 1.1}}, "at most 1"),
    ],
)
def test_impossible_image_settings_are_refused_with_the_file(changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        build(DataSettings, {"organs": ["liver"], **changes}, "training.json")
    assert str(caught.value).startswith("training.json: ")


def test_channels_decide_input_and_what_a_case_is_of():
    one = build(DataSettings, {"organs": ["liver"], "modalities": ["ct", "mr"]}, "training.json")
    assert (one.channels, one.in_channels, one.modality_sets) == ((), 1, ("ct", "mr"))
    names = {"modalities": ["flair", "t1"], "channels": ["t1", "flair"]}
    two = build(DataSettings, {"organs": ["liver"], **names}, "training.json")
    assert (two.in_channels, two.modality_sets) == (2, ("t1+flair",))
    some = DataSettings(("liver",), **names, missing_channels=True)
    assert some.modality_sets == ("t1+flair", "t1", "flair")
