import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers import sliding_window_inference
from torch import nn

from fedvox.inference.windows import slide

CPU = torch.device("cpu")
edges = st.sampled_from([4, 6, 8, 12])


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv3d(1, 3, 3, padding=1), nn.Softmax(dim=1)).requires_grad_(False)


def noise(shape: tuple[int, int, int], seed: int = 0) -> torch.Tensor:
    return torch.rand(1, *shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=60)
@given(
    st.tuples(*[st.integers(1, 30)] * 3),
    st.tuples(edges, edges, edges),
    st.floats(0.0, 0.9),
    st.integers(0, 1000),
)
def test_slabs_are_monais_result_to_the_last_bit(shape, window, overlap, seed):
    image, model = noise(shape, seed), network(seed)
    expected = sliding_window_inference(
        image[None], window, 1, model, overlap=overlap, mode="gaussian", device="cpu"
    )
    slabs = list(slide(image, window, overlap, model, CPU))
    assert torch.equal(torch.cat(slabs, dim=1), expected[0])


def test_slabs_are_no_wider_than_the_step_between_windows():
    slabs = list(slide(noise((40, 9, 9)), (8, 8, 8), 0.5, network(0), CPU))
    assert [slab.shape[1] for slab in slabs] == [4] * 8 + [8]


def test_a_slab_stays_as_it_was_when_the_next_one_is_made():
    slabs = slide(noise((20, 8, 8)), (8, 8, 8), 0.5, network(0), CPU)
    first = next(slabs)
    before = first.clone()
    list(slabs)
    assert torch.equal(first, before)


@pytest.mark.parametrize("shape", [(3, 20, 20), (20, 3, 20), (20, 20, 3)])
def test_an_image_thinner_than_the_window_keeps_its_shape(shape):
    slabs = list(slide(noise(shape), (8, 8, 8), 0.25, network(0), CPU))
    assert torch.cat(slabs, dim=1).shape == (3, *shape)


def test_a_window_is_computed_only_when_its_slab_is_wanted():
    seen = []

    def count(window: torch.Tensor) -> torch.Tensor:
        seen.append(window.shape)
        return window.clone()

    next(slide(noise((80, 8, 8)), (8, 8, 8), 0.5, count, CPU))
    assert len(seen) == 1
