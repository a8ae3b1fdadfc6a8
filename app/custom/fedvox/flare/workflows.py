"""The three workflows of a job: training, cross-site evaluation, results."""

import threading
from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import ReturnCode, Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType
from nvflare.app_common.workflows.cross_site_model_eval import CrossSiteModelEval
from nvflare.app_common.workflows.scatter_and_gather import ScatterAndGather

from fedvox.aggregation.registration import validation_gaps
from fedvox.aggregation.selection import ModalityScores
from fedvox.aggregation.waiting import evaluation_timeout
from fedvox.errors import FedVoxError
from fedvox.flare.handshake import Handshake
from fedvox.flare.incoming import read_report, read_site_model, refusal_text
from fedvox.flare.messages import MODEL_LAST, TASK_SUBMIT, UNREADABLE, validation_from
from fedvox.flare.places import check_workspace, is_simulator
from fedvox.flare.report_form import model_name
from fedvox.flare.run_end import disk_text, opened_run, task_failure, watch_end
from fedvox.flare.run_results import gaps_text, write_evaluated, write_unevaluated
from fedvox.flare.senders import authenticate
from fedvox.flare.server_run import ServerRun, server_run
from fedvox.flare.site_events import guard_events
from fedvox.metrics.table import MetricRow, SharedSummary, from_dict
from fedvox.privacy.forms import FormError
from fedvox.report.page import write_report
from fedvox.report.results import results_text


