"""A round of encrypted updates: bounded weights, the mean, and a record that says what it is."""

import dataclasses

import numpy as np
import pytest
import tenseal
from sealing import make_keys

from fedvox.admission.registration import Registration
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.sealed_round import UNSEEN, SealedRound
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.weighing.share import Share
from fedvox.encryption.cipher import _packed, _parts, is_sealed, seal, unseal
from fedvox.errors import UpdateRefused

COUNT = 9
KEYS = make_keys()
REGISTERED = {"a": {"ct": 10}, "b": {"ct": 30}}


@pytest.fixture
def opened(model, tmp_path):
    """A function that opens a round."""

    def make(index=0, received=None, **options):
        rules = RoundRules("cases", steps=10)
        store = UpdateStore(tmp_path / "incoming")
        sent = model if received is None else received
        return SealedRound(KEYS.server, COUNT, index, sent, store, rules, REGISTERED, **options)

    return make


@pytest.fixture
def hidden(model, update_of):
    """A function to a site's encrypted update, all of whose weights are one number."""

    def make(site, value, **claims):
        arrays = {name: np.full_like(array, value) for name, array in model.items()}
        mine = {"cases": sum(REGISTERED[site].values()), "modality": "ct", **claims}
        return update_of(site, seal(arrays, KEYS.site), **mine)

    return make


def test_updates_are_weighed_unseen_by_what_their_sites_registered(opened, hidden, model):
    current = opened()
    current.accept(hidden("a", 1.0))
    current.accept(hidden("b", 5.0))
    following, record = current.close()
    assert is_sealed(following)
    assert unseal(following, model, KEYS.site)["weight"] == pytest.approx(4.0, abs=1e-5)
    parts = record["contributors"]
    assert [part["weight"] for part in parts] == [0.25, 0.75]
    assert [part["update_norm"] for part in parts] == [None, None]
    assert record["notes"] == [UNSEEN]


def test_the_next_round_starts_from_the_sealed_model(opened, hidden, model):
    first = opened()
    first.accept(hidden("a", 1.0))
    following, _ = first.close()
    second = opened(1, following)
    second.accept(hidden("a", 2.0, round=1))
    last, record = second.close()
    assert unseal(last, model, KEYS.site)["bias"] == pytest.approx(2.0, abs=1e-5)
    assert record["notes"] == []
    third = opened(2, last)
    kept, record = third.close()
    assert record["contributors"] == []
    assert all(np.array_equal(kept[name], last[name]) for name in last)


def test_a_round_without_updates_leaves_the_first_model(opened, model):
    following, _ = opened().close()
    assert set(following) == set(model)


def test_a_mean_that_cannot_be_taken_leaves_the_model_and_says_why(opened, hidden, model):
    """Two sites that cancel out: TenSEAL sends no ciphertext of nothing."""
    current, own = opened(), hidden("a", 1.0)
    current.accept(own)
    context, part = KEYS.site, next(iter(_parts(own.arrays)))
    negated = tenseal.ckks_vector_from(context, part) * -1.0
    with pytest.raises(UpdateRefused):  # it was multiplied before
        current.accept(dataclasses.replace(own, site="b", arrays=_packed([negated.serialize()])))
    current.weigh = lambda *known: ({"a": Share(1e-20, "", {}), "b": Share(1.0, "", {})}, Memory())
    current.accept(hidden("b", 5.0))
    following, record = current.close()
    assert set(following) == set(model) and record["contributors"] == []
    assert {entry["site"] for entry in record["refused"]} == {"a", "b"}
    assert "the round's mean cannot be taken" in record["refused"][-1]["reason"]


@pytest.mark.parametrize("plain", [True, False])
def test_going_back_gives_the_earlier_model_sealed_or_not(
    opened, hidden, model, monkeypatch, plain
):
    first = opened()
    first.accept(hidden("a", 1.0))
    sealed, _ = first.close()
    earlier = dict(model) if plain else sealed
    current = opened(1, seal(model, KEYS.site), best=lambda: earlier)
    monkeypatch.setattr(current, "_earlier", lambda: earlier)
    following, record = current.close()
    assert record["rolled_back"] and set(following) == set(earlier)
    assert all(np.array_equal(following[name], earlier[name]) for name in earlier)


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"cases": 11}, "claims 11 training cases"),
        ({"steps": 10**7}, "steps"),
        ({"round": 3}, "stale"),
    ],
)
def test_claims_are_screened_as_always(opened, hidden, claims, told):
    with pytest.raises(UpdateRefused, match=told):
        opened().accept(hidden("a", 1.0, **claims))


def test_what_is_not_sealed_is_refused(opened, update_of, model):
    current = opened()
    with pytest.raises(UpdateRefused, match="encrypted: not an encrypted model"):
        current.accept(update_of("a", model, modality="ct"))
    _, record = current.close()
    assert record["refused"][0]["site"] == "a"


def test_a_site_that_did_not_register_has_no_weight(opened, hidden, update_of):
    arrays = hidden("a", 1.0).arrays
    with pytest.raises(UpdateRefused, match="not registered"):
        opened().accept(update_of("c", arrays), Registration("0", "0"))
