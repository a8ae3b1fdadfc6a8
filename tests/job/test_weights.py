import numpy as np
import pytest
import torch
from torch import nn

from fedvox.errors import ModelError
from fedvox.job.weights import load_weights, weights_of
from fedvox.tensors import weights_hash


def network() -> nn.Module:
    return nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2))


def test_round_trip_restores_every_weight():
    source, target = network(), network()
    load_weights(target, weights_of(source))
    for name, tensor in source.state_dict().items():
        torch.testing.assert_close(target.state_dict()[name], tensor, rtol=0, atol=0)


def test_integer_buffers_stay_at_home():
    model = network()
    assert "1.num_batches_tracked" in model.state_dict()
    assert "1.num_batches_tracked" not in weights_of(model)
    assert "1.running_mean" in weights_of(model)


def test_loading_leaves_integer_buffers_as_they_are():
    model = network()
    model[1].num_batches_tracked.fill_(7)
    load_weights(model, weights_of(network()))
    assert int(model[1].num_batches_tracked) == 7


def test_weights_are_float32_copies():
    model = network().double()
    weights = weights_of(model)
    before = float(model[0].weight.detach().flatten()[0])
    weights["0.weight"][:] = 99
    assert all(array.dtype == np.float32 for array in weights.values())
    assert float(model[0].weight.detach().flatten()[0]) == before


def test_scalar_parameter_travels():
    class Scaled(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(value))

    target = Scaled(0.0)
    load_weights(target, weights_of(Scaled(2.5)))
    assert target.scale.item() == 2.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("0.bias"), "1 tensors missing, 0 unknown"),
        (lambda w: w.update(extra=np.zeros(1, np.float32)), "0 tensors missing, 1 unknown"),
        (lambda w: w.update({"1.bias": np.zeros((1, 2), np.float32)}), r"'1.bias' is \(1, 2\)"),
    ],
)
def test_weights_of_another_architecture_are_an_error_and_load_nothing(change, message):
    model = network()
    before = weights_hash(weights_of(model))
    weights = {name: array + 1 for name, array in weights_of(model).items()}
    change(weights)
    with pytest.raises(ModelError, match=f"belong to another network: .*{message}"):
        load_weights(model, weights)
    assert weights_hash(weights_of(model)) == before


def test_hash_does_not_depend_on_the_order_of_names():
    weights = weights_of(network())
    assert weights_hash(dict(reversed(weights.items()))) == weights_hash(weights)


@pytest.mark.parametrize("bit", range(8))
def test_hash_changes_with_a_single_bit(bit):
    weights = weights_of(network())
    before = weights_hash(weights)
    weights["0.bias"].view(np.uint8)[0] ^= 1 << bit
    assert weights_hash(weights) != before


def test_hash_tells_names_and_shapes_apart():
    zeros = np.zeros(6, np.float32)
    variants = [{"a": zeros}, {"b": zeros}, {"a": zeros.reshape(2, 3)}, {"a": zeros.reshape(3, 2)}]
    assert len({weights_hash(variant) for variant in variants}) == 4
