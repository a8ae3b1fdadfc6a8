"""FLARE's aggregator interface around :class:`fedvox.aggregation.round.Round`."""

import threading
from typing import Any

from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.aggregator import Aggregator
from nvflare.app_common.abstract.model import ModelLearnableKey
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType

from fedvox.aggregation.round import Round
from fedvox.aggregation.round_text import round_text
from fedvox.aggregation.rounds_file import write_rounds
from fedvox.aggregation.screening import stale_text
from fedvox.errors import FedVoxError, OutOfTurn
from fedvox.flare.restarts.start import note_progress
from fedvox.flare.run.expand import expanded
from fedvox.flare.run.messages import ATTACHED, META, TASK_TRAIN, UNREADABLE, update_from
from fedvox.flare.run.places import run_dir
from fedvox.flare.run.run_end import disk_text
from fedvox.flare.run.server_curves import stream_round
from fedvox.flare.run.server_run import ServerRun, server_run
from fedvox.flare.sealed import sealed_round
from fedvox.job.round_rules import round_rules
from fedvox.memory import settle
from fedvox.privacy.forms import MOST, FormError


class FedVoxAggregator(Aggregator):
    """Screens updates as they come and averages them in float64, in site order."""

    def __init__(self) -> None:
        super().__init__()
        self._round: Round | None = None
        self._lock = threading.Lock()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Opens the round when it starts, so that its record holds its whole duration."""
        if event_type == AppEventType.ROUND_STARTED:
            with self._lock:
                self.open_round(fl_ctx)

    def reset(self, fl_ctx: FLContext) -> None:
        """Forgets the finished round."""
        self._round = None

    def open_round(self, fl_ctx: FLContext) -> Round:
        """The round that is open, begun at its first use."""
        index = int(fl_ctx.get_prop(AppConstants.CURRENT_ROUND))
        if self._round is None or self._round.index != index:
            run = server_run(fl_ctx)
            model = fl_ctx.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS]
            known = (index, model, run.state.store, round_rules(run.job), run.registered)
            more = (run.validation, run.state.load_memory())
            if run.job.encryption is not None:
                self._round = sealed_round(run, fl_ctx, *known, *more, best=run.state.load_best)
            else:
                sent = run.travelling(model)
                self._round = Round(*known, *more, sent, run.state.load_best)
        return self._round

    def round_sites(self, fl_ctx: FLContext) -> frozenset[str]:
        """Sites whose updates the open round takes: those that took part when it was opened."""
        with self._lock:
            return frozenset(self.open_round(fl_ctx).registered or ())

    def accept(self, shareable: Shareable, fl_ctx: FLContext) -> bool:
        """Takes one site's result; False, with the reason on record, when it is refused."""
        with self._lock:
            site = str(fl_ctx.get_peer_context().get_identity_name())
            current = self.open_round(fl_ctx)
            run = server_run(fl_ctx)
            try:
                claimed = _whole(shareable.get_cookie(AppConstants.CONTRIBUTION_ROUND))
                dxo = _weights(shareable, current, site, claimed, run)
                claims = dxo.get_meta_prop(META) or {}
                modalities = run.job.data.modality_sets
                beside = dxo.get_meta_prop(ATTACHED)
                update = update_from(site, claims, dxo.data, claimed, modalities, beside)
                current.accept(update, run.admitted.get(site))
            except FormError as error:
                current.refusals.add(site, str(error), unfit=True)
                self.log_warning(fl_ctx, f"update of {site} refused: {error}")
                return False
            except FedVoxError as refusal:
                current.refusals.add(site, str(refusal))
                self.log_warning(fl_ctx, f"update of {site} refused: {refusal}")
                return False
            except OSError as error:  # the update could not be stored
                self.system_panic(disk_text(error), fl_ctx)
                return False
            except UNREADABLE as error:
                reason = f"unreadable: {type(error).__name__}"
                current.refusals.add(site, reason, unfit=True)
                self.log_warning(fl_ctx, f"update of {site} refused: {reason}")
                return False
            return True

    def note_failed(self, site: str, reason: str, fl_ctx: FLContext) -> None:
        """Keeps on record that a site's task failed in the open round."""
        with self._lock:
            self.open_round(fl_ctx).refusals.add(site, reason)
        self.log_warning(fl_ctx, f"nothing from {site} in this round: {reason}")

    def aggregate(self, fl_ctx: FLContext) -> Shareable:
        """Closes the round; its record, models and choice go to the server's state, its numbers to
        TensorBoard."""
        with self._lock:
            current = self.open_round(fl_ctx)
            run = server_run(fl_ctx)
            try:
                model, record = current.close(run.ledger.take(TASK_TRAIN))
                for note in record["notes"]:
                    self.log_warning(fl_ctx, f"round {current.index + 1}: {note}")
                record["notes"] = [*run.take_notes(), *record["notes"]]
                run.state.finish_round(current.model, model, record, current.memory)
                write_rounds(run.results / "rounds.jsonl", run.state.rounds())
                note_progress(run_dir(fl_ctx), f"round {current.index}")
            except OSError as error:
                self.system_panic(disk_text(error), fl_ctx)
                raise FedVoxError(disk_text(error)) from None
            self.log_info(fl_ctx, round_text(record, run.job.training.rounds))
            if not record["contributors"]:
                what = "back to the best earlier model"
                if not record["rolled_back"]:
                    what = "no usable update, the model stays as it was"
                self.log_warning(fl_ctx, f"round {current.index + 1}: {what}")
        stream_round(record, fl_ctx)
        settle()
        return DXO(DataKind.WEIGHTS, data=model).to_shareable()


def _weights(shareable: Shareable, current: Round, site: str, claimed: int, run: ServerRun) -> DXO:
    dxo = from_shareable(shareable)
    if dxo.data_kind == DataKind.APP_DEFINED and run.job.compression is not None:
        if claimed != current.index:  # what it is a step from is gone
            raise OutOfTurn(stale_text(claimed, current.index))
        sent = current.sent_to(site)
        dxo = expanded(dxo, sent, run.replica(current.index, sent))
    if dxo.data_kind != DataKind.WEIGHTS or not isinstance(dxo.data, dict):
        raise ValueError("not a set of weights")
    return dxo


def _whole(value: Any) -> int:
    """A round as the transport names it, -1 where it names none that could be."""
    return value if type(value) is int and abs(value) <= MOST else -1
