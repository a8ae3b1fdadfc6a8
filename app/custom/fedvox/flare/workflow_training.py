"""The training workflow: the handshake, then the rounds, then the run's files."""

import threading
from typing import Any

from nvflare.apis.controller_spec import Task
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import ReturnCode, Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.workflows.scatter_and_gather import ScatterAndGather

from fedvox.admission.site_notes import validation_gaps
from fedvox.errors import FedVoxError
from fedvox.flare.run.moved import refuse_moved
from fedvox.flare.run.places import is_simulator
from fedvox.flare.run.round_wait import RoundWait, patient
from fedvox.flare.run.run_end import error_text, task_failure
from fedvox.flare.run.run_results import refuse_untrained, write_unevaluated
from fedvox.flare.run.senders import authenticate
from fedvox.flare.run.server_run import server_run
from fedvox.flare.run.server_start import await_sites, open_run


class FedVoxScatterAndGather(ScatterAndGather):
    """ScatterAndGather that takes its rounds from ``training.json``, waits for the handshake and
    starts where the state of the same run ends.

    Args:
        handshake_id: id of the :class:`fedvox.flare.handshake.Handshake` component.
        **kwargs: as for ScatterAndGather, without ``num_rounds`` and what ``waiting`` of
            ``training.json`` says.

    Raises:
        ConfigError: the job's files are of the time before ``waiting``.
    """

    def __init__(self, handshake_id: str = "handshake", **kwargs: object) -> None:
        refuse_moved(kwargs)
        super().__init__(**kwargs)
        self.handshake_id = handshake_id
        self._blame = threading.local()
        self._wait: RoundWait | None = None
        self._task: Task | None = None

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Reads settings and state before the base class loads the model."""
        try:
            run = open_run(fl_ctx)
            self._num_rounds = run.job.training.rounds
            waiting = run.job.waiting
            self._min_clients = waiting.sites
            self._wait = RoundWait(patient(waiting) if is_simulator(fl_ctx) else waiting)
            self._current_round = run.state.version
            super().start_controller(fl_ctx)
        except (FedVoxError, OSError) as error:
            self.system_panic(error_text(error), fl_ctx)

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Refuses in the handshake, or trains; what is trained is written before anything else."""
        try:
            handshake = await_sites(self.handshake_id, fl_ctx, abort_signal)
        except (FedVoxError, OSError) as error:
            self.system_panic(error_text(error), fl_ctx)
            return
        run = server_run(fl_ctx)
        for text in validation_gaps(handshake.registrations):
            run.note(text)
        run.stage = "training"
        super().control_flow(abort_signal, fl_ctx)
        if abort_signal.triggered or run.failure is not None:
            return
        run.stage = "results"
        try:
            refuse_untrained(run)
            write_unevaluated(run)
        except (FedVoxError, OSError) as error:
            self.system_panic(error_text(error), fl_ctx)

    def broadcast_and_wait(self, *args: Any, **kwargs: Any) -> None:
        """Asks the sites that take part, and waits for them as ``waiting`` says; who is unfit or
        came after the round's start is not asked.

        Raises:
            FedVoxError: too few sites are left.
        """
        run = server_run(kwargs["fl_ctx"])
        connected = [client.name for client in self._engine.get_clients()]
        try:
            among = self.aggregator.round_sites(kwargs["fl_ctx"])
            targets = run.asked_sites(connected, self._min_clients, among)
        except FedVoxError as error:
            self._blame.text = str(error)
            raise
        self._current_num_targets = len(targets)
        run.awaited = frozenset(targets)
        self._task, wait = kwargs["task"], self._round_wait()
        wait.open(targets, run.state.rounds())
        # FLARE ends the round when all have answered, or at the task's timeout, which each answer
        # sets anew
        kwargs |= {"targets": targets, "min_responses": len(targets)}
        super().broadcast_and_wait(*args, **kwargs)
        missed = wait.close()
        if missed and not kwargs["abort_signal"].triggered:
            run.note(
                f"no answer from {', '.join(missed)} within {wait.limit:.0f} s; no round waits for "
                "who was silent until something comes"
            )

    def _accept_train_result(
        self, client_name: str, result: Shareable, fl_ctx: FLContext, is_unknown_task: bool = False
    ) -> bool:
        """Gives the aggregator the name that the transport authenticated, and keeps on record which
        site failed and why, before FLARE decides whether to go on.
        """
        authenticate(client_name, result, fl_ctx)
        run, wait = server_run(fl_ctx), self._round_wait()
        wait.hear(client_name)
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
        if not is_unknown_task and self._task is not None:
            self._task.timeout = wait.answer(client_name)
        return bool(accepted)

    def _round_wait(self) -> RoundWait:
        if self._wait is None:
            raise RuntimeError("the workflow was not started")
        return self._wait

    def system_panic(self, reason: str, fl_ctx: FLContext) -> None:
        """Stops the run; of a failed task the reason names the site and what it says."""
        super().system_panic(getattr(self._blame, "text", "") or reason, fl_ctx)
