import pytest
import torch
from torch import nn

from fedvox.errors import ConfigError, ModelError
from fedvox.job.model import initial_model
from fedvox.job.settings import job_from
from fedvox.job.weights import load_weights, weights_of
from fedvox.networks import build_network
from fedvox.networks.parts import personal_tensors
from fedvox.networks.settings import Sizes
from fedvox.networks.unetr import UNETRSettings

PATCH = (32, 16, 16)
SIZES = Sizes(in_channels=2, classes=3, patch=PATCH)
TINY = UNETRSettings(feature_size=2, hidden=12, mlp=24, heads=2)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return build_network(TINY, SIZES, seed=0)


def scan(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 2, *PATCH, generator=torch.Generator().manual_seed(seed))


def test_image_gives_one_logit_per_class_and_voxel(model):
    logits = model(scan())
    assert logits.shape == (1, 3, *PATCH) and logits.isfinite().all()


def test_weights_depend_on_the_seed_alone(model):
    first = weights_of(model)
    torch.manual_seed(1)
    again, other = (weights_of(build_network(TINY, SIZES, seed)) for seed in (0, 1))
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


def test_only_what_is_trained_travels_and_all_of_it_can_be_loaded(model):
    assert set(weights_of(model)) == {name for name, _ in model.named_parameters()}
    other = build_network(TINY, SIZES, seed=1)
    load_weights(other, weights_of(model))
    with torch.no_grad():
        assert torch.equal(other(scan()), model(scan()))


def test_training_draws_nothing_from_the_global_random_state(model):
    before = torch.get_rng_state()
    with torch.no_grad():
        first, again = model.train()(scan()), model(scan())
    assert torch.equal(first, again) and torch.equal(torch.get_rng_state(), before)


def test_norm_means_its_layer_normalisation(model):
    layers = [layer for layer in model.modules() if isinstance(layer, nn.LayerNorm)]
    assert len(personal_tensors(model, ["norm"])) == 2 * len(layers) > 0


def job(patch, **network):
    settings = {"name": "unetr", "feature_size": 2, "hidden": 12, "mlp": 24, "heads": 2, **network}
    return job_from(
        {"name": "j", "data": {"organs": ["liver"], "patch": patch}, "network": settings}
    )


def test_the_job_tells_it_the_patch_that_its_positions_are_of():
    small, large = (initial_model(job(patch)) for patch in ([32, 32, 32], [32, 32, 64]))
    with torch.no_grad():
        assert large(torch.rand(1, 1, 32, 32, 64)).shape == (1, 2, 32, 32, 64)
    positions = "vit.patch_embedding.position_embeddings"
    assert weights_of(small)[positions].shape == (1, 8, 12)
    with pytest.raises(ModelError, match=rf"'{positions}' is \(1, 8, 12\), not \(1, 16, 12\)"):
        load_weights(large, weights_of(small))


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ([16, 16, 16], r"a single voxel.*take \[32, 32, 32\] or more"),
        ([40, 32, 32], "with network 'unetr' each edge must be a multiple of 16"),
    ],
)
def test_a_patch_that_it_cannot_train_on_is_refused_when_the_job_is_read(patch, message):
    with pytest.raises(ConfigError, match=message):
        job(patch)


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(
        ConfigError, match=r"'network.heads' is 5; it must divide .*'network.hidden', 12"
    ):
        job([32, 32, 32], heads=5)
