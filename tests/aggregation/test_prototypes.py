"""Prototypes: what leaves a site, what the server takes, and the mean that it makes of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fedvox.aggregation.attachment import (
    attached_tensors,
    check_attached,
    leaving,
    merge_attached,
    screen_attached,
)
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.prototypes import (
    CASES,
    LARGEST,
    MODALITY,
    MOST_VOXELS,
    SUMS,
    VOXELS,
    check,
    cut,
    merge,
    no_prototypes,
    tensors,
)
from fedvox.aggregation.update import Update
from fedvox.data.organs import MODALITIES
from fedvox.errors import UpdateRefused
from fedvox.networks.mixmodal_settings import MixModalSettings
from fedvox.networks.settings import NetworkSettings
from fedvox.privacy.forms import FormError

CLASSES, WIDTH = 2, 3
NETWORK = MixModalSettings()
HELD = ("t1", "flair")
TRAINED = dict.fromkeys(HELD, 10**9)
MODEL = {f"memory.{name}": np.zeros((CLASSES, WIDTH), np.float32) for name in HELD} | {
    f"tailored.{name}.w": np.zeros(1, np.float32) for name in HELD
}


def told(modality="t1", value=2.0, voxels=8.0, cases=5, classes=(0, 1)) -> dict[str, np.ndarray]:
    """The arrays of a site with one modality and the same mean in some classes."""
    arrays = no_prototypes(1, CLASSES, WIDTH)
    arrays[MODALITY][0] = MODALITIES.index(modality)
    for place in classes:
        arrays[SUMS][0, place], arrays[VOXELS][0, place] = value * voxels, voxels
        arrays[CASES][0, place] = cases
    return arrays


def changed(**own: object) -> dict[str, np.ndarray]:
    return told() | {name: np.asarray(array) for name, array in own.items()}


def known(memory: Memory, modality: str = "t1") -> np.ndarray:
    return tensors(memory)[f"memory.{modality}"]


@st.composite
def federations(draw):
    """Site -> arrays, honest in form; some modalities and classes untold."""
    found = {}
    for site in draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=4, unique=True)):
        held = draw(st.lists(st.sampled_from(range(len(MODALITIES))), max_size=2, unique=True))
        arrays = no_prototypes(len(held), CLASSES, WIDTH)
        arrays[MODALITY][:] = held
        shape = (len(held), CLASSES)
        arrays[CASES] = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 9)))
        voxels = draw(hnp.arrays(np.float64, shape, elements=st.floats(0.5, 1e6)))
        means = draw(hnp.arrays(np.float64, (*shape, WIDTH), elements=st.floats(-50, 50)))
        arrays[VOXELS] = voxels * (arrays[CASES] > 0)
        arrays[SUMS] = means * arrays[VOXELS][..., None]
        found[site] = arrays
    return found


def pooled(sites, modality: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums and voxels of a modality over all sites."""
    rows = [
        (own[SUMS][row], own[VOXELS][row])
        for own in sites.values()
        for row, place in enumerate(own[MODALITY])
        if place == modality
    ]
    sums, voxels = np.zeros((CLASSES, WIDTH)), np.zeros(CLASSES)
    return sum((s for s, _ in rows), sums), sum((v for _, v in rows), voxels)


@given(federations())
def test_the_first_round_is_the_mean_over_all_sites_voxels(sites):
    for own in sites.values():
        check(own, 1)
    found = tensors(merge(sites, Memory(), NETWORK))
    for place, name in enumerate(MODALITIES):
        sums, voxels = pooled(sites, place)
        rows = found.get(f"memory.{name}", np.zeros((CLASSES, WIDTH)))
        mean = sums / np.maximum(voxels, 1e-9)[:, None]
        np.testing.assert_allclose(rows, mean * (voxels > 0)[:, None], rtol=1e-9, atol=1e-9)


@given(federations(), st.randoms(use_true_random=False))
def test_the_order_in_which_sites_answer_changes_no_bit(sites, random):
    names = list(sites)
    random.shuffle(names)
    memories = [
        merge_attached(
            {s: Update(site=s, arrays={}, attached={"prototypes": sites[s]}) for s in order},
            Memory(),
            NETWORK,
        )
        for order in (list(sites), names)
    ]
    first, other = (memory.arrays for memory in memories)
    assert {n: a.tobytes() for n, a in first.items()} == {n: a.tobytes() for n, a in other.items()}


