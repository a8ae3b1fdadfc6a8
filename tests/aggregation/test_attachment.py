"""What travels beside the weights: refused unless known, listed and of its form; then merged."""

from collections.abc import Mapping

import numpy as np
import pytest
from toy_attachment import mean_attachment

from fedvox.aggregation.attachment import (
    ATTACHMENTS,
    MOST_NUMBERS,
    check_attached,
    check_listed,
    leaving,
    merge_attached,
)
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.round import Round
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.update import Update
from fedvox.errors import ConfigError, UpdateRefused
from fedvox.networks.settings import NetworkSettings
from fedvox.privacy.forms import FormError

NETWORK = NetworkSettings("unet")


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setattr(ATTACHMENTS, "_entries", {"toy": mean_attachment()})


def toy_of(value: float, cases: int = 5) -> dict[str, Mapping[str, np.ndarray]]:
    return {"toy": {"mean": np.full(2, value, np.float32), "cases": np.array(cases)}}


def test_only_prototypes_may_travel(monkeypatch):
    monkeypatch.undo()
    assert list(ATTACHMENTS) == ["prototypes"]


WRONG = {
    "unknown": ({"Mueller": {}}, "an unknown attachment"),
    "no mapping": ([1], "an unknown attachment"),
    "an array short": ({"toy": {"mean": np.zeros(2)}}, "other arrays than 'toy' has"),
    "an array more": ({"toy": {**toy_of(0.5)["toy"], "Mueller": np.zeros(1)}}, "other arrays"),
    "words": ({"toy": {"mean": np.array(["a"]), "cases": np.array(9)}}, "no array of numbers"),
    "a list": ({"toy": {"mean": [0.5], "cases": np.array(9)}}, "no array of numbers"),
    "NaN": (toy_of(np.nan), "NaN or infinite values in 'toy'"),
    "too many": (
        {"toy": {"mean": np.zeros(MOST_NUMBERS, np.float32), "cases": np.array(9)}},
        "more numbers beside the weights",
    ),
    "out of range": (toy_of(1.5), "outside 0 to 1"),
    "few cases": (toy_of(0.5, cases=4), "fewer cases than 5"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_nothing_else_leaves_and_no_foreign_name_is_quoted(name):
    attached, reason = WRONG[name]
    with pytest.raises(FormError, match=reason) as caught:
        leaving(attached, ["toy"], 5)
    assert "Mueller" not in str(caught.value)


def test_what_the_site_does_not_list_stays():
    leaving(toy_of(0.5), ["toy"], 5)
    with pytest.raises(FormError, match="'toy', which 'attachments' of the site file does not"):
        leaving(toy_of(0.5), [], 5)


def test_the_server_asks_for_no_more_cases_than_one():
    check_attached(toy_of(0.5, cases=1))
    with pytest.raises(FormError, match="fewer cases than 1"):
        check_attached(toy_of(0.5, cases=0))


def test_sites_are_merged_in_the_order_of_their_names_and_who_brings_none_is_left_out():
    updates = {
        "b": Update(site="b", arrays={}, attached=toy_of(0.2, cases=1)),
        "a": Update(site="a", arrays={}, attached=toy_of(0.8, cases=2)),
        "c": Update(site="c", arrays={}),
    }
    memory = merge_attached(updates, Memory(numbers={"kept": 1}), NETWORK)
    assert memory.numbers == {"kept": 1, "toy_sites": ["a", "b"]}
    np.testing.assert_allclose(memory.arrays["toy.mean"], [0.6, 0.6])
    assert merge_attached({"c": updates["c"]}, memory, NETWORK) is memory


def test_a_round_screens_what_comes_and_remembers_it(tmp_path, model, update_of):
    current = Round(0, model, UpdateStore(tmp_path), RoundRules())
    current.accept(update_of("a", dict(model), attached=toy_of(0.25)))
    with pytest.raises(UpdateRefused, match="attachment: holds a mean outside 0 to 1"):
        current.accept(update_of("b", dict(model), attached=toy_of(-1.0)))
    record = current.close()[1]
    assert [entry["site"] for entry in record["contributors"]] == ["a"]
    np.testing.assert_array_equal(current.memory.arrays["toy.mean"], [0.25, 0.25])


def test_a_site_file_that_lists_an_unknown_attachment_is_told_the_known_ones(monkeypatch):
    check_listed(["toy"], "fedvox_site.json")
    with pytest.raises(ConfigError, match=r"'attachments' names 'tyo'; .*allowed: toy$"):
        check_listed(["toy", "tyo"], "fedvox_site.json")
    monkeypatch.setattr(ATTACHMENTS, "_entries", {})
    with pytest.raises(ConfigError, match="names 'toy'; this version has none, leave the list"):
        check_listed(["toy"], "fedvox_site.json")
