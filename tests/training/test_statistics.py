import pytest
import torch
from torch import nn

from fedvox.inference.normalise import normalise
from fedvox.training.statistics import BATCHES, estimate_statistics


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.BatchNorm3d(2))


def estimate(model, sites, job, personal=lambda name: True):
    estimate_statistics(model, personal, sites[0].train, job, "site-1", torch.device("cpu"))


def test_statistics_are_the_mean_over_the_batches(network, sites, job, monkeypatch):
    seen = []
    network[0].register_forward_hook(lambda layer, args, out: seen.append(out))
    estimate(network, sites, job)
    assert len(seen) == BATCHES
    means = torch.stack([batch.mean((0, 2, 3, 4)) for batch in seen])
    variances = torch.stack([batch.var((0, 2, 3, 4)) for batch in seen])
    # float32 sums over 8192 voxels in another order
    torch.testing.assert_close(network[1].running_mean, means.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network[1].running_var, variances.mean(0), rtol=1e-4, atol=1e-5)


def test_weights_momentum_and_mode_stay(network, sites, job):
    before = [parameter.detach().clone() for parameter in network.parameters()]
    estimate(network, sites, job)
    assert all(map(torch.equal, before, network.parameters()))
    assert [network[1].momentum, network[2].momentum] == [0.1, 0.1]


def test_only_personal_layers_are_estimated(network, sites, job):
    estimate(network, sites, job, lambda name: name.startswith("2."))
    assert torch.equal(network[1].running_mean, torch.zeros(2))
    assert not torch.equal(network[2].running_var, torch.ones(2))


def test_labels_do_not_decide_where_patches_lie(network, sites, job, monkeypatch):
    asked = []

    def drawn(cases, settings, size, generator):
        from fedvox.data.cases.patches import draw_batch

        asked.append(settings.sampler.share)
        return draw_batch(cases, settings, size, generator)

    monkeypatch.setattr("fedvox.training.statistics.draw_batch", drawn)
    estimate(network, sites, job)
    assert set(asked) == {0.0}


def test_the_network_sees_what_evaluation_shows_it(network, sites, job):
    lowest = []
    network[0].register_forward_pre_hook(lambda layer, args: lowest.append(args[0].min()))
    estimate(network, sites, job)
    assert min(lowest) == normalise(torch.zeros(()))


def test_network_without_running_statistics_reads_no_case(job):
    model = nn.Sequential(nn.Conv3d(1, 2, 1), nn.InstanceNorm3d(2))
    estimate_statistics(model, lambda name: True, [], job, "a", torch.device("cpu"))