def test_later_rounds_keep_a_share_of_the_old_value_and_what_nobody_tells():
    memory = merge({"a": told(value=10.0, classes=(0,))}, Memory(numbers={"kept": 1}), NETWORK)
    np.testing.assert_allclose(known(memory), [[10] * 3, [0] * 3])
    memory = merge({"a": told(value=20.0)}, memory, NETWORK)
    # 0.9 of the old and 0.1 of the new; the other class is told for the first time
    np.testing.assert_allclose(known(memory), [[11] * 3, [20] * 3])
    before = known(memory)
    memory = merge({"b": told("flair", value=1.0, classes=(1,))}, memory, NETWORK)
    np.testing.assert_array_equal(known(memory), before)
    memory = merge({"b": told(value=0.0, classes=(1,))}, memory, NETWORK)
    np.testing.assert_allclose(known(memory), [[11] * 3, [18] * 3])
    assert memory.numbers == {"kept": 1} and set(tensors(memory)) == {"memory.t1", "memory.flair"}


@pytest.mark.parametrize("network", [NetworkSettings("unet"), MixModalSettings(prototypes=False)])
def test_a_job_without_a_memory_remembers_nothing(network):
    memory = Memory(numbers={"kept": 1})
    assert merge({"a": told()}, memory, network) is memory


@given(federations(), st.integers(1, 9))
def test_cut_leaves_out_exactly_what_too_few_cases_stand_behind(sites, least):
    for own in sites.values():
        kept, enough = cut(own, least), own[CASES] >= least
        check(kept, least)
        for name in (SUMS, VOXELS, CASES):
            np.testing.assert_array_equal(kept[name][enough], own[name][enough])
            assert not kept[name][~enough].any()
        np.testing.assert_array_equal(kept[MODALITY], own[MODALITY])
        if (own[CASES] > 0)[~enough].any():
            with pytest.raises(FormError, match=f"fewer cases than {least}"):
                check(own, least)


def test_a_site_sends_what_its_own_policy_allows():
    own = {"prototypes": told(cases=4)}
    assert not leaving(own, ["prototypes"], 5)["prototypes"][SUMS].any()
    kept = leaving(own, ["prototypes"], 4)["prototypes"]
    np.testing.assert_array_equal(kept[SUMS], own["prototypes"][SUMS])


BIG = np.full((1, CLASSES, WIDTH), np.iinfo(np.int64).min)
WRONG = {
    "modality of no axis": ({MODALITY: np.int64(2)}, "other shapes"),
    "two modalities, one row": ({MODALITY: [2, 3]}, "other shapes"),
    "sums without a width": ({SUMS: np.zeros((1, CLASSES))}, "other shapes"),
    "voxels of another class": ({VOXELS: np.zeros((1, CLASSES + 1))}, "other shapes"),
    "cases of no axis": ({CASES: np.int64(5)}, "other shapes"),
    "a modality in fractions": ({MODALITY: [2.0]}, "no whole numbers"),
    "cases in fractions": ({CASES: np.full((1, CLASSES), 5.0)}, "no whole numbers"),
    "an unknown modality": ({MODALITY: [len(MODALITIES)]}, "twice, or of none"),
    "a negative modality": ({MODALITY: [-1]}, "twice, or of none"),
    "voxels below nought": ({VOXELS: np.full((1, CLASSES), -8.0)}, "less than nothing"),
    "cases below nought": ({CASES: np.full((1, CLASSES), -5)}, "less than nothing"),
    "no voxels": ({VOXELS: np.zeros((1, CLASSES))}, "fewer cases than 1"),
    "no cases": ({CASES: np.zeros((1, CLASSES), int)}, "fewer cases than 1"),
    "too large": ({SUMS: np.full((1, CLASSES, WIDTH), 8.1 * LARGEST)}, "beyond"),
    "the smallest whole number": ({SUMS: BIG}, "beyond"),
    "beyond float64": (
        {
            n: np.full((1, CLASSES, *s), np.longdouble("1e400"))
            for n, s in ((SUMS, (3,)), (VOXELS, ()))
        },
        "beyond",
    ),
    "objects": ({SUMS: np.full((1, CLASSES, WIDTH), None)}, "no array of numbers"),
    "truths": ({VOXELS: np.ones((1, CLASSES), bool)}, "no array of numbers"),
    "complex": ({VOXELS: np.ones((1, CLASSES), complex)}, "no array of numbers"),
    "NaN": ({SUMS: np.full((1, CLASSES, WIDTH), np.nan)}, "NaN or infinite"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_form_is_refused_at_the_site_and_at_the_server(name):
    own, reason = WRONG[name]
    attached = {"prototypes": changed(**own)}
    with pytest.raises(FormError, match=reason):
        check_attached(attached)
    with pytest.raises(UpdateRefused, match=f"attachment: .*{reason}"):
        screen_attached(attached, MODEL, TRAINED)


def test_a_modality_twice_is_refused():
    twice = {name: np.concatenate([array, array]) for name, array in told().items()}
    with pytest.raises(FormError, match="twice, or of none"):
        check(twice, 1)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        (told("flair"), "prototypes of flair, which the site does not train"),
        (told(cases=6), "prototypes of 6 cases of t1, registered 5"),
        (told("ct"), "prototypes of ct that the model has no place for"),
        (
            {MODALITY: np.int64([2]), SUMS: np.zeros((1, 2, 9)), VOXELS: np.zeros((1, 2))}
            | {CASES: np.zeros((1, 2), int)},
            "prototypes of t1 that the model has no place for",
        ),
    ],
    ids=["not the site's", "more cases", "not the job's", "another width"],
)
def test_prototypes_are_of_the_model_and_of_the_site_s_own_modalities(arrays, reason):
    with pytest.raises(UpdateRefused, match=reason):
        screen_attached({"prototypes": arrays}, MODEL, {"t1": 5, "flair": 0})
    screen_attached({"prototypes": told()}, MODEL, {"t1": 5, "flair": 0})
    screen_attached({"prototypes": told("flair")}, MODEL, None)


