import numpy as np
import pytest

from fedvox.data.quality.names import (
    LEAST_CASES,
    name_quality,
    names_by_channels,
    profiles_of,
)


def case(seed, swap=False):
    """Two organs of other brightness side by side, on a scan of its own gain."""
    rng = np.random.default_rng(seed)
    label = np.zeros((12, 12, 12), np.uint8)
    label[1:5, 2:8, 2:8], label[6:10, 2:8, 2:8] = 1, 2
    image = rng.uniform(0.95, 1.05) * (0.2 * (label == 1) + 0.5 * (label == 2))[None]
    image = image + 0.02 * rng.normal(size=image.shape)
    return profiles_of(image, np.where(label, 3 - label, 0) if swap else label, 2)


def test_a_profile_is_the_medians_of_the_channels_and_the_place_beside_the_other_organs():
    label = np.zeros((6, 8, 8), np.uint8)
    label[:2], label[4:] = 1, 2
    image = np.stack([label / 10.0, 1 - label / 10.0])
    found = profiles_of(image, label, 2)
    assert np.allclose(found[1], [0.1, 0.9, -2, 0, 0]) and np.allclose(found[2][2:], [2, 0, 0])


def test_cases_whose_names_were_exchanged_are_found_and_no_others():
    swapped = [turn % 4 == 1 for turn in range(12)]
    told = name_quality([case(turn, swap) for turn, swap in enumerate(swapped)])
    assert told == [0.0 if swap else 1.0 for swap in swapped]


@pytest.mark.parametrize(
    "cases",
    [
        [case(seed) for seed in range(LEAST_CASES - 1)],
        [{1: case(seed)[1]} for seed in range(8)],
        [{} for _ in range(8)],
        [],
    ],
)
def test_nothing_is_said_of_few_cases_or_of_one_organ(cases):
    assert name_quality(cases) == [None] * len(cases)


def test_a_case_without_organs_is_not_judged_by_the_others():
    told = name_quality([*(case(seed) for seed in range(6)), {}])
    assert told == [1.0] * 6 + [None]


def test_organs_that_look_alike_are_told_apart_by_their_places():
    def kidneys(seed):
        return {name: own * np.array([0.0, 1, 1, 1]) for name, own in case(seed).items()}

    assert name_quality([kidneys(seed) for seed in range(6)]) == [1.0] * 6


def test_a_case_that_lacks_a_channel_is_held_against_all_that_have_the_others():
    rng = np.random.default_rng(0)
    contrasts = {1: (0.2, 0.5), 2: (0.8, 0.5)}  # organs differ in the first channel only
    place = {1: np.full(3, -2.0), 2: np.full(3, 2.0)}

    def profile(*shown: int, swap: bool = False) -> dict[int, np.ndarray]:
        own = {}
        for value in (1, 2):
            seen = np.array(contrasts[3 - value if swap else value])[list(shown)]
            where = place[3 - value if swap else value] + rng.normal(0, 0.1, 3)
            own[value] = np.concatenate([seen + rng.normal(0, 0.02, len(shown)), where])
        return own

    sets = ["t1+t2"] * 6 + ["t1", "t1", "t2"]
    profiles = [profile(0, 1) for _ in range(6)]
    profiles += [profile(0, swap=True), profile(0), profile(1, swap=True)]
    assert names_by_channels(sets, profiles) == [1.0] * 6 + [0.0, 1.0, 0.0]
    assert name_quality(profiles[6:8]) == [None, None]  # by their like alone nothing is known


def test_cases_of_two_modalities_are_not_held_against_each_other():
    cases = [case(turn, swap=turn == 1) for turn in range(6)]
    alone = name_quality(cases)
    assert names_by_channels(["ct"] * 6, cases) == alone
    turned = [{value: 1 - own for value, own in case(turn).items()} for turn in range(6)]
    assert (
        names_by_channels(["ct", "mr"] * 6, [c for p in zip(cases, turned) for c in p])[::2]
        == alone
    )
