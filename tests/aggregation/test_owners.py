"""Tensors that some sites do not own: who counts in their mean, and what a site must send."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.aggregation.mean import owner_shares, weighted_mean
from fedvox.aggregation.round import Round
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.update import Update
from fedvox.errors import UpdateRefused

MODEL = {
    "shared": np.float32([1, 1]),
    "tailored.ct": np.float32([2]),
    "tailored.mr": np.float32([3]),
}
TRAVELLING = {
    "a": frozenset({"shared", "tailored.ct"}),
    "b": frozenset({"shared", "tailored.ct"}),
    "c": frozenset({"shared", "tailored.mr"}),
}
WEIGHTS = st.dictionaries(st.sampled_from("abcd"), st.floats(0.1, 1e3), min_size=1)
OWNED = st.dictionaries(st.sampled_from("abcd"), st.frozensets(st.sampled_from(list(MODEL))))


@given(WEIGHTS, OWNED)
def test_shares_of_a_tensor_are_its_owners_and_sum_to_one(weights, owned):
    shares = owner_shares(weights, owned)
    for name in MODEL:
        owners = [site for site in weights if name in owned.get(site, MODEL)]
        assert list(shares(name)) == owners
        if owners:
            mean = weighted_mean({name: np.zeros(1)}, lambda *_: np.ones(1), shares)[name]
            # a sum of at most 4 rounded shares of 1 is off by at most 4 ulp
            np.testing.assert_allclose(mean, 1.0, rtol=0, atol=4 * 2.3e-16)


@given(WEIGHTS, st.integers(0, 2**32 - 1))
def test_where_every_site_owns_all_the_mean_is_the_plain_one_bit_for_bit(weights, seed):
    random = np.random.default_rng(seed)
    sent = {
        s: {n: random.normal(size=a.shape).astype("f4") for n, a in MODEL.items()} for s in "abcd"
    }
    total = sum(weights[site] for site in sorted(weights))
    everybody = {site: frozenset(MODEL) for site in weights}
    for travelling in (None, {}, everybody):
        shares = owner_shares(weights, travelling)
        mean = weighted_mean(MODEL, lambda site, name: sent[site][name], shares)
        for name in MODEL:
            plain = np.zeros(MODEL[name].shape)
            for site in sorted(weights):
                plain += (weights[site] / total) * sent[site][name].astype(np.float64)
            assert mean[name].tobytes() == plain.astype(np.float32).tobytes()


def update(site: str, cases: int = 1, **more: float) -> Update:
    value = {"a": 4, "b": 8, "c": 16}[site]
    names = sorted(TRAVELLING[site])
    arrays = {name: np.full_like(MODEL[name], value) for name in names}
    arrays |= {name: np.float32([number]) for name, number in more.items()}
    return Update(site=site, round=0, arrays=arrays, cases=cases, steps=1)


@pytest.fixture
def open_round(tmp_path):
    def make(**options) -> Round:
        own = {f.name: options.pop(f.name) for f in fields(RoundRules) if f.name in options}
        store = UpdateStore(tmp_path / "incoming")
        return Round(0, MODEL, store, RoundRules(**own), travelling=TRAVELLING, **options)

    return make


def test_a_tensor_is_averaged_over_its_owners_by_their_weights(open_round):
    current = open_round()
    for own in (update("a", 3), update("b", 1), update("c", 4)):
        current.accept(own)
    model, record = current.close()
    np.testing.assert_array_equal(model["tailored.ct"], [(3 * 4 + 8) / 4])
    np.testing.assert_array_equal(model["tailored.mr"], [16])
    np.testing.assert_array_equal(model["shared"], np.full(2, (3 * 4 + 8 + 4 * 16) / 8))
    assert list(model) == list(MODEL)
    assert [entry["weight"] for entry in record["contributors"]] == [3 / 8, 1 / 8, 4 / 8]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_tensor_without_an_owner_in_the_round_stays_as_it_was(open_round, momentum):
    current = open_round(momentum=momentum)
    current.accept(update("c"))
    model, _ = current.close()
    np.testing.assert_array_equal(model["tailored.ct"], MODEL["tailored.ct"])
    np.testing.assert_array_equal(model["tailored.mr"], [16])


def test_momentum_of_a_tensor_rests_while_nobody_sends_it(open_round, tmp_path):
    first = open_round(momentum=0.5)
    for own in (update("a"), update("c")):
        first.accept(own)
    first.close()
    second = open_round(momentum=0.5, memory=first.memory)
    second.accept(update("c"))
    model, _ = second.close()
    np.testing.assert_array_equal(model["tailored.ct"], MODEL["tailored.ct"])
    before, after = first.memory.arrays, second.memory.arrays
    np.testing.assert_array_equal(after["momentum.tailored.ct"], before["momentum.tailored.ct"])


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (update("a", **{"tailored.mr": 9.0}), "schema: 0 tensors missing, 1 unknown"),
        (
            Update(site="c", round=0, arrays={"shared": MODEL["shared"]}, cases=1, steps=1),
            "schema: 1 tensors missing, 0 unknown",
        ),
    ],
    ids=["not its own", "without its own"],
)
def test_a_site_must_send_exactly_what_it_owns(open_round, own, reason):
    current = open_round()
    with pytest.raises(UpdateRefused, match=reason):
        current.accept(own)
    assert current.refusals.entries == [{"site": own.site, "reason": reason}]


def test_the_norm_of_an_update_is_that_of_the_tensors_that_were_sent(open_round):
    current = open_round()
    current.accept(update("a"))
    _, record = current.close()
    # shared moves from 1 to 4 twice, tailored.ct from 2 to 4
    assert record["contributors"][0]["update_norm"] == pytest.approx((9 + 9 + 4) ** 0.5)
