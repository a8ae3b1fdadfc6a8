"""A network of modalities: a site builds its part, and no answer hears of what is missing."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from fedvox.job.weights import weights_of
from fedvox.networks import build_network
from fedvox.networks.mixmodal_blocks import Fusion
from fedvox.networks.mixmodal_network import MixModal, present_channels
from fedvox.networks.mixmodal_settings import MixModalSettings
from fedvox.networks.outputs import (
    ANCHORS,
    DEEP,
    DROPPED_DEEP,
    DROPPED_LOGITS,
    IDENTITY,
    LOGITS,
    PRESENT,
    SHARED,
)
from fedvox.networks.settings import Sizes

CHANNELS = ("t1", "t2", "flair")
SETTINGS = MixModalSettings(channels=(3, 4))
CLASSES, EDGE = 3, 8
SUBSETS = [s for n in (1, 2, 3) for s in itertools.combinations(CHANNELS, n)]
CLOSE = {"rtol": 0.0, "atol": 1e-5}  # another batch size may sum in another order


def built(held=CHANNELS, settings=SETTINGS, seed=0) -> MixModal:
    sizes = Sizes(3, CLASSES, (EDGE,) * 3, CHANNELS, frozenset(held))
    model = build_network(settings, sizes, seed)
    assert isinstance(model, MixModal)
    return model


def images(*sets, seed=0) -> torch.Tensor:
    """Noise in the channels of each set, the others as preparation and ``normalise`` leave them."""
    noise = torch.randn(len(sets), 3, *(EDGE,) * 3, generator=torch.Generator().manual_seed(seed))
    there = torch.tensor([[name in own for name in CHANNELS] for own in sets])
    return torch.where(there[:, :, None, None, None], noise, torch.tensor(-1.0))


def remember(model: MixModal, *modalities: str, classes=range(CLASSES)) -> None:
    for number, name in enumerate(modalities):
        rows = torch.randn(CLASSES, 8, generator=torch.Generator().manual_seed(number))
        for place in classes:
            model.memory.get_buffer(name)[place] = rows[place]


@torch.no_grad()
def answer(model: MixModal, image: torch.Tensor) -> torch.Tensor:
    return model.eval()(image)


@pytest.fixture
def whole() -> MixModal:
    return built()


@pytest.fixture
def knowing(whole) -> MixModal:
    remember(whole, *CHANNELS)
    return whole


@pytest.mark.parametrize("held", [(), *SUBSETS], ids="+".join)
def test_what_a_site_builds_is_its_part_of_the_whole(whole, held):
    everything, own = weights_of(whole), weights_of(built(held))
    assert set(own) == {name for name in everything if SETTINGS.owned(name, held)}
    assert all(np.array_equal(array, everything[name]) for name, array in own.items())
    assert {SETTINGS.modality_of(name) for name in own} == {None, *held}


def test_parts_start_from_weights_of_their_own(whole):
    first = [weights_of(whole)[f"tailored.{name}.0.0.0.weight"] for name in CHANNELS]
    assert not np.array_equal(first[0], first[1]) and not np.array_equal(first[1], first[2])


def test_a_case_is_answered_alike_whoever_else_is_in_the_batch(knowing):
    batch = images(("t1",), CHANNELS, ("t2", "flair"), ())
    together = answer(knowing, batch)
    for index in range(len(batch)):
        alone = answer(knowing, batch[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, **CLOSE)


@pytest.mark.parametrize("value", [0.0, -1.0, 37.5])
def test_the_value_of_a_missing_channel_does_not_matter(knowing, value):
    image = images(("t1", "flair"))
    other = image.clone()
    other[:, 1] = value
    assert torch.equal(answer(knowing, image), answer(knowing, other))


def test_encoders_of_what_a_case_lacks_do_not_matter(knowing):
    part = built(("t1",))
    part.memory.load_state_dict(knowing.memory.state_dict())
    image = images(("t1",))
    assert torch.equal(answer(part, image), answer(knowing, image))


def test_an_image_without_an_encoder_of_its_own_still_counts():
    part = built(("t1",))
    two, one = images(("t1", "t2")), images(("t1", "t2"))
    one[:, 1] = -1
    difference = (answer(part, two) - answer(part, one)).abs()
    assert difference.max() > 1e-3
    other = built(("t1", "t2"))
    assert (answer(other, two) - answer(part, two)).abs().max() > 1e-3


def test_channels_that_are_constant_are_missing_and_air_has_all():
    image = images(("t1",), ("t2", "flair"), ())
    assert present_channels(image).tolist() == [[1, 0, 0], [0, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize("train", [False, True])
def test_a_window_of_air_gives_finite_numbers(knowing, train):
    knowing.train(train)
    found = knowing(images((), ()))
    outputs = found if train else {LOGITS: found}
    assert all(own.isfinite().all() for own in outputs.values())


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # its checks of shapes
def test_a_traced_network_is_the_network_for_every_subset(knowing):
    traced = torch.jit.trace(knowing.eval(), images(("t1",)))
    for own in SUBSETS:
        image = images(own, CHANNELS, seed=1)
        torch.testing.assert_close(traced(image), answer(knowing, image), **CLOSE)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("held", [CHANNELS, ("t1",)], ids=["whole", "part"])
@pytest.mark.parametrize("train", [False, True])
def test_it_computes_in_mixed_precision(kind, held, train):
    model = built(held)
    remember(model, *CHANNELS)
    model.train(train)
    image = images(("t1",), CHANNELS)
    with torch.autocast("cpu", kind):
        found = model(image, torch.ones(2, 3)) if train else {LOGITS: model(image)}
    assert all(own.isfinite().all() for own in found.values())
    # 8 bits of bfloat16 over some ten layers
    torch.testing.assert_close(
        found[LOGITS].float(), answer(model, image), rtol=0, atol=0.1, check_dtype=False
    )


def test_dropping_nothing_gives_the_whole_answer_twice(knowing):
    outputs = knowing.train()(images(CHANNELS, ("t1", "t2")), torch.ones(2, 3))
    torch.testing.assert_close(outputs[DROPPED_LOGITS], outputs[LOGITS], **CLOSE)
    torch.testing.assert_close(outputs[DROPPED_DEEP], outputs[DEEP], **CLOSE)


@pytest.mark.parametrize("sets", [(CHANNELS, ("t2", "flair")), (("t1", "flair"),)])
@pytest.mark.parametrize("kept", [(0, 1, 1), (0, 0, 1)])
def test_dropping_channels_gives_the_answer_for_the_image_without_them(knowing, sets, kept):
    image = images(*sets)
    keep = torch.tensor([kept] * len(sets)).float()
    outputs = knowing.train()(image, keep)
    fewer = torch.where(keep[:, :, None, None, None] > 0, image, torch.tensor(-1.0))
    torch.testing.assert_close(outputs[DROPPED_LOGITS], answer(knowing, fewer), **CLOSE)
    torch.testing.assert_close(outputs[LOGITS], answer(knowing, image), **CLOSE)


def test_what_is_dropped_is_not_seen_where_the_rest_of_the_window_is_air(knowing):
    first, other = images(("t1",), seed=0), images(("t1",), seed=1)
    kept = torch.tensor([[0.0, 1.0, 1.0]])
    found = [knowing.train()(image, kept)[DROPPED_LOGITS] for image in (first, other)]
    assert torch.equal(*found) and found[0].isfinite().all()


def test_no_gradient_reaches_the_memory(knowing):
    assert not {name for name, _ in knowing.named_parameters() if name.startswith("memory.")}
    outputs = knowing.train()(images(("t1",)), torch.ones(1, 3))
    sum(own.square().sum() for own in outputs.values()).backward()
    assert all(own.grad is None for own in knowing.memory.buffers())
    assert not any(own.requires_grad for own in knowing.memory.buffers())
    assert knowing.fusion.attention.query.weight.grad.any()
    assert not outputs[ANCHORS].requires_grad


def test_rows_that_nobody_told_are_not_chosen(whole):
    attention, prototypes = whole.fusion.attention, torch.zeros(CLASSES, 4)
    prototypes[1] = torch.tensor([1.0, -2.0, 3.0, 0.5])
    shared = torch.randn(2, 4, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = attention(shared, prototypes)
        assert torch.equal(attention(shared, torch.zeros(CLASSES, 4)), torch.zeros_like(shared))
    expected = prototypes[1][None, :, None, None, None].expand_as(found)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("known", [range(CLASSES), (1,)], ids=["all", "one class"])
def test_memory_changes_the_answer_only_where_something_is_missing(known):
    empty, filled = built(), built()
    remember(filled, *CHANNELS, classes=known)
    complete, partial = images(CHANNELS), images(("t1",))
    assert torch.equal(answer(empty, complete), answer(filled, complete))
    assert (answer(empty, partial) - answer(filled, partial)).abs().max() > 1e-3


def test_fusion_by_hand():
    """Mean of shared features, mean and largest of tailored ones, and who is there."""
    fusion = Fusion((1, 1), CHANNELS, 1)
    fusion.mix = nn.ModuleList(mix[0] for mix in fusion.mix)  # less the normalisation behind it
    with torch.no_grad():
        for mix, told in zip(fusion.mix, fusion.told):
            mix.weight[:] = torch.tensor([1.0, 100.0, 10000.0])[None, :, None, None, None]
            told.weight[:] = torch.tensor([0.1, 0.01, 0.001])
            mix.bias.zero_(), told.bias.zero_()
        features = {m: [torch.full((3, 1, 1, 1, 1), v)] * 2 for m, v in zip(CHANNELS, (2, 4, 9))}
        features = {m: [level.float() for level in own] for m, own in features.items()}
        flags = torch.tensor([[1.0, 1, 0], [1, 1, 1], [0, 0, 1]])
        present = {m: flags[:, i, None, None, None, None] for i, m in enumerate(CHANNELS)}
        tailored = {m: features[m] for m in ("t1", "t2")}
        found = fusion(features, tailored, present, None)
    # the last sample has no tailored feature at all
    expected = [3 + 300 + 40000 + 0.11, 5 + 300 + 40000 + 0.111, 9 + 0.001]
    for level in found:
        torch.testing.assert_close(level.flatten(), torch.tensor(expected))
    with torch.no_grad():
        alone = fusion(features, {}, present, None)[0].flatten()
    torch.testing.assert_close(alone, torch.tensor([3.11, 5.111, 9.001]))


def test_a_modality_that_nobody_told_of_is_left_out():
    """Not counted as a feature of zeros."""
    empty, without = built(), built(settings=MixModalSettings(channels=(3, 4), prototypes=False))
    image = images(("t1",), ("t2", "flair"))
    assert torch.equal(answer(empty, image), answer(without, image))


def test_what_is_present_needs_no_memory_of_itself():
    empty, filled = built(), built()
    remember(filled, "t1")
    assert torch.equal(answer(empty, images(("t1",))), answer(filled, images(("t1",))))


def test_without_prototypes_the_memory_is_not_looked_at():
    settings = MixModalSettings(channels=(3, 4), prototypes=False)
    empty, filled = built(settings=settings), built(settings=settings)
    remember(filled, *CHANNELS)
    image = images(("t1",))
    assert torch.equal(answer(empty, image), answer(filled, image))
    assert not settings.has_memory and SETTINGS.has_memory


def test_without_tailored_encoders_only_the_shared_one_is_built():
    settings = MixModalSettings(channels=(3, 4), tailored=False, prototypes=False)
    model = built(settings=settings)
    assert {name.partition(".")[0] for name in weights_of(model)} == {
        "shared",
        "fusion",
        "decoder",
        "memory",
    }
    assert answer(model, images(("t2",))).isfinite().all()
    assert not model.train()(images(("t2",)))[IDENTITY].any()


def test_what_terms_compare_has_the_stated_shapes_and_flags(knowing):
    outputs = knowing.train()(images(("t1",), ("t1", "flair")), torch.ones(2, 3))
    assert outputs[PRESENT].flatten(1).tolist() == [[1, 0, 0], [1, 0, 1]]
    assert outputs[IDENTITY].shape == (2, 3, 4, 1, 1)
    assert outputs[IDENTITY][:, :, -1, 0, 0].tolist() == [[1, 0, 0], [1, 0, 1]]
    assert outputs[SHARED].shape == (2, 3 * 4, 2, 2, 2)
    rows = torch.stack([knowing.memory.shared(name) for name in CHANNELS])
    expected = torch.stack([rows[1:].mean(0), rows[1]])  # of what each sample lacks
    torch.testing.assert_close(outputs[ANCHORS].flatten(2), expected)
