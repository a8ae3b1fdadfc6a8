"""Rules that weigh, through a whole run in this process."""

import pytest

from fedvox.aggregation.weighing import WEIGHING
from fedvox.tensors import weights_hash
from fedvox.training.in_process import run_in_process

OFF = {"quality": 0, "dice": 0, "divergence": 0, "least": 0, "most": 1, "smoothing": 0}


def test_adaptive_with_all_terms_off_trains_the_model_of_cases(sites, make_job, tmp_path):
    rules = ("cases", {"name": "adaptive", **OFF})
    results = [
        run_in_process(sites, make_job(training={"client_weight": rule}), tmp_path / str(index))
        for index, rule in enumerate(rules)
    ]
    assert weights_hash(results[0].last) == weights_hash(results[1].last)
    assert weights_hash(results[0].best) == weights_hash(results[1].best)


@pytest.mark.parametrize("rule", list(WEIGHING))
def test_every_rule_weighs_the_sites_of_a_run(sites, make_job, tmp_path, rule):
    result = run_in_process(sites, make_job(training={"client_weight": rule}), tmp_path)
    for record in result.rounds:
        weights = [entry["weight"] for entry in record["contributors"]]
        assert len(weights) == 2 and sum(weights) == pytest.approx(1.0) and min(weights) > 0
        terms = [entry.get("terms", {}) for entry in record["contributors"]]
        assert all(terms) == (rule in ("adaptive", "fedce", "fedpid"))
