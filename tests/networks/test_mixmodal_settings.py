"""What a job may ask of a network of modalities, and whose its tensors are."""

import pytest

from fedvox.errors import ConfigError
from fedvox.job.settings import job_from
from fedvox.networks.mixmodal_settings import MixModalSettings

CHANNELS = ("t1", "t2", "flair")
SETTINGS = MixModalSettings(channels=(3, 4))


def mixmodal_job(**sections):
    data = {"organs": ["tumour_oedema"], "modalities": CHANNELS, "channels": CHANNELS}
    base = {
        "name": "job",
        "data": data | {"missing_channels": True, "patch": [16, 16, 16]},
        "network": {"name": "mixmodal", "channels": [4, 8]},
    }
    return job_from(base | {name: base.get(name, {}) | new for name, new in sections.items()})


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ({"channels": [16]}, "needs at least two levels"),
        ({"tailored": False}, "set prototypes to false too"),
        ({"channels": [4, 8, 16, 32]}, "each edge must be a multiple of 16|single voxel"),
    ],
)
def test_settings_that_cannot_be_are_refused(network, reason):
    with pytest.raises(ConfigError, match=reason):
        mixmodal_job(network=network)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"data": {"channels": [], "missing_channels": False}}, "'data.channels' is empty"),
        ({"training": {"personal": ["norm"]}}, "take network 'unet' with 'norm' batch"),
        (
            {"data": {"missing_channels": False}, "training": {"modality_dropout": 0.5}},
            "set it to 0, or 'data.missing_channels' to true",
        ),
        (
            {"privacy": {"noise": 2.0}, "evaluation": {"site_models": False}},
            "'network.prototypes' would send means of features",
        ),
    ],
)
def test_a_job_that_does_not_fit_the_network_is_refused(changed, reason):
    with pytest.raises(ConfigError, match=reason):
        mixmodal_job(**changed)


@pytest.mark.parametrize(
    ("tensor", "modality", "of_server"),
    [
        ("tailored.t1.0.0.0.weight", "t1", False),
        ("tailored.t1ce.0.0.0.weight", "t1ce", False),
        ("shared.0.0.weight", None, False),
        ("decoder.tailored.t1", None, False),
        ("memory.t1", None, True),
    ],
)
def test_whose_a_tensor_is_its_name_says(tensor, modality, of_server):
    assert SETTINGS.modality_of(tensor) == modality
    assert SETTINGS.of_server(tensor) is of_server
    assert SETTINGS.owned(tensor, {"t1"}) is (modality in (None, "t1"))
