"""The site's side of a job: three tasks, each handed to the training room."""

import logging
import math
import uuid
from pathlib import Path
from typing import Any

import torch
from nvflare.apis.analytix import AnalyticsDataType
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.apis.utils.analytix_utils import create_analytic_dxo, send_analytic_dxo
from nvflare.app_common.app_constant import AppConstants
from torch import nn

import fedvox
from fedvox.admission.registration import Registration
from fedvox.aggregation.claims import claims_of
from fedvox.aggregation.update import Update
from fedvox.data.organs import label_map_hash
from fedvox.data.site.fatal import absolve
from fedvox.errors import ConfigError, DataError, FedVoxError
from fedvox.files import PRIVATE
from fedvox.flare.compress import publish_replica
from fedvox.flare.noise import begin_noise, check_noise, with_own_noise
from fedvox.flare.restarts.start import note_progress
from fedvox.flare.run import messages
from fedvox.flare.run.failures import failure_kind, failure_line
from fedvox.flare.run.places import OWN_MODEL, RESULTS, SITE_REPORT, run_dir
from fedvox.flare.run.report_form import model_name
from fedvox.flare.run.site_setup import SiteSetup, set_up_site
from fedvox.flare.run.site_start import ask_again_in_time, checked_job, publish_registration
from fedvox.flare.sealed import check_site, opened
from fedvox.inference.evaluate import coarse_cases
from fedvox.inference.evaluated import scored_once
from fedvox.inference.model_files.model_file import own_folder
from fedvox.job.device import prepare_device
from fedvox.job.model import job_parts
from fedvox.job.settings import JobSettings
from fedvox.memory import settle
from fedvox.report.site_pictures import draw_site_pictures
from fedvox.tensors import write_arrays
from fedvox.training.local_update import case_counts, local_update
from fedvox.training.site_model import SiteModel, site_network, write_own_model
from fedvox.training.state import drop_personal, state_hash
from fedvox.training.uplink import starting_weights

logger = logging.getLogger(__name__)
LOCAL_MODEL = "local_model.safetensors"


