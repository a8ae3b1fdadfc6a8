"""The site's filter between executor and server, and the refusal to work without it."""

from itertools import pairwise

import numpy as np
import pytest
from metric_values import scores
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_constant import FilterKey, FLContextKey, ReturnCode
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.app_common.app_constant import AppConstants
from nvflare.private.privacy_manager import Scope

from fedvox.errors import ConfigError
from fedvox.flare.outgoing import OutgoingFilter, check_policy
from fedvox.flare.received import ReceivedModel
from fedvox.flare.run.messages import FAILURE, META
from fedvox.flare.run.statistics import EDGES, TASKS, pack, unpack
from fedvox.metrics.table import MetricRow, to_dict

MODEL = {"a": np.zeros(2, np.float32)}


@pytest.fixture
def site(party):
    """A site that was sent a model of one tensor."""
    made = party("site-1")
    ReceivedModel().process(sent(DataKind.WEIGHTS, MODEL), made.context())
    return made


def sent(kind: str, data: object, **meta: object) -> Shareable:
    return DXO(kind, data=data, meta=meta).to_shareable()


def fingerprint(cases: int, feature: str = "spacing_r") -> dict[str, object]:
    """Statistics of a plan run: so many CT cases of 1 mm."""
    edges = EDGES.get(feature, [0.0, 1.0])
    bins = [(low, high, 0.0) for low, high in pairwise(edges)]
    bins[len(bins) // 2] = (*bins[len(bins) // 2][:2], float(cases))
    counts = {"count": cases, "failure_count": 0, "histogram": bins}
    return pack(TASKS[1], {name: {"ct": {feature: value}} for name, value in counts.items()})


def test_a_fingerprint_of_enough_cases_passes(site):
    result = sent(DataKind.STATISTICS, fingerprint(5), note="MUELLER")
    passed = from_shareable(OutgoingFilter().process(result, site.context()))
    assert passed.meta.get("note") is None
    _, statistics = unpack(passed.data)
    assert statistics["count"] == {"ct": {"spacing_r": 5}}
    assert sum(n for _, _, n in statistics["histogram"]["ct"]["spacing_r"]) == 5


def test_the_policy_s_minimum_takes_out_smaller_fingerprints(site):
    for cases, minimum in ((4, 5), (19, 20)):
        result = sent(DataKind.STATISTICS, fingerprint(cases))
        passed = OutgoingFilter(min_cases=minimum).process(result, site.context())
        _, statistics = unpack(from_shareable(passed).data)
        assert statistics["count"] == {"ct": {"spacing_r": 0}}
        assert statistics["histogram"] == {"ct": {}}


def test_a_filter_that_runs_again_changes_nothing(site):
    once = OutgoingFilter().process(sent(DataKind.STATISTICS, fingerprint(4)), site.context())
    first = unpack(from_shareable(once).data)
    again = OutgoingFilter().process(once, site.context())
    assert unpack(from_shareable(again).data) == first


@pytest.mark.parametrize("value", [0, "5", 2.5, None])
def test_a_minimum_that_is_none_stops_the_site(value):
    with pytest.raises(ConfigError, match="'min_cases' is"):
        OutgoingFilter(min_cases=value)


def test_weights_with_claims_pass(site):
    result = sent(DataKind.WEIGHTS, {"a": np.ones(2, np.float32)}, **{META: {"cases": 3}})
    passed = from_shareable(OutgoingFilter().process(result, site.context()))
    assert passed.data["a"] is from_shareable(result).data["a"]
    assert passed.meta == {META: {"cases": 3}}


def test_what_nobody_looked_at_stays(site):
    result = sent(DataKind.WEIGHTS, {"a": np.zeros(2, np.float32)}, other=b"scan")
    result["extra"] = b"scan"
    result.set_header("note", "/data/MUELLER")
    assert b"scan" in str(dict(result)).encode()
    passed = OutgoingFilter().process(result, site.context())
    assert "scan" not in str(dict(passed))
    assert "MUELLER" not in str(dict(passed))


@pytest.mark.parametrize(
    "result",
    [
        sent(DataKind.WEIGHTS, {"a": "text"}),
        sent(DataKind.WEIGHTS, MODEL, **{META: {"name": "x"}}),
        sent(DataKind.WEIGHTS, {**MODEL, "b": np.zeros(2, np.float32)}),
        sent(DataKind.WEIGHTS, {"a": np.zeros(3, np.float32)}),
        sent(DataKind.WEIGHTS, {"a": np.zeros(2)}),
        sent(DataKind.METRICS, {"thumbnail": 1}),
        sent(DataKind.STATISTICS, {"Mueller": 1}),
        sent(DataKind.STATISTICS, fingerprint(5) | {"extra": b"scan"}),
        sent(DataKind.STATISTICS, fingerprint(5, "Mueller")),
        sent(DataKind.COLLECTION, {"x": DXO(DataKind.METRICS, data={"a": 1})}),
        Shareable({"raw": "x"}),
    ],
)
def test_everything_else_is_refused(site, result):
    with pytest.raises(ConfigError, match="nothing was sent"):
        OutgoingFilter().process(result, site.context())


def test_a_failed_task_passes(party):
    reply = make_reply(ReturnCode.EMPTY_RESULT)
    reply["leak"] = b"scan"
    passed = OutgoingFilter().process(reply, party("site-1").context())
    assert passed.get_return_code() == ReturnCode.EMPTY_RESULT
    assert "leak" not in passed


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ("ModelError at weights.py:12", "ModelError at weights.py:12"),
        ("KeyError", "KeyError"),
        ("KeyError at mueller.py:12", "KeyError"),
        ("Mueller", None),
        ("KeyError: Mueller", None),
        ("KeyError at weights.py:12 Mueller", None),
        (["KeyError"], None),
        (None, None),
    ],
)
def test_of_a_failure_only_its_known_kind_and_place_leave(party, told, left):
    reply = make_reply(ReturnCode.EXECUTION_EXCEPTION)
    reply.set_header(FAILURE, told)
    passed = OutgoingFilter().process(reply, party("site-1").context())
    assert passed.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    assert passed.get_header(FAILURE) == left


