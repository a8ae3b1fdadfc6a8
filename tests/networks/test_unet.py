import pytest
import torch
from torch import nn

from fedvox.errors import ConfigError
from fedvox.networks import build_network
from fedvox.networks.settings import Sizes
from fedvox.networks.unet import UNetSettings

SIZES = Sizes(in_channels=1, classes=3, patch=(8, 8, 8))
TINY = UNetSettings(channels=(2, 4, 8), residual_units=1)


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