class FedVoxExecutor(Executor):
    """Trains, validates and submits the site's model.

    Nothing is kept in memory between tasks that is not on disk too, since a simulator with fewer
    threads than sites starts a new process for each task.
    """

    def __init__(self) -> None:
        super().__init__()
        self.job: JobSettings | None = None
        self.site: SiteSetup | None = None
        self.device: torch.device | None = None
        self.model: SiteModel | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Opens the site and publishes its registration when the run starts."""
        if event_type == EventType.START_RUN:
            ask_again_in_time(fl_ctx)
            publish_registration(self._start(fl_ctx), fl_ctx)
            if self.job is not None and self.site is not None:
                publish_replica(fl_ctx, self.job)

    def execute(
        self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal
    ) -> Shareable:
        """Runs one task; a failure is reported as its kind, never with a file name."""
        tasks = {
            messages.TASK_TRAIN: self._train,
            messages.TASK_VALIDATE: self._validate,
            messages.TASK_SUBMIT: self._submit,
        }
        if task_name not in tasks:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        try:
            result = tasks[task_name](shareable, fl_ctx, abort_signal)
            note_progress(run_dir(fl_ctx), f"{task_name} {uuid.uuid4().hex}")
            settle()
            if self.site is not None:
                absolve(self.site.state)
            return result
        except Exception as error:
            logger.error("%s", failure_line(str(fl_ctx.get_identity_name()), error, task_name))
            kind = failure_kind(error)
        reply = make_reply(ReturnCode.EXECUTION_EXCEPTION)
        reply.set_header(messages.FAILURE, kind)
        return reply

    def _start(self, fl_ctx: FLContext) -> Registration:
        site = str(fl_ctx.get_identity_name())
        label_map = ""
        try:
            self.job = checked_job(fl_ctx)
            label_map = label_map_hash(self.job.data.organs)
            self.device = prepare_device(self.job.training)
            job_parts(self.job)  # a wrong 'training.personal' is told before cases are prepared
            check_site(fl_ctx, self.job)
            found = set_up_site(fl_ctx, self.job)
            check_noise(fl_ctx, self.job, found.data, self.device)
            self.site = found  # without it no task is done, whatever a server asks
        except Exception as error:
            reason = failure_line(site, error, "start")
            logger.error("%s", reason)
            return Registration(fedvox.__version__, label_map, error=reason)
        data = self.site.data
        for code, reason in data.skipped.items():
            logger.warning("%s: case %s is left out: %s", site, code, reason)
        return Registration(
            version=fedvox.__version__,
            label_map=label_map,
            annotated=tuple(sorted(data.annotated)),
            modalities=tuple(data.modalities),
            training=case_counts(data.train),
            external=data.external,
            validation=case_counts(data.val),
            test=case_counts(data.test),
            skipped=len(data.skipped),
            phantom=data.phantom,
            coarse=coarse_cases(data.test, self.job.evaluation.nsd_tolerance_mm),
            state=state_hash(self.site.state),
            source=data.source,
        )

    def _train(self, shareable: Shareable, fl_ctx: FLContext, abort: Signal) -> Shareable:
        job, site, device = self._ready()
        if site.data.external:
            raise DataError("the site only tests, as its 'split' says; the server asked for more")
        index = int(shareable.get_header(AppConstants.CURRENT_ROUND))
        self._check_versions(shareable)
        model = self._model_with(shareable, index, True, fl_ctx)
        start = starting_weights(from_shareable(shareable).data, job, index, site.state)
        privacy = begin_noise(fl_ctx, job, index, len(site.data.train))
        update = local_update(
            model,
            site.data,
            job,
            index,
            site.state,
            device,
            lambda: abort.triggered,
            start,
            privacy,
        )
        if update is None:
            return make_reply(ReturnCode.TASK_ABORTED)
        write_arrays(site.state / LOCAL_MODEL, update.arrays, mode=PRIVATE)
        if job.training.personal:
            drop_personal(site.state, shareable.get_header(messages.KEPT))
        logger.info(
            "%s: round %d of %d: loss %.3f, %.1f s, %.1f%% of them waiting for patches",
            fl_ctx.get_identity_name(),
            index + 1,
            job.training.rounds,
            update.loss,
            update.seconds,
            100 * update.data_wait,
        )
        update = with_own_noise(update, start, job, fl_ctx, privacy)
        self._send_metrics(update, fl_ctx)
        meta: dict[str, Any] = {messages.META: claims_of(update)}
        if update.attached:
            meta[messages.ATTACHED] = {name: dict(own) for name, own in update.attached.items()}
        return DXO(DataKind.WEIGHTS, data=dict(update.arrays), meta=meta).to_shareable()

    def _validate(self, shareable: Shareable, fl_ctx: FLContext, abort: Signal) -> Shareable:
        job, site, device = self._ready()
        self._check_versions(shareable)
        version = shareable.get_header(messages.VERSION)
        model = self._model_with(shareable, version, False, fl_ctx)
        owner = str(shareable.get_header(AppConstants.MODEL_OWNER))
        name = model_name(owner)
        report = scored_once(model, name, site.data, job, device, site.state)
        if owner != name:
            folder = run_dir(fl_ctx) / RESULTS / SITE_REPORT
            draw_site_pictures(model, name, site.data, job, device, folder)
            if job.stays_at_sites:
                folder = run_dir(fl_ctx) / RESULTS / OWN_MODEL / own_folder(version)
                write_own_model(folder, model, name, site.data, job, version)
        return DXO(DataKind.METRICS, data=dict(report)).to_shareable()

    def _submit(self, shareable: Shareable, fl_ctx: FLContext, abort: Signal) -> Shareable:
        from safetensors.numpy import load_file

        job, site, _ = self._ready()
        if job.encryption is not None:
            raise ConfigError("an encrypted job's site does not send its own model in the clear")
        path = site.state / LOCAL_MODEL
        if not Path(path).is_file():
            return make_reply(ReturnCode.EMPTY_RESULT)
        return DXO(DataKind.WEIGHTS, data=load_file(str(path))).to_shareable()

    def _ready(self) -> tuple[JobSettings, SiteSetup, torch.device]:
        if self.job is None or self.site is None or self.device is None:
            raise FedVoxError("the site could not open its data at the start of the run")
        return self.job, self.site, self.device

    def _check_versions(self, task: Shareable) -> None:
        """What stays at a site belongs to versions of the model; the server's filter names them.

        Raises:
            ConfigError: the job's server does not run it.
        """
        job, _, _ = self._ready()
        if job.stays_at_sites and task.get_header(messages.KEPT) is None:
            raise ConfigError(
                "the job's whole models stay at the sites: name "
                "fedvox.flare.downlink.OwnPart under 'task_data_filters' in the job's "
                "config_fed_server.json, as jobs/fedgin does"
            )

    def _model_with(
        self, task: Shareable, version: int | None, trains: bool, fl_ctx: FLContext
    ) -> nn.Module:
        """The model of a task with the site's own tensors, those that belong to its version."""
        job, site, device = self._ready()
        if self.model is None:
            network = site_network(job, site.data, device)
            self.model = SiteModel(network, site.data, job, site.state, device)
        return self.model.load(opened(from_shareable(task).data, job, fl_ctx), version, trains)

    def _send_metrics(self, update: Update, fl_ctx: FLContext) -> None:
        values = {"train_loss": update.loss, "train_seconds": update.seconds}
        values |= {f"val_dice_{name}": dice for name, (dice, _) in update.validation.items()}
        values = {tag: value for tag, value in values.items() if not math.isnan(value)}  # by noise
        for tag, value in values.items():  # of a whole dict FLARE's receiver drops the step
            dxo = create_analytic_dxo(
                tag=tag,
                value=float(value),
                data_type=AnalyticsDataType.SCALAR,
                global_step=update.round,
            )
            send_analytic_dxo(self, dxo, fl_ctx)
