"""The sampler by itself; the patches it gives stand in ``tests/data/cases/test_patches.py``."""

import pytest
import torch

from fedvox.data.samplers import SAMPLERS, build_sampler
from fedvox.data.samplers.settings import ForegroundSettings, SamplerSettings
from fedvox.errors import ConfigError
from fedvox.seeding import generator


class Organs:
    """What a sampler sees of a case: how many voxels each organ has, and where."""

    def __init__(self, *places: list[list[int]]) -> None:
        self.counts = tuple(map(len, places))
        self._places = places

    def tensor(self, name: str) -> torch.Tensor:
        return torch.tensor(self._places[int(name.removeprefix("places."))], dtype=torch.int16)


def draws(case: Organs, share: float, number: int) -> list:
    sampler = build_sampler(ForegroundSettings(share=share))
    return [sampler(case, generator(0, index)) for index in range(number)]


def test_it_is_known_by_its_name_and_an_unknown_one_is_refused():
    assert set(SAMPLERS) >= {"foreground"}
    with pytest.raises(ConfigError, match="unknown sampler 'fg'"):
        build_sampler(SamplerSettings("fg"))


def test_it_names_a_voxel_of_an_organ_or_none():
    found = draws(Organs([[1, 2, 3]], [[4, 5, 6], [7, 8, 9]]), 0.5, 100)
    assert set(found) == {None, (1, 2, 3), (4, 5, 6), (7, 8, 9)}


def test_a_case_without_organs_and_a_share_of_nought_name_none():
    assert set(draws(Organs([], []), 1.0, 10)) == {None}
    assert set(draws(Organs([[1, 2, 3]], []), 0.0, 10)) == {None}
