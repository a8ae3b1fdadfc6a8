import pytest
import torch
from torch import nn

from fedvox.errors import ConfigError
from fedvox.networks import NETWORKS, build_network
from fedvox.networks.settings import Sizes
from fedvox.networks.unet import UNetSettings

SIZES = Sizes(in_channels=1, classes=3, patch=(8, 8, 8))
TINY = UNetSettings(channels=(2, 4, 8), residual_units=1)


def equal(first: nn.Module, second: nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("size", [(8, 8, 8), (12, 8, 16)])
@pytest.mark.parametrize("classes", [2, 7])
def test_image_gives_one_logit_per_class_and_voxel(size, classes):
    x = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0))
    logits = build_network(TINY, Sizes(1, classes, size), seed=0)(x)
    assert logits.shape == (2, classes, *size) and logits.isfinite().all()


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = build_network(TINY, SIZES, seed=5)
    torch.manual_seed(2)
    torch.rand(7)
    assert equal(first, build_network(TINY, SIZES, seed=5))
    assert not equal(first, build_network(TINY, SIZES, seed=6))


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


def test_one_level_is_refused():
    with pytest.raises(ConfigError, match="at least two levels"):
        build_network(UNetSettings(channels=(8,)), SIZES, seed=0)


def test_instance_norm_keeps_no_statistics_of_a_sites_intensities():
    network = build_network(TINY, SIZES, seed=0)
    assert any(isinstance(module, nn.InstanceNorm3d) for module in network.modules())
    assert not any(isinstance(module, nn.BatchNorm3d) for module in network.modules())
    assert list(network.buffers()) == []


def test_batch_norm_can_be_chosen():
    settings = UNetSettings(channels=(2, 4), residual_units=1, norm="batch")
    network = build_network(settings, SIZES, seed=0)
    assert any(isinstance(module, nn.BatchNorm3d) for module in network.modules())


def test_each_sample_is_normalised_on_its_own():
    network = build_network(TINY, SIZES, seed=0).train()
    x = torch.rand(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    alone, together = network(x[:1]), network(x)[:1]
    assert torch.allclose(alone, together, atol=1e-5)  # float32 sums in another order


def test_patch_multiple_is_two_to_the_number_of_halvings():
    assert UNetSettings(channels=(4, 8, 16, 16, 16)).patch_multiple == 16