KINDS = st.sampled_from(
    ["f2", "f4", "f8", "g", "i1", "i4", "i8", "u1", "u8", "?", "O", "c16", "U3"]
)


@st.composite
def hostile(draw):
    """Arrays of the right names with anything in them, often of the right shape."""
    rows = draw(st.integers(0, 2))
    shapes = {
        MODALITY: (rows,),
        SUMS: (rows, CLASSES, WIDTH),
        VOXELS: (rows, CLASSES),
        CASES: (rows, CLASSES),
    }
    found = {}
    for name, right in shapes.items():
        kind = draw(KINDS if draw(st.integers(0, 5)) == 0 else st.sampled_from(["i8", "f8", "i4"]))
        shape = (
            draw(hnp.array_shapes(min_dims=0, max_side=3))
            if draw(st.integers(0, 5)) == 0
            else right
        )
        if np.dtype(kind).kind == "O":
            found[name] = np.full(shape, draw(st.sampled_from([None, "x", 10**400])), object)
            continue
        found[name] = draw(hnp.arrays(np.dtype(kind), shape))
        if name in (MODALITY, CASES) and draw(st.booleans()):
            found[name] = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 6)))
    return found


@given(hostile())
def test_whatever_a_site_sends_is_refused_or_stays_plausible(arrays):
    """No other exception, and no number in the model that no mean can be."""
    try:
        screen_attached({"prototypes": arrays}, MODEL, TRAINED)
    except UpdateRefused:
        return
    memory = merge({"a": arrays, "b": told()}, Memory(), NETWORK)
    for rows in attached_tensors(memory, MODEL).values():
        assert np.isfinite(rows).all() and np.abs(rows).max(initial=0) <= LARGEST * (1 + 1e-6)


def test_a_site_that_claims_huge_counts_weighs_no_more_than_the_most_there_can_be():
    loud = told(value=1.0, voxels=1e300)
    check(loud, 1)
    memory = merge({"a": loud, "b": told(value=3.0, voxels=5 * MOST_VOXELS)}, Memory(), NETWORK)
    np.testing.assert_allclose(known(memory), np.full((CLASSES, WIDTH), 2.0))


def test_the_memory_is_float64_whatever_a_site_sends():
    """A type that no file can hold would end the run when the round is written."""
    sent = {"a": changed(sums=told()[SUMS].astype(np.longdouble))}
    check(sent["a"], 5)
    assert merge(sent, Memory(), NETWORK).arrays["prototypes.t1"].dtype == np.float64
