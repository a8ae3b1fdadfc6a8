import pytest

from fedvox.config import build
from fedvox.errors import ConfigError
from fedvox.phantoms.settings import PhantomSettings


def made(**values) -> PhantomSettings:
    return build(PhantomSettings, values, "training.json", "phantom")


def test_an_abdomen_is_the_default():
    settings = made()
    assert (settings.body, settings.modalities) == ("abdomen", ("ct", "mr"))
    assert settings.size_mm is None and settings.spacing_mm is None


def test_phantom_site_needs_a_training_case():
    with pytest.raises(ConfigError, match=r"'phantom\.train' is 0; it must be at least 1"):
        made(train=0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"modalities": []}, "'phantom.modalities' is empty"),
        ({"modalities": ["pet"]}, "body 'abdomen': unknown phantom modality 'pet'; choose one"),
        ({"body": "brain"}, "body 'brain': unknown phantom modality 'ct'; .*t1ce, t2, flair"),
        ({"body": "brian"}, "'phantom.body' is 'brian'; did you mean 'brain'"),
        ({"quality": ["noisey"]}, "'phantom.quality' .*good, noisy, wrong_labels, small"),
        ({"wrong_share": 1.5}, "'phantom.wrong_share' is 1.5; it must be at most 1"),
        ({"incomplete": 1.5}, "'phantom.incomplete' is 1.5; it must be at most 1"),
        ({"incomplete": 0.5}, "'phantom.incomplete' is 0.5, and no site holds several modalities"),
        ({"spacing_mm": 0.5}, "'phantom.spacing_mm' is 0.5; it must be at least 1"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(values, words):
    with pytest.raises(ConfigError, match=f"training.json: .*{words}"):
        made(**values)


def test_a_brain_takes_sets_of_its_contrasts():
    entries = ["t1+t1ce+t2+flair", "flair"]
    assert made(body="brain", modalities=entries).modalities == tuple(entries)
    assert made(body="brain", modalities=entries, incomplete=0.5).incomplete == 0.5


def test_sites_take_modalities_and_qualities_in_turn_each_at_its_own_pace():
    settings = made(modalities=["ct", "mr"], quality=["good", "noisy", "small"])
    told = [(settings.modality_of(site), settings.quality_of(site)) for site in range(1, 6)]
    modalities, qualities = zip(*told, strict=True)
    assert modalities == ("ct", "mr", "ct", "mr", "ct")
    assert qualities == ("good", "noisy", "small", "good", "noisy")
    assert made().quality_of(7) == "good"
