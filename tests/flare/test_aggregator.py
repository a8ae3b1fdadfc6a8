import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.model import make_model_learnable
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType

from fedvox.admission.registration import Registration
from fedvox.aggregation.refusals import MOST_REFUSALS
from fedvox.flare.aggregator import FedVoxAggregator
from fedvox.flare.run.messages import META

MODEL = {"w": np.zeros(4, np.float32)}
CLAIMS = {"round": 0, "cases": 2, "steps": 5, "validation": {"ct": [0.5, 1]}}


def arrays(value: float) -> dict[str, np.ndarray]:
    return {"w": np.full(4, value, np.float32)}


def answer(data: object, claims: object = CLAIMS, round_index: object = 0) -> Shareable:
    result = DXO(DataKind.WEIGHTS, data=data, meta={META: claims}).to_shareable()
    result.add_cookie(AppConstants.CONTRIBUTION_ROUND, round_index)
    return result


def odd_headers() -> Shareable:
    result = answer(arrays(9))
    result["__headers__"] = b""
    return result


@pytest.fixture
def aggregator(server) -> FedVoxAggregator:
    sites = ("bad", "good", "good-too", "site-1", "site-2")
    server.run().registered = {site: {"ct": 2} for site in sites}
    server.run().validation = {site: {"ct": 1} for site in sites}
    return FedVoxAggregator()


@pytest.fixture
def context(server, peer):
    def make(site: str = "site-1", round_index: int = 0):
        props = {
            AppConstants.CURRENT_ROUND: round_index,
            AppConstants.GLOBAL_MODEL: make_model_learnable(dict(MODEL), {}),
        }
        return server.context(peer=peer(site), **props)

    return make


def close(aggregator, context, server) -> tuple[dict[str, np.ndarray], dict]:
    model = from_shareable(aggregator.aggregate(context())).data
    return model, server.run().state.rounds()[-1]


def test_mean_of_the_updates_is_the_next_model_and_is_on_disk(aggregator, context, server):
    assert aggregator.accept(answer(arrays(1)), context("site-2"))
    assert aggregator.accept(answer(arrays(3)), context("site-1"))
    model, record = close(aggregator, context, server)
    np.testing.assert_array_equal(model["w"], np.full(4, 2.0))
    np.testing.assert_array_equal(server.run().state.load_last()["w"], model["w"])
    assert server.run().state.version == 1
    assert [entry["site"] for entry in record["contributors"]] == ["site-1", "site-2"]


