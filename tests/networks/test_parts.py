from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fedvox.errors import ConfigError
from fedvox.networks.parts import Parts, norm_tensors, personal_tensors
from fedvox.networks.settings import NetworkSettings, Sizes
from fedvox.networks.unet import UNetSettings, build_unet

NAMES = st.frozensets(
    st.from_regex(r"(tailored\.(t1|flair)|shared|decoder)\.[a-c]", fullmatch=True)
)
HELD = st.lists(st.sampled_from(["t1", "flair", "t1+flair", "ct"]), max_size=3)


@dataclass(frozen=True)
class Mixed(NetworkSettings):
    """As a network with an encoder for each modality publishes what is whose."""

    name: str = "mixed"

    def owned(self, tensor, modalities):
        kind, modality, *_ = f"{tensor}..".split(".")
        return kind != "tailored" or modality in modalities


class Toy(nn.Module):
    """An encoder per modality; the layers' names do not say which is a normalisation."""

    def __init__(self):
        super().__init__()
        self.tailored = nn.ModuleDict({name: nn.Conv3d(1, 2, 1) for name in ("t1", "flair")})
        self.shared = nn.Sequential(nn.Conv3d(2, 2, 1), nn.BatchNorm3d(2), nn.GroupNorm(1, 2))
        self.decoder = nn.Sequential(nn.LayerNorm(2), nn.InstanceNorm3d(2))


def toy_parts(*patterns):
    kept = personal_tensors(Toy(), patterns)
    return Parts(owned=Mixed().owned, personal=kept.__contains__)


def names_of(model):
    return [name for name, tensor in model.state_dict().items() if tensor.is_floating_point()]


def test_norm_means_layers_by_type_with_their_running_statistics():
    assert personal_tensors(Toy(), ["norm"]) == {
        "shared.1.weight",
        "shared.1.bias",
        "shared.1.running_mean",
        "shared.1.running_var",
        "shared.2.weight",
        "shared.2.bias",
        "decoder.0.weight",
        "decoder.0.bias",
    }
    assert "shared.1.num_batches_tracked" in norm_tensors(Toy())


def test_norm_finds_the_batch_normalisation_of_the_u_net_whose_names_do_not_say_so():
    settings = UNetSettings(channels=(4, 8), residual_units=0, norm="batch")
    model = build_unet(settings, Sizes(1, 3, (8, 8, 8)))
    found = personal_tensors(model, ["norm"])
    layers = sum(isinstance(layer, nn.BatchNorm3d) for layer in model.modules())
    assert len(found) == 4 * layers > 0
    assert not any("norm" in name for name in found)


def test_any_other_word_is_a_pattern_of_names():
    assert personal_tensors(Toy(), ["shared.0.*", "*.flair.bias"]) == {
        "shared.0.weight",
        "shared.0.bias",
        "tailored.flair.bias",
    }


def test_pattern_without_a_tensor_is_an_error_with_examples():
    with pytest.raises(ConfigError, match=r"names '\*norm\*'.*use 'norm' or .* 'tailored.t1.\*'"):
        personal_tensors(Toy(), ["norm", "*norm*"])


def test_nothing_left_to_travel_is_an_error():
    with pytest.raises(ConfigError, match="nothing would travel"):
        personal_tensors(Toy(), ["norm", "*weight", "*.bias"])


def test_encoder_of_a_modality_goes_only_where_the_modality_is():
    names, parts = names_of(Toy()), toy_parts("norm")
    with_flair = parts.travelling(names, ["t1+flair", "t1"])
    without = parts.travelling(names, ["t1"])
    assert with_flair - without == {"tailored.flair.weight", "tailored.flair.bias"}
    assert without == {
        "tailored.t1.weight",
        "tailored.t1.bias",
        "shared.0.weight",
        "shared.0.bias",
    }


def test_the_global_model_is_all_that_is_not_personal_in_its_order():
    names, parts = names_of(Toy()), toy_parts("norm")
    assert parts.common(names) == [
        "tailored.t1.weight",
        "tailored.t1.bias",
        "tailored.flair.weight",
        "tailored.flair.bias",
        "shared.0.weight",
        "shared.0.bias",
    ]


def test_every_site_owns_all_of_a_u_net():
    settings = UNetSettings(channels=(4, 8))
    names = names_of(build_unet(settings, Sizes(1, 3, (8, 8, 8))))
    parts = Parts(settings.owned, lambda name: False)
    assert parts.travelling(names, []) == parts.travelling(names, ["mr"]) == set(names)


@given(NAMES, HELD, HELD)
def test_what_travels_grows_with_modalities_and_never_holds_what_is_personal(names, held, more):
    parts = Parts(Mixed().owned, lambda name: name.endswith("b"))
    few, many = parts.travelling(names, held), parts.travelling(names, held + more)
    assert few <= many <= set(parts.common(names)) <= names
    assert not any(name.endswith("b") for name in many)
    assert parts.travelling(few, held) == few


def test_names_of_a_model_of_one_layer_are_examples_too():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1))

    with pytest.raises(ConfigError, match="such as 'gain'"):
        personal_tensors(Bare(), ["x"])