def test_an_unknown_return_code_carries_no_text(party):
    reply = make_reply("MUELLER")
    passed = OutgoingFilter().process(reply, party("site-1").context())
    assert passed.get_return_code() == ReturnCode.EXECUTION_EXCEPTION


def evaluation(site: str, model: str) -> Shareable:
    """A report as a site makes it, of one case."""
    row = MetricRow(model, site, "test", "ct", "3f9a3f9a", "liver", scores(0.5, 4.0, 0.75), 100)
    data = {"validation": {"ct": [0.5, 1]}, "rows": [to_dict(row)], "shared": []}
    return sent(DataKind.METRICS, data)


def evaluating(party, name: str, owner: str):
    """A site that was asked to evaluate a model."""
    made = party(name)
    task = sent(DataKind.WEIGHTS, MODEL)
    task.set_header(AppConstants.MODEL_OWNER, owner)
    ReceivedModel().process(task, made.context())
    return made


def test_the_policy_decides_about_rows(party):
    site = evaluating(party, "site-1", "SRV_global_last")
    result = evaluation("site-1", "global_last")
    OutgoingFilter().process(result, site.context())
    with pytest.raises(ConfigError, match="per-case rows"):
        OutgoingFilter(share_cases=False).process(result, site.context())


NAMES = ("hospital-a", "site-1-b", "Uniklinikum-Bonn_Radiologie", "9", "K" * 60)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("owner", ["SRV_global_best", "SRV_global_last", *NAMES])
def test_a_hospital_s_name_leaves_in_its_own_report(party, name, owner):
    site = evaluating(party, name, owner)
    result = evaluation(name, owner.removeprefix("SRV_"))
    OutgoingFilter().process(result, site.context())


@pytest.mark.parametrize("rows", [("Mueller", "global_last"), ("hospital-a", "Mueller")])
def test_a_patient_s_name_does_not_leave_as_a_site_or_model(party, rows):
    site = evaluating(party, "hospital-a", "SRV_global_last")
    with pytest.raises(ConfigError, match="nothing was sent") as caught:
        OutgoingFilter().process(evaluation(*rows), site.context())
    assert "Mueller" not in str(caught.value)


def test_a_report_without_a_model_to_evaluate_stays(party):
    with pytest.raises(ConfigError, match="nothing was sent"):
        OutgoingFilter().process(evaluation("site-1", "global_last"), party("site-1").context())


def scope_with(*filters):
    scope = Scope()
    for entry in filters:
        if isinstance(entry, ReceivedModel):
            scope.add_task_data_filter(entry, FilterKey.IN)
        else:
            scope.add_task_result_filter(entry, FilterKey.OUT)
    return scope


@pytest.mark.parametrize(
    ("scope", "missing"),
    [
        (None, r"outgoing\.OutgoingFilter"),
        (Scope(), r"outgoing\.OutgoingFilter"),
        (scope_with(ReceivedModel()), r"outgoing\.OutgoingFilter"),
        (scope_with(OutgoingFilter()), r"received\.ReceivedModel"),
    ],
)
def test_a_site_without_the_filters_refuses_to_work(party, scope, missing):
    fl_ctx = party("site-1").context(**{FLContextKey.SCOPE_OBJECT: scope})
    with pytest.raises(ConfigError, match=rf"privacy\.json does not run fedvox\.flare\.{missing}"):
        check_policy(fl_ctx)


def test_a_site_with_the_template_s_filters_works(party):
    check_policy(party("site-1").context())


def test_the_simulator_needs_no_policy(party):
    site = party("site-1", "simulate_job")
    check_policy(site.context(**{FLContextKey.SCOPE_OBJECT: None}))
