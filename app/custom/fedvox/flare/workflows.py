"""The three workflows of a job: training, cross-site evaluation, results."""

from pathlib import Path

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

from fedvox.aggregation.selection import ModalityScores, better, pool_validation
from fedvox.errors import FedVoxError
from fedvox.flare.handshake import Handshake
from fedvox.flare.incoming import read_report, read_site_model
from fedvox.flare.messages import MODEL_LAST, TASK_SUBMIT, UNREADABLE, validation_from
from fedvox.flare.places import (
    RESULTS,
    SIMULATOR_JOB,
    SITE_REPORT,
    check_workspace,
    is_simulator,
    workspace_of,
)
from fedvox.flare.report_form import model_name
from fedvox.flare.senders import authenticate
from fedvox.flare.server_run import ServerRun, server_run
from fedvox.flare.site_events import guard_events
from fedvox.metrics.table import MetricRow, SharedSummary, from_dict
from fedvox.privacy.forms import FormError
from fedvox.report.results import (
    choose_rows,
    collect_overlays,
    results_text,
    write_results,
    write_rounds,
)
from fedvox.training.model_file import describe_model, write_model


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
        """Refuses in the handshake, or trains."""
        handshake = self._engine.get_component(self.handshake_id)
        if not isinstance(handshake, Handshake):
            self.system_panic(f"component '{self.handshake_id}' is no Handshake", fl_ctx)
            return
        try:
            handshake.wait(self._min_clients, fl_ctx, abort_signal)
        except FedVoxError as error:
            self.system_panic(str(error), fl_ctx)
            return
        super().control_flow(abort_signal, fl_ctx)

    def _accept_train_result(
        self, client_name: str, result: Shareable, fl_ctx: FLContext, is_unknown_task: bool = False
    ) -> bool:
        """Gives the aggregator the name that the transport authenticated."""
        authenticate(client_name, result, fl_ctx)
        return bool(super()._accept_train_result(client_name, result, fl_ctx, is_unknown_task))


class FedVoxCrossSiteEval(CrossSiteModelEval):
    """CrossSiteModelEval that asks for sites' own models only when ``training.json`` says so.

    Whose model a result speaks of is what the task says, not the result; results are not written
    to disk, and a site's own model only after it was compared with the global one.
    """

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Reads the switch before the base class starts."""
        site_models = server_run(fl_ctx).job.evaluation.site_models
        self._submit_model_task_name = TASK_SUBMIT if site_models else ""
        super().start_controller(fl_ctx)

    def _receive_local_model_cb(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        site = client_task.client.name
        authenticate(site, client_task.result, fl_ctx)
        try:
            read_site_model(client_task.result, server_run(fl_ctx))
        except (FedVoxError, *UNREADABLE) as error:
            _refuse(self, site, f"its own model {_reason(error)}", fl_ctx)
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
        self.heard: set[tuple[str, str]] = set()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Keeps each validation result as it arrives."""
        if event_type == AppEventType.VALIDATION_RESULT_RECEIVED:
            result = fl_ctx.get_prop(AppConstants.VALIDATION_RESULT)
            site = str(fl_ctx.get_prop(AppConstants.DATA_CLIENT))
            owner = str(fl_ctx.get_prop(AppConstants.MODEL_OWNER))
            try:
                self._keep(site, owner, result, fl_ctx)
            except (FedVoxError, *UNREADABLE) as error:
                reason = f"its report on {model_name(owner)} {_reason(error)}"
                _refuse(self, site, reason, fl_ctx)
        elif event_type == EventType.END_RUN:
            self.rows, self.shared, self.last_validation = [], [], {}
            self.heard = set()

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
        try:
            self._write(server_run(fl_ctx), fl_ctx)
        except FedVoxError as error:
            self.system_panic(str(error), fl_ctx)

    def _write(self, run: ServerRun, fl_ctx: FLContext) -> None:
        state = run.state
        version, best = state.version, state.best
        pooled = pool_validation([self.last_validation[s] for s in sorted(self.last_validation)])
        chosen = better(best, version, pooled)
        last_is_best = chosen is None or chosen.version == version
        weights = state.load_last() if last_is_best else state.load_best()
        if weights is None:
            raise FedVoxError("no round was finished, so there is no model to write")
        rounds = [*state.rounds(), _final_record(version, pooled, run.phantom, run.refused)]
        write_rounds(run.results / "rounds.jsonl", rounds)
        number = version if chosen is None else chosen.version
        write_model(
            run.results,
            weights,
            describe_model(run.job, weights, number, run.phantom, run.modalities),
        )
        if is_simulator(fl_ctx):
            root = Path(workspace_of(fl_ctx).get_root_dir()).parent
            folders = sorted(root.glob(f"*/{SIMULATOR_JOB}/{RESULTS}/{SITE_REPORT}"))
            collect_overlays(folders, run.results, last_is_best)
        rows, shared = choose_rows(self.rows, self.shared, last_is_best)
        summary = write_results(
            run.results, rows, shared, rounds, run.job.evaluation.resamples, run.phantom
        )
        print(results_text(summary, run.results, run.phantom), flush=True)
        self._tell_gaps(run, fl_ctx)

    def _tell_gaps(self, run: ServerRun, fl_ctx: FLContext) -> None:
        """Names the sites that did not evaluate the last model; the simulator fails for them."""
        for entry in run.refused:
            print(f"refused: {entry['site']}: {entry['reason']}", flush=True)
        gaps = sorted(set(run.registered) - set(self.last_validation))
        if not gaps:
            return
        refused = {entry["site"] for entry in run.refused}
        where = "their logs" if not refused & set(gaps) else "their logs, and what is refused above"
        message = (
            f"{', '.join(gaps)} did not evaluate {MODEL_LAST}: the tables lack these sites; "
            f"see the first ERROR in {where}"
        )
        if is_simulator(fl_ctx):
            self.system_panic(message, fl_ctx)
        else:
            self.log_error(fl_ctx, message)

    def _keep(self, site: str, owner: str, result: Shareable, fl_ctx: FLContext) -> None:
        """Takes a whole report or nothing of it."""
        if result.get_return_code() not in (None, ReturnCode.OK):
            return
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


def _refuse(workflow: Controller, site: str, reason: str, fl_ctx: FLContext) -> None:
    """Says in the log, and keeps for the results, what is not taken from a site."""
    server_run(fl_ctx).refuse(site, reason)
    workflow.log_error(fl_ctx, f"refused: {site}: {reason}")


def _reason(error: Exception) -> str:
    """Why something is refused; what other libraries say may quote its content."""
    known = isinstance(error, FedVoxError)
    return str(error) if known else f"is unreadable ({type(error).__name__})"


def _final_record(
    version: int, validation: dict[str, float], phantom: bool, refused: list[dict[str, str]]
) -> dict[str, object]:
    """The last global model's validation, which no training round measures."""
    return {
        "round": version,
        "final": True,
        "phantom": phantom,
        "seconds": 0.0,
        "bytes_up": 0,
        "bytes_down": 0,
        "contributors": [],
        "refused": list(refused),
        "missing": [],
        "validation": validation,
    }
