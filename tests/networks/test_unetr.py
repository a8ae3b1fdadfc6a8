import pytest
import torch

from fedvox.errors import ConfigError, ModelError
from fedvox.job.model import initial_model
from fedvox.job.settings import job_from
from fedvox.job.weights import load_weights, weights_of


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
