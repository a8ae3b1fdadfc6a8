"""The evaluation where a site only tests: it scores every model and gives none."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from nvflare.apis.signal import Signal
from nvflare.app_common.workflows.cross_site_model_eval import CrossSiteModelEval

from fedvox.admission.registration import Registration
from fedvox.flare.locator import SafetensorsLocator
from fedvox.flare.workflows import FedVoxCrossSiteEval


@pytest.fixture
def evaluation(server, monkeypatch):
    """A function that runs the workflow with connected sites and returns what it asks of whom."""
    asked = []
    monkeypatch.setattr(
        CrossSiteModelEval, "broadcast", lambda self, task, **more: asked.append((task.name, more))
    )
    server.engine.components["locator"] = SafetensorsLocator()

    def run(registered: dict[str, int], external: set[str], *connected: str):
        server.engine.clients = list(connected)
        server.run().registered = {site: {"ct": n} for site, n in registered.items()}
        server.run().external = frozenset(external)
        workflow = FedVoxCrossSiteEval(model_locator_id="locator")
        workflow._engine = server.engine
        workflow.get_num_standing_tasks = lambda: 0
        workflow.start_controller(server.context())
        workflow.control_flow(Signal(), server.context())
        workflow._send_validation_task("site-1", server.context())
        return SimpleNamespace(asked=asked, workflow=workflow)

    return run


def test_a_site_that_only_tests_scores_models_and_is_asked_for_none(evaluation):
    found = evaluation({"a": 3, "b": 2}, {"outside"}, "a", "b", "outside", "stranger")
    tasks = [(name, more["targets"], more["min_responses"]) for name, more in found.asked]
    assert tasks[0] == ("submit_model", ["a", "b"], 2)
    assert tasks[1:] == [("validate", ["a", "b", "outside"], 3)] * len(tasks[1:])
    assert len(tasks) >= 2


def test_nobody_is_asked_for_a_model_when_those_that_train_are_gone(evaluation):
    found = evaluation({"a": 3}, {"outside"}, "outside")
    assert {name for name, _ in found.asked} == {"validate"}


@pytest.mark.parametrize(("dropping", "scored"), [(False, 18), (True, 18 * 7)])
def test_the_wait_counts_every_subset_that_is_scored(
    evaluation, server, subset_job, monkeypatch, dropping, scored
):
    settings = replace(subset_job.evaluation, subsets=dropping, site_models=False)
    server.run().job = replace(subset_job, evaluation=settings)
    held = {"t1+t2+flair": 18}
    server.run().admitted = {"a": Registration("1", "m", validation={"t1": 2}, test=held)}
    server.run().cases = {"a": (2, 18)}
    told = []
    monkeypatch.setattr(
        "fedvox.flare.workflow_evaluation.evaluation_timeout",
        lambda rounds, models, cases, margin: told.append((models, cases)) or 60,
    )
    evaluation({"a": 3}, set(), "a")
    assert told == [(1, [(2, scored)])]
