"""What holds of every network, and of how they are built."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from fedvox.errors import ConfigError
from fedvox.job.weights import load_weights, weights_of
from fedvox.networks import NETWORKS, build_network
from fedvox.networks.mixmodal_settings import MixModalSettings
from fedvox.networks.parts import norm_tensors, personal_tensors
from fedvox.networks.settings import Sizes
from fedvox.networks.swin_unetr import SwinUNETRSettings
from fedvox.networks.unet import UNetSettings
from fedvox.networks.unetr import UNETRSettings
from fedvox.training.terms import outputs_of

SMALL = {
    "unet": (UNetSettings(channels=(2, 4, 8), residual_units=1), Sizes(1, 7, (12, 8, 16))),
    "swin_unetr": (
        SwinUNETRSettings(feature_size=12, depths=(1, 2, 1, 1), heads=(1, 2, 2, 4), window=4),
        Sizes(4, 3, (64, 32, 32)),
    ),
    "unetr": (
        UNETRSettings(feature_size=2, hidden=12, mlp=24, heads=2),
        Sizes(2, 3, (32, 16, 16)),
    ),
    "mixmodal": (
        MixModalSettings(channels=(2, 4)),
        Sizes(2, 3, (16, 8, 8), ("ct", "mr"), frozenset({"ct", "mr"})),
    ),
}
TINY, SIZES = SMALL["unet"]


@pytest.fixture(scope="module", params=SMALL)
def small(request) -> SimpleNamespace:
    settings, sizes = SMALL[request.param]
    scan = torch.rand(
        1, sizes.in_channels, *sizes.patch, generator=torch.Generator().manual_seed(0)
    )
    model = build_network(settings, sizes, seed=0)
    return SimpleNamespace(settings=settings, sizes=sizes, scan=scan, model=model)


def test_image_gives_one_logit_per_class_and_voxel(small):
    with torch.no_grad():
        logits = small.model.eval()(small.scan)
    assert logits.shape == (1, small.sizes.classes, *small.sizes.patch)
    assert logits.isfinite().all()


# MONAI's UNETR also holds layers for an attention to something else, which nothing reads.
@pytest.mark.parametrize("small", ["unet", "swin_unetr", "mixmodal"], indirect=True)
def test_every_weight_gets_a_gradient(small):
    outputs = outputs_of(small.model.train(), small.scan)
    sum(own.square().sum() for own in outputs.values()).backward()
    assert all(own.grad is not None for own in small.model.parameters())
    small.model.zero_grad(set_to_none=True)


def test_weights_depend_on_the_seed_alone(small):
    first = weights_of(small.model)
    torch.manual_seed(1)
    again, other = (weights_of(build_network(small.settings, small.sizes, s)) for s in (0, 1))
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


def test_what_is_trained_or_the_server_s_travels_and_all_of_it_can_be_loaded(small):
    names = {name for name, _ in small.model.named_parameters()}
    told = {name for name, _ in small.model.named_buffers() if small.settings.of_server(name)}
    assert set(weights_of(small.model)) == names | told
    other = build_network(small.settings, small.sizes, seed=1)
    load_weights(other, weights_of(small.model))
    with torch.no_grad():
        assert torch.equal(other.eval()(small.scan), small.model.eval()(small.scan))


def test_training_draws_nothing_from_the_global_random_state(small):
    before = torch.get_rng_state()
    with torch.no_grad():
        first, again = (outputs_of(small.model.train(), small.scan) for _ in range(2))
    assert all(torch.equal(own, again[name]) for name, own in first.items())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("small", ["swin_unetr", "unetr"], indirect=True)
def test_norm_means_the_layer_normalisation_of_a_transformer(small):
    layers = [layer for layer in small.model.modules() if isinstance(layer, nn.LayerNorm)]
    kept = personal_tensors(small.model, ["norm"])
    assert kept == norm_tensors(small.model) and len(kept) == 2 * len(layers) > 0


def test_building_leaves_the_global_random_state_as_it_was():
    before = torch.get_rng_state()
    build_network(TINY, SIZES, seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_building_does_not_reseed_accelerators(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    build_network(TINY, SIZES, seed=5)
    assert seeded == []


def test_unknown_name_lists_the_registered_networks():
    with pytest.raises(ConfigError) as caught:
        build_network(UNetSettings(name="vnet"), SIZES, seed=0)
    assert "unknown network 'vnet'" in str(caught.value)
    for name in NETWORKS:
        assert name in str(caught.value)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("fedvox.networks.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"'swin_unetr' needs the package einops.*install"):
        build_network(*SMALL["swin_unetr"], seed=0)
