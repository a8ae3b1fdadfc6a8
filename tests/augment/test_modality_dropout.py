"""Which images a step leaves in: never none, only those that there are, each set alike."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedvox.augment.modality_dropout import draw_kept
from fedvox.seeding import generator

ROWS = st.integers(1, 5).flatmap(
    lambda channels: st.lists(
        st.lists(st.booleans(), min_size=channels, max_size=channels), min_size=1, max_size=6
    )
)


@given(ROWS, st.floats(0.0, 1.0), st.integers(0, 2**31))
def test_only_what_is_present_is_kept_and_never_nothing_of_it(rows, share, seed):
    present = torch.tensor(rows)
    kept = draw_kept(present, share, generator(seed))
    assert kept.shape == present.shape and kept.dtype == torch.bool
    assert not (kept & ~present).any()
    assert torch.equal(kept.any(1), present.any(1))
    assert torch.equal(kept, draw_kept(present, share, generator(seed)))


@given(ROWS, st.integers(0, 2**31))
def test_a_share_of_nought_keeps_all_and_of_one_a_single_image(rows, seed):
    present = torch.tensor(rows)
    assert torch.equal(draw_kept(present, 0.0, generator(seed)), present)
    assert draw_kept(present, 1.0, generator(seed)).sum(1).tolist() == present.any(1).tolist()


@pytest.mark.parametrize("present", [[1, 1, 1], [1, 0, 1]])
def test_half_draws_every_set_alike_and_single_ones_for_the_empty_one(present):
    draws = 8000
    many = torch.tensor([present] * draws).bool()
    found = Counter(map(tuple, draw_kept(many, 0.5, generator(0)).int().tolist()))
    channels = sum(present)
    assert len(found) == 2**channels - 1
    for own, count in found.items():
        share = 0.5**channels * (1 + (sum(own) == 1) / channels)
        # four standard deviations of a share of the draws
        assert abs(count / draws - share) < 4 * (share / draws) ** 0.5


def test_samples_are_drawn_apart():
    kept = draw_kept(torch.ones(16, 4, dtype=torch.bool), 0.5, generator(0))
    assert len({tuple(row) for row in kept.tolist()}) > 4
