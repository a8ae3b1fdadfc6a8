import pytest
import torch
from torch import nn

from fedvox.errors import ConfigError
from fedvox.job.settings import job_from
from fedvox.job.weights import load_weights, weights_of
from fedvox.networks import build_network
from fedvox.networks.parts import norm_tensors, personal_tensors
from fedvox.networks.settings import Sizes
from fedvox.networks.swin_unetr import SwinUNETRSettings

PATCH = (64, 32, 32)
SIZES = Sizes(in_channels=4, classes=3, patch=PATCH)
TINY = SwinUNETRSettings(feature_size=12, depths=(1, 2, 1, 1), heads=(1, 2, 2, 4), window=4)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return build_network(TINY, SIZES, seed=0)


def scan(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 4, *PATCH, generator=torch.Generator().manual_seed(seed))


def test_image_gives_one_logit_per_class_and_voxel_and_every_weight_a_gradient(model):
    logits = model(scan())
    assert logits.shape == (1, 3, *PATCH) and logits.isfinite().all()
    logits.square().sum().backward()
    assert all(own.grad is not None for own in model.parameters())
    model.zero_grad(set_to_none=True)


def test_weights_depend_on_the_seed_alone(model):
    first = weights_of(model)
    torch.manual_seed(1)
    again, other = (weights_of(build_network(TINY, SIZES, seed)) for seed in (0, 1))
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


def test_only_what_is_trained_travels(model):
    assert set(weights_of(model)) == {name for name, _ in model.named_parameters()}


def test_index_tables_stay_as_they_are_while_every_weight_is_loaded(model):
    other = build_network(TINY, SIZES, seed=1)
    tables = {n: t.clone() for n, t in other.state_dict().items() if not t.is_floating_point()}
    assert len(tables) == sum(TINY.depths)
    assert all(name.endswith("relative_position_index") for name in tables)
    load_weights(other, weights_of(model))
    own = other.state_dict()
    assert all(torch.equal(own[name], table) for name, table in tables.items())
    with torch.no_grad():
        assert torch.equal(other(scan()), model(scan()))


def test_training_draws_nothing_from_the_global_random_state(model):
    before = torch.get_rng_state()
    with torch.no_grad():
        first, again = model.train()(scan()), model(scan())
    assert torch.equal(first, again) and torch.equal(torch.get_rng_state(), before)


def test_norm_means_its_layer_normalisation(model):
    layers = [layer for layer in model.modules() if isinstance(layer, nn.LayerNorm)]
    kept = personal_tensors(model, ["norm"])
    assert kept == norm_tensors(model) and len(kept) == 2 * len(layers) > 0
    job = {"organs": ["liver"], "patch": [64, 64, 64]}
    network = {"name": "swin_unetr", "feature_size": 12}
    personal = {"personal": ["norm"]}
    job_from({"name": "j", "data": job, "network": network, "training": personal})


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


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("fedvox.networks.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"'swin_unetr' needs the package einops.*install"):
        build_network(TINY, SIZES, 0)