BAD = {
    "late": (lambda: answer(arrays(9), round_index=-1), "stale: answers round -1, open is 0"),
    "early": (lambda: answer(arrays(9), round_index=1), "stale: answers round 1, open is 0"),
    "no round": (lambda: answer(arrays(9), round_index=None), "stale: answers round -1"),
    "odd round": (lambda: answer(arrays(9), round_index="x"), "stale: answers round -1"),
    "endless round": (lambda: answer(arrays(9), round_index=10**5000), "stale: answers round -1"),
    "no dxo": (lambda: Shareable(), "unreadable: ValueError"),
    "odd headers": (odd_headers, "unreadable: ValueError"),
    "nan": (lambda: answer(arrays(np.nan)), "not finite: 'w' holds 4"),
    "infinite": (lambda: answer(arrays(np.inf)), "not finite: 'w' holds 4"),
    "no claims": (lambda: answer(arrays(9), None), "claims 0 training cases"),
    "odd claims": (lambda: answer(arrays(9), [1]), "claims more than is known"),
    "unknown claim": (
        lambda: answer(arrays(9), CLAIMS | {"site": "somebody-else"}),
        "claims more than is known",
    ),
    "20 MB of modality": (
        lambda: answer(arrays(9), CLAIMS | {"modality": "ct" + ",ct" * 7_000_000}),
        "claims: 'modality' is not of its form",
    ),
    "modality of another job": (
        lambda: answer(arrays(9), CLAIMS | {"modality": "flair"}),
        "claims: 'modality' is not of its form",
    ),
    "Dice above one": (
        lambda: answer(arrays(9), CLAIMS | {"validation": {"ct": [1e9, 1]}}),
        "holds a validation Dice outside 0 to 1",
    ),
    "Dice of none": (
        lambda: answer(arrays(9), CLAIMS | {"validation": {"ct": [float("nan"), 1]}}),
        "holds a validation Dice outside 0 to 1",
    ),
    "share of waiting": (
        lambda: answer(arrays(9), CLAIMS | {"data_wait": 1e30}),
        "claims: 'data_wait' is not of its form",
    ),
    "true cases": (
        lambda: answer(arrays(9), CLAIMS | {"cases": True}),
        "claims: 'cases' is not of its form",
    ),
    "endless cases": (
        lambda: answer(arrays(9), CLAIMS | {"cases": float("inf")}),
        "claims: 'cases' is not of its form",
    ),
    "odd validation": (
        lambda: answer(arrays(9), CLAIMS | {"validation": {"ct": []}}),
        "holds unreadable validation scores",
    ),
    "many cases": (
        lambda: answer(arrays(9), CLAIMS | {"cases": 10**12}),
        "claims: 'cases' is not of its form",
    ),
    "broadcast": (lambda: answer({"w": np.ones(1, np.float32)}), r"shape: 'w' is (1,)"),
    "empty": (lambda: answer({"x": np.ones(4, np.float32)}), "schema: 1 tensors missing"),
    "list": (lambda: answer({"w": [9.0] * 4}), "schema: 'w' is no array"),
    "words": (lambda: answer({"w": np.array(["=cmd()"] * 4)}), "dtype: 'w' is str"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_update_is_refused_with_its_reason_and_the_round_goes_on(
    aggregator, context, server, name
):
    make, reason = BAD[name]
    assert aggregator.accept(answer(arrays(1)), context("good"))
    assert not aggregator.accept(make(), context("bad"))
    assert aggregator.accept(answer(arrays(2)), context("good-too"))
    model, record = close(aggregator, context, server)
    np.testing.assert_array_equal(model["w"], np.full(4, 1.5))
    assert [entry["site"] for entry in record["contributors"]] == ["good", "good-too"]
    ((site, recorded),) = [(entry["site"], entry["reason"]) for entry in record["refused"]]
    assert site == "bad"
    assert reason in recorded


def test_metrics_in_place_of_weights_are_refused(aggregator, context, server):
    result = DXO(DataKind.METRICS, data={"w": 1.0}, meta={META: CLAIMS}).to_shareable()
    result.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
    assert not aggregator.accept(result, context("bad"))
    assert close(aggregator, context, server)[1]["refused"][0]["reason"] == "unreadable: ValueError"


def test_second_update_of_a_site_is_refused(aggregator, context, server):
    assert aggregator.accept(answer(arrays(1)), context())
    assert not aggregator.accept(answer(arrays(5)), context())
    model, record = close(aggregator, context, server)
    np.testing.assert_array_equal(model["w"], np.ones(4))
    assert record["refused"][0]["reason"].startswith("duplicate")


def test_cases_are_held_against_the_handshake(aggregator, context, server):
    server.run().registered = {"site-1": {"ct": 1}}
    assert not aggregator.accept(answer(arrays(1)), context())
    assert "registered 1" in close(aggregator, context, server)[1]["refused"][0]["reason"]


def test_a_restarted_site_s_claims_are_held_against_what_it_holds_now(aggregator, context, server):
    own = Registration("1", "x", modalities=("ct",), training={"ct": 3}, validation={"ct": 1})
    server.run().admitted = {"site-1": own}
    wrong = answer(arrays(9), CLAIMS | {"modality": "mr"})
    assert not aggregator.accept(wrong, context())
    assert aggregator.accept(answer(arrays(1), CLAIMS | {"cases": 3, "modality": "ct"}), context())
    (entry,) = close(aggregator, context, server)[1]["contributors"]
    assert entry["reason"] == "2 training cases"


def test_round_without_usable_update_keeps_the_model(aggregator, context, server):
    assert not aggregator.accept(answer(arrays(np.nan)), context())
    model, record = close(aggregator, context, server)
    np.testing.assert_array_equal(model["w"], MODEL["w"])
    assert record["contributors"] == []
    assert server.run().state.version == 1


def test_many_refusals_of_a_site_do_not_fill_the_record(aggregator, context, server):
    for index in range(1, 100):
        assert not aggregator.accept(answer(arrays(9), round_index=index), context("bad"))
    assert not aggregator.accept(answer(arrays(np.nan)), context("other"))
    refused = close(aggregator, context, server)[1]["refused"]
    assert [entry["site"] for entry in refused].count("bad") == MOST_REFUSALS
    assert refused[-1]["site"] == "other"


def test_next_round_starts_empty(aggregator, context, server):
    aggregator.accept(answer(arrays(1)), context())
    aggregator.aggregate(context())
    aggregator.reset(context())
    later = context(round_index=1)
    assert aggregator.accept(answer(arrays(2), round_index=1), later)
    model = from_shareable(aggregator.aggregate(later)).data
    np.testing.assert_array_equal(model["w"], np.full(4, 2.0))
    assert [entry["round"] for entry in server.run().state.rounds()] == [0, 1]


def test_duration_of_a_round_counts_from_its_start(aggregator, context, server, monkeypatch):
    seconds = iter([100.0, 130.0, 142.5])  # start, answer, end
    monkeypatch.setattr("fedvox.aggregation.round.time.monotonic", lambda: next(seconds))
    aggregator.handle_event(AppEventType.ROUND_STARTED, context())
    aggregator.accept(answer(arrays(1)), context())
    record = close(aggregator, context, server)[1]
    assert record["seconds"] == 42.5
    assert record["contributors"][0]["answer_seconds"] == 30.0


@pytest.mark.parametrize(("claimed", "kept"), [(0.25, 0.25), (None, None), (float("nan"), None)])
def test_a_claimed_share_of_waiting_is_one_or_nothing(aggregator, context, server, claimed, kept):
    aggregator.accept(answer(arrays(1), CLAIMS | {"data_wait": claimed}), context())
    (entry,) = close(aggregator, context, server)[1]["contributors"]
    assert entry["data_wait"] == kept