class FedVoxScatterAndGather(ScatterAndGather):
    """ScatterAndGather that takes its rounds from ``training.json``, waits for the handshake and
    starts where the state of the same run ends.

    Args:
        handshake_id: id of the :class:`fedvox.flare.handshake.Handshake` component.
        **kwargs: as for ScatterAndGather; ``num_rounds`` is set here.
    """

    def __init__(self, handshake_id: str = "handshake", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.handshake_id = handshake_id
        self._blame = threading.local()

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Reads settings and state before the base class loads the model."""
        try:
            check_workspace(fl_ctx)
            run = server_run(fl_ctx)
            self._num_rounds = run.job.training.rounds
            self._current_round = run.state.version
            guard_events(fl_ctx)
            super().start_controller(fl_ctx)
        except FedVoxError as error:
            self.system_panic(str(error), fl_ctx)

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Refuses in the handshake, or trains; what is trained is written before anything else."""
        handshake = self._engine.get_component(self.handshake_id)
        if not isinstance(handshake, Handshake):
            self.system_panic(f"component '{self.handshake_id}' is no Handshake", fl_ctx)
            return
        run = server_run(fl_ctx)
        try:
            handshake.wait(self._min_clients, fl_ctx, abort_signal)
        except FedVoxError as error:
            self.system_panic(str(error), fl_ctx)
            return
        for text in validation_gaps(handshake.registrations):
            run.note(text)
        run.stage = "training"
        super().control_flow(abort_signal, fl_ctx)
        if abort_signal.triggered or run.failure is not None:
            return
        try:
            write_unevaluated(run)
        except FedVoxError as error:
            self.system_panic(str(error), fl_ctx)
        except OSError as error:
            self.system_panic(disk_text(error), fl_ctx)

    def broadcast_and_wait(self, *args: Any, **kwargs: Any) -> None:
        """Asks the sites that take part; who is unfit or came after the round's start is not.

        Raises:
            FedVoxError: too few sites are left.
        """
        run = server_run(kwargs["fl_ctx"])
        connected = [client.name for client in self._engine.get_clients()]
        try:
            targets = run.asked_sites(connected, self._min_clients)
        except FedVoxError as error:
            self._blame.text = str(error)
            raise
        self._current_num_targets = len(targets)
        run.awaited = frozenset(targets)
        super().broadcast_and_wait(*args, **kwargs, targets=targets)

    def _accept_train_result(
        self, client_name: str, result: Shareable, fl_ctx: FLContext, is_unknown_task: bool = False
    ) -> bool:
        """Gives the aggregator the name that the transport authenticated, and keeps on record which
        site failed and why, before FLARE decides whether to go on.
        """
        authenticate(client_name, result, fl_ctx)
        run = server_run(fl_ctx)
        code = result.get_return_code()
        if is_unknown_task or code in (None, ReturnCode.OK):
            accepted = super()._accept_train_result(client_name, result, fl_ctx, is_unknown_task)
        else:
            text = task_failure(code, result)
            self.aggregator.note_failed(client_name, text, fl_ctx)
            self._blame.text = f"{client_name}: {text}"
            accepted = super()._accept_train_result(client_name, result, fl_ctx, is_unknown_task)
            self._blame.text = ""
        run.awaited -= {client_name}
        return bool(accepted)

    def system_panic(self, reason: str, fl_ctx: FLContext) -> None:
        """Stops the run; of a failed task the reason names the site and what it says."""
        super().system_panic(getattr(self._blame, "text", "") or reason, fl_ctx)


class FedVoxCrossSiteEval(CrossSiteModelEval):
    """CrossSiteModelEval that asks the sites that take part, and for their own models only when
    ``training.json`` says so. Where the job sets no time (0), it waits as long as
    :func:`fedvox.aggregation.waiting.evaluation_timeout` says.

    Whose model a result speaks of is what the task says, not the result; results are not written
    to disk, and a site's own model only after it was compared with the global one.
    """

    _validation_timeout: int
    _submit_model_timeout: int

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Reads the switch, the sites and the measured rounds before the base class starts."""
        run = server_run(fl_ctx)
        run.stage = "evaluation"
        site_models = run.job.evaluation.site_models
        self._submit_model_task_name = TASK_SUBMIT if site_models else ""
        connected = {client.name for client in self._engine.get_clients()}
        sites = sorted(set(run.registered) & connected)
        self._participating_clients = sites
        models = (2 if run.state.best else 1) + (len(sites) if site_models else 0)
        seconds = evaluation_timeout(run.state.rounds(), models, list(run.cases.values()))
        self._validation_timeout = self._validation_timeout or seconds
        self._submit_model_timeout = self._submit_model_timeout or seconds
        self.log_info(
            fl_ctx,
            f"evaluation of {models} models at {len(sites)} sites; a site that does not answer is "
            f"waited for {self._validation_timeout} s",
        )
        super().start_controller(fl_ctx)

    def _receive_local_model_cb(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        site = client_task.client.name
        authenticate(site, client_task.result, fl_ctx)
        try:
            read_site_model(client_task.result, server_run(fl_ctx))
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

    def process_result_of_unknown_task(
        self,
        client: Client,
        task_name: str,
        client_task_id: str,
        result: Shareable,
        fl_ctx: FLContext,
    ) -> None:
        """A result without a task of this workflow is not used: nothing tells whose model it is."""
        self.log_warning(fl_ctx, f"late result of {client.name} is not used")


class WriteResults(Controller):
    """Gathers what sites report of the models and writes the run's files, then prints the table."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[MetricRow] = []
        self.shared: list[SharedSummary] = []
        self.last_validation: dict[str, ModalityScores] = {}
        self.failed: dict[str, str] = {}
        self.heard: set[tuple[str, str]] = set()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Keeps each validation result as it arrives."""
        if event_type == AppEventType.VALIDATION_RESULT_RECEIVED:
            result = fl_ctx.get_prop(AppConstants.VALIDATION_RESULT)
            site = str(fl_ctx.get_prop(AppConstants.DATA_CLIENT))
            owner = str(fl_ctx.get_prop(AppConstants.MODEL_OWNER))
            if site not in server_run(fl_ctx).registered:
                self.log_error(fl_ctx, f"result of {site} is not used: it is not registered")
                return
            code = result.get_return_code()
            if code not in (None, ReturnCode.OK):
                self._note_failed(site, owner, task_failure(code, result), fl_ctx)
                return
            try:
                self._keep(site, owner, result, fl_ctx)
            except (FedVoxError, *UNREADABLE) as error:
                reason = f"its report on {model_name(owner)} {refusal_text(error)}"
                server_run(fl_ctx).refuse(site, reason)
        elif event_type == EventType.END_RUN:
            watch_end(event_type, fl_ctx)
            self._close(opened_run(fl_ctx))
            self.rows, self.shared, self.last_validation = [], [], {}
            self.failed, self.heard = {}, set()
        else:
            watch_end(event_type, fl_ctx)

    def _close(self, run: ServerRun | None) -> None:
        """The page of a run that failed says so, beside what the run had until then."""
        if run is None or run.failure is None:
            return
        try:
            if not run.finished:
                write_unevaluated(run)
            write_report(run.results)
        except (FedVoxError, OSError) as error:
            reason = disk_text(error) if isinstance(error, OSError) else str(error)
            self.logger.error("the report of the failed run cannot be written: %s", reason)

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Nothing to prepare."""

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Nothing to release."""

    def process_result_of_unknown_task(
        self,
        client: Client,
        task_name: str,
        client_task_id: str,
        result: Shareable,
        fl_ctx: FLContext,
    ) -> None:
        """A result that comes after its task was closed is not used."""
        self.log_warning(fl_ctx, f"late result of {task_name} from {client.name} is not used")

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Writes the files and prints the table."""
        run = server_run(fl_ctx)
        run.stage = "results"
        try:
            summary = write_evaluated(run, self.rows, self.shared, self.last_validation, fl_ctx)
        except FedVoxError as error:
            self.system_panic(str(error), fl_ctx)
            return
        except OSError as error:
            self.system_panic(disk_text(error), fl_ctx)
            return
        print(results_text(summary, run.results, run.phantom), flush=True)
        run.finished = True
        self._tell_gaps(run, fl_ctx)

    def _note_failed(self, site: str, owner: str, text: str, fl_ctx: FLContext) -> None:
        """A site whose evaluation failed stands in the run's records with its reason."""
        self.failed.setdefault(site, text)
        server_run(fl_ctx).note(f"{site} did not evaluate {model_name(owner)}: {text}")

    def _tell_gaps(self, run: ServerRun, fl_ctx: FLContext) -> None:
        """Names the sites that did not evaluate the last model; the simulator fails for them."""
        for entry in run.refused:
            print(f"refused: {entry['site']}: {entry['reason']}", flush=True)
        message = gaps_text(run, set(self.last_validation), self.failed)
        if not message:
            return
        if is_simulator(fl_ctx):
            self.system_panic(message, fl_ctx)
        else:
            self.log_error(fl_ctx, message)

    def _keep(self, site: str, owner: str, result: Shareable, fl_ctx: FLContext) -> None:
        """Takes a whole report or nothing of it."""
        report = read_report(result, site, owner, fl_ctx)
        rows = [from_dict(MetricRow, row) for row in report["rows"]]
        shared = [from_dict(SharedSummary, row) for row in report["shared"]]
        validation = validation_from(report["validation"])
        if (site, owner) in self.heard:
            raise FormError("came twice")
        self.heard.add((site, owner))
        self.rows += rows
        self.shared += shared
        if model_name(owner) == MODEL_LAST:
            self.last_validation[site] = validation
