"""The last workflow: what the sites report of the models becomes the run's files."""

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import ReturnCode, Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType

from fedvox.aggregation.claims import read_scores
from fedvox.aggregation.selection import ModalityScores
from fedvox.errors import FedVoxError
from fedvox.flare.run.incoming import read_report, refusal_text
from fedvox.flare.run.late_results import UnusedLateResults
from fedvox.flare.run.messages import MODEL_LAST, UNREADABLE
from fedvox.flare.run.places import is_simulator
from fedvox.flare.run.report_form import model_name
from fedvox.flare.run.run_end import error_text, finish, opened_run, task_failure, watch_end
from fedvox.flare.run.run_results import gaps_text, write_evaluated, write_unevaluated
from fedvox.flare.run.server_run import ServerRun, server_run
from fedvox.metrics.table import MetricRow, SharedSummary, from_dict
from fedvox.privacy.forms import FormError
from fedvox.report.pages.run_page import write_report
from fedvox.report.results import results_text


class WriteResults(UnusedLateResults):
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
            self._hear(fl_ctx)
            return
        watch_end(event_type, fl_ctx)
        if event_type == EventType.END_RUN:
            self._close(opened_run(fl_ctx))
            self.rows, self.shared, self.last_validation = [], [], {}
            self.failed, self.heard = {}, set()

    def _hear(self, fl_ctx: FLContext) -> None:
        """Keeps a registered site's report, or why there is none."""
        result = fl_ctx.get_prop(AppConstants.VALIDATION_RESULT)
        site = str(fl_ctx.get_prop(AppConstants.DATA_CLIENT))
        owner = str(fl_ctx.get_prop(AppConstants.MODEL_OWNER))
        if site not in server_run(fl_ctx).sites:
            self.log_error(fl_ctx, f"result of {site} is not used: it is not registered")
            return
        try:
            code = result.get_return_code()
            if code not in (None, ReturnCode.OK):
                self._note_failed(site, owner, task_failure(code, result), fl_ctx)
            else:
                self._keep(site, owner, result, fl_ctx)
        except (FedVoxError, *UNREADABLE) as error:
            reason = f"its report on {model_name(owner)} {refusal_text(error)}"
            server_run(fl_ctx).refuse(site, reason)

    def _close(self, run: ServerRun | None) -> None:
        """The page of a run that failed says so, beside what the run had until then."""
        if run is None or run.failure is None:
            return
        try:
            if not run.finished:
                write_unevaluated(run)
            write_report(run.results)
        except (FedVoxError, OSError) as error:
            reason = error_text(error)
            self.logger.error("the report of the failed run cannot be written: %s", reason)

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Nothing to prepare."""

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Nothing to release."""

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Writes the files and prints the table."""
        run = server_run(fl_ctx)
        run.stage = "results"
        try:
            summary = write_evaluated(run, self.rows, self.shared, self.last_validation, fl_ctx)
        except (FedVoxError, OSError) as error:
            self.system_panic(error_text(error), fl_ctx)
            return
        print(results_text(summary, run.results, run.phantom), flush=True)
        finish(run, fl_ctx)
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
        validation = read_scores(report["validation"])
        if (site, owner) in self.heard:
            raise FormError("came twice")
        self.heard.add((site, owner))
        self.rows += rows
        self.shared += shared
        if model_name(owner) == MODEL_LAST:
            self.last_validation[site] = validation
