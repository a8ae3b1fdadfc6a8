import pytest
import torch

from fedvox.errors import ConfigError
from fedvox.job.settings import job_from
from fedvox.job.weights import load_weights, weights_of
from fedvox.networks import build_network
from fedvox.networks.settings import Sizes
from fedvox.networks.swin_unetr import SwinUNETRSettings

PATCH = (64, 32, 32)
SIZES = Sizes(in_channels=4, classes=3, patch=PATCH)
TINY = SwinUNETRSettings(feature_size=12, depths=(1, 2, 1, 1), heads=(1, 2, 2, 4), window=4)


def test_index_tables_stay_as_they_are_while_weights_are_loaded():
    model, other = (build_network(TINY, SIZES, seed) for seed in (0, 1))
    tables = {n: t.clone() for n, t in other.state_dict().items() if not t.is_floating_point()}
    assert len(tables) == sum(TINY.depths)
    assert all(name.endswith("relative_position_index") for name in tables)
    load_weights(other, weights_of(model))
    own = other.state_dict()
    assert all(torch.equal(own[name], table) for name, table in tables.items())


def test_a_job_may_keep_its_normalisation_at_the_sites():
    data = {"organs": ["liver"], "patch": [64, 64, 64]}
    network = {"name": "swin_unetr", "feature_size": 12}
    personal = {"personal": ["norm"]}
    job_from({"name": "j", "data": data, "network": network, "training": personal})


@pytest.mark.parametrize("v2", [False, True])
def test_a_residual_convolution_before_each_stage_is_a_choice(v2):
    sizes = Sizes(1, 2, PATCH)
    settings = SwinUNETRSettings(feature_size=12, depths=(1,) * 4, window=4, v2=v2)
    names = list(weights_of(build_network(settings, sizes, 0)))
    assert any(name.startswith("swinViT.layers1c") for name in names) == v2


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (
            [32, 32, 32],
            r"\[32, 32, 32\].*'swin_unetr'.*a single voxel.*take \[64, 64, 64\] or more",
        ),
        ([64, 64, 48], r"\[64, 64, 48\].*'swin_unetr' each edge must be a multiple of 32"),
    ],
)
def test_a_patch_that_it_cannot_train_on_is_refused_when_the_job_is_read(patch, message):
    data = {"organs": ["liver"], "patch": patch}
    with pytest.raises(ConfigError, match=f"'data.patch' is {message}"):
        job_from({"name": "j", "data": data, "network": "swin_unetr"})


def test_two_voxels_at_the_deepest_level_are_enough():
    data = {"organs": ["liver"], "patch": [32, 64, 32]}
    assert job_from({"name": "j", "data": data, "network": "swin_unetr"}).data.patch[1] == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_size": 16}, "'network.feature_size' is 16; it must be a multiple of 12"),
        ({"depths": [2, 2]}, "'network.depths' has 2 values; swin_unetr needs 4"),
        ({"heads": [3, 6, 12]}, "'network.heads' has 3 values; swin_unetr needs 4"),
        ({"heads": [5, 6, 12, 24]}, r"each must divide .* \[24, 48, 96, 192\]"),
        ({"hidden": 96}, "unknown key 'network.hidden' of network 'swin_unetr'; .*unetr"),
    ],
)
def test_settings_that_cannot_be_built_are_refused(change, message):
    network = {"name": "swin_unetr", **change}
    data = {"organs": ["liver"], "patch": [64, 64, 64]}
    with pytest.raises(ConfigError, match=message):
        job_from({"name": "j", "data": data, "network": network})
