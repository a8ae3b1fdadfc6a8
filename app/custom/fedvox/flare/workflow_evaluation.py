"""The evaluation workflow: every model at every site that takes part."""

import math
from typing import Any

from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType
from nvflare.app_common.workflows.cross_site_model_eval import CrossSiteModelEval

from fedvox.errors import FedVoxError
from fedvox.flare.run.incoming import read_site_model, refusal_text
from fedvox.flare.run.late_results import UnusedLateResults
from fedvox.flare.run.messages import TASK_SUBMIT, UNREADABLE
from fedvox.flare.run.moved import refuse_moved
from fedvox.flare.run.senders import authenticate
from fedvox.flare.run.server_run import ServerRun, server_run
from fedvox.flare.run.waiting import evaluation_timeout, scored_tests


class FedVoxCrossSiteEval(UnusedLateResults, CrossSiteModelEval):
    """CrossSiteModelEval that asks the sites that take part, also those that only test. Sites that
    train are asked for their own models when ``training.json`` says so. It waits as long as
    ``waiting`` there and :func:`fedvox.flare.run.waiting.evaluation_timeout` say.

    Whose model a result speaks of is what the task says, not the result; results are not written
    to disk, and a site's own model only after it was compared with the global one.

    Args:
        **kwargs: as for CrossSiteModelEval, without its timeouts.

    Raises:
        ConfigError: the job's files are of the time before ``waiting``.
    """

    _owners: list[str]

    def __init__(self, **kwargs: Any) -> None:
        refuse_moved(kwargs)
        super().__init__(**kwargs)

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Reads the switch, the sites and the measured rounds before the base class starts."""
        run = server_run(fl_ctx)
        run.stage = "evaluation"
        site_models = run.job.evaluation.site_models
        self._submit_model_task_name = TASK_SUBMIT if site_models else ""
        connected = {client.name for client in self._engine.get_clients()}
        sites = sorted(set(run.sites) & connected)
        self._participating_clients = sites
        self._owners = [site for site in sites if site in run.registered]
        common, own = 2 if run.state.best else 1, len(self._owners) if site_models else 0
        models = common + own
        waiting, work = run.job.waiting, _work(run, common, own)
        measured = evaluation_timeout(run.state.rounds(), models, work, waiting.margin)
        seconds = math.ceil(waiting.evaluation) or measured
        self._validation_timeout = self._submit_model_timeout = seconds
        self.log_info(
            fl_ctx,
            f"evaluation of {models} models at {len(sites)} sites; a site that does not answer is "
            f"waited for {self._validation_timeout} s",
        )
        super().start_controller(fl_ctx)

    def broadcast(self, task: Task, fl_ctx: FLContext, **kwargs: Any) -> None:
        """Sends a task as the base class does; who only tests has no model of its own to give."""
        if task.name == TASK_SUBMIT:
            kwargs |= {"targets": self._owners, "min_responses": len(self._owners)}
        if kwargs["targets"]:
            super().broadcast(task=task, fl_ctx=fl_ctx, **kwargs)

    def _receive_local_model_cb(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        site = client_task.client.name
        authenticate(site, client_task.result, fl_ctx)
        try:
            client_task.result = read_site_model(client_task.result, site, server_run(fl_ctx))
        except (FedVoxError, *UNREADABLE) as error:
            server_run(fl_ctx).refuse(site, f"its own model {refusal_text(error)}")
        else:
            super()._receive_local_model_cb(client_task, fl_ctx)
        client_task.result = None

    def _receive_val_result_cb(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        site, owner = client_task.client.name, client_task.task.props[AppConstants.MODEL_OWNER]
        result, client_task.result = client_task.result, None
        authenticate(site, result, fl_ctx)
        props = {
            AppConstants.MODEL_OWNER: owner,
            AppConstants.DATA_CLIENT: site,
            AppConstants.VALIDATION_RESULT: result,
        }
        for name, value in props.items():
            fl_ctx.set_prop(name, value, private=True, sticky=False)
        self.fire_event(AppEventType.VALIDATION_RESULT_RECEIVED, fl_ctx)


def _work(run: ServerRun, global_models: int, site_models: int) -> list[tuple[int, int]]:
    """Per site its validation cases, and its test cases as often as a model scores them."""
    if not run.job.evaluation.subsets:
        return list(run.cases.values())
    return [
        (
            sum(registration.validation.values()),
            scored_tests(registration.test, global_models, site_models),
        )
        for registration in run.admitted.values()
    ]
