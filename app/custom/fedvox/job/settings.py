"""A whole job as frozen settings: the typed form of ``training.json``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedvox.admission.registration import MAX_CASES
from fedvox.aggregation import AGGREGATORS
from fedvox.aggregation.aggregator_settings import AggregatorSettings
from fedvox.aggregation.screening_settings import ScreeningSettings
from fedvox.aggregation.weighing import WEIGHING
from fedvox.aggregation.weighing.settings import WeighingSettings
from fedvox.augment import INTENSITY
from fedvox.augment.settings import AugmentationSettings
from fedvox.compression.settings import CompressionSettings
from fedvox.config import build, read_json, setting
from fedvox.data.settings import DataSettings
from fedvox.encryption.settings import EncryptionSettings
from fedvox.errors import ConfigError
from fedvox.job.waiting_settings import WaitingSettings
from fedvox.losses import LOSSES
from fedvox.losses.settings import LossSettings
from fedvox.metrics.hd95 import HD95, MAX_DIRECTED
from fedvox.networks import NETWORKS
from fedvox.networks.parts import NORM
from fedvox.networks.settings import NetworkSettings
from fedvox.phantoms.settings import PhantomSettings
from fedvox.privacy.noise_settings import NoiseSettings

_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class TrainingSettings:
    """How sites train and how their updates are weighted.

    Attributes:
        rounds: communication rounds; with ``continues`` those of the earlier job count too.
        continues: id of an earlier job of the same lead, whose run this one goes on with, to more
            rounds than were planned; empty for a run of its own.
        steps: optimiser steps per site and round.
        minutes: a site's round ends with the first step after so many minutes of training, if that
            is before its steps are done, so that a slow site does not set the pace; 0 for no limit.
            Results then depend on how fast machines are.
        batch: patches per step.
        learning_rate: of AdamW at the first step.
        weight_decay: of AdamW.
        schedule: learning rate over all rounds: ``poly`` (power 0.9), ``cosine`` or ``constant``.
        warmup: share of all steps over which the learning rate rises linearly from 0.
        loss: a registered loss.
        distillation: weight of the term that holds a partially labelled site to the received model
            where it cannot tell classes apart; 0 leaves it out.
        modality_dropout: probability that a step drops an image of a case of several modalities,
            never the last one; ``data.missing_channels`` says that a model has to do with fewer.
        gradient_norm: gradients are clipped to this norm.
        client_weight: how updates are weighed, a registered rule.
        server_momentum: share of the last round's step that the server adds to this round's
            (FedAvgM); 0 takes the mean as it is.
        personal: tensors that stay at the site that trains them: ``norm`` for all of normalisation
            layers (FedBN), anything else is a pattern of tensor names such as ``model.2.*``.
        most_cases: a site that registers more training cases, or more validation or test cases of
            one modality, is refused; the server cannot count them.
        aggregator: how updates become one model, a registered aggregator; screening comes before.
        threads: CPU threads per site process; part of a run's identity.
        seed: seeds the initial weights and every draw.
        device: ``auto`` takes a GPU when there is one.
        precision: ``auto`` is mixed precision on a GPU and float32 on a CPU.
    """

    rounds: int = setting(8, low=1, high=10000)
    continues: str = ""
    steps: int = setting(80, low=1, high=100000)
    minutes: float = setting(0.0, low=0.0, high=10_080.0)
    batch: int = setting(2, low=1, high=256)
    learning_rate: float = setting(3e-3, low=1e-8, high=1.0)
    weight_decay: float = setting(1e-4, low=0.0, high=1.0)
    schedule: str = setting("poly", choices=("poly", "cosine", "constant"))
    warmup: float = setting(0.02, low=0.0, high=0.5)
    loss: LossSettings = setting("dice_ce", registry=LOSSES)
    distillation: float = setting(1.0, low=0.0, high=100.0)
    modality_dropout: float = setting(0.0, low=0.0, high=0.9)
    gradient_norm: float = setting(12.0, low=1e-3, high=1e6)
    client_weight: WeighingSettings = setting("cases", registry=WEIGHING)
    server_momentum: float = setting(0.0, low=0.0, high=0.99)
    personal: tuple[str, ...] = ()
    most_cases: int = setting(MAX_CASES, low=1, high=MAX_CASES)
    aggregator: AggregatorSettings = setting("mean", registry=AGGREGATORS)
    threads: int = setting(1, low=1, high=256)
    seed: int = setting(0, low=0)
    device: str = setting("auto", choices=("auto", "cpu", "cuda"))
    precision: str = setting("auto", choices=("auto", "float32"))

    def __post_init__(self) -> None:
        """Checks the aggregator against the weights, and the form of a job's id.

        Raises:
            ConfigError: it counts each site once, and weights are asked for; or ``continues`` is no
                id.
        """
        if self.continues and not _JOB_ID.fullmatch(self.continues):
            raise ConfigError(
                f"'training.continues' is {self.continues!r}, which is no job's id; take one of "
                "those that 'nvflare job list' shows"
            )
        if not self.aggregator.weighs and self.client_weight.name != "uniform":
            raise ConfigError(
                f"'training.aggregator' is {self.aggregator.name}, which counts each site once, "
                f"and 'training.client_weight' is {self.client_weight.name}; set that to uniform"
            )


@dataclass(frozen=True)
class EvaluationSettings:
    """How models are scored.

    Attributes:
        overlap: overlap of neighbouring sliding windows, as a share of the window.
        site_models: also scores every site's own last model at every site (n² tasks).
        subsets: scores global models on every subset of the modalities of a test case, the other
            channels set to 0; needs ``data.missing_channels``. Sites' own models, and validation
            cases, are scored with all that a case has.
        overlays: test cases per site that are drawn.
        nsd_tolerance_mm: tolerance of the normalised surface Dice in mm; surfaces are voxels, so
            below every voxel edge of a scan only coinciding voxels count.
        hd95: how the two directions of HD95 become one number: ``max_directed`` is the larger of
            the two percentiles, ``both_directions`` the percentile of both together.
        resamples: without effect since intervals need no resampling; older jobs name it.
    """

    overlap: float = setting(0.5, low=0.0, high=0.9)
    site_models: bool = True
    subsets: bool = False
    overlays: int = setting(1, low=0, high=100)
    nsd_tolerance_mm: float = setting(3.0, low=0.1, high=50.0)
    hd95: str = setting(MAX_DIRECTED, choices=tuple(HD95))
    resamples: int = setting(1000, low=10, high=100000)


@dataclass(frozen=True)
class JobSettings:
    """Everything that decides a run's numbers, apart from the sites' data."""

    name: str
    data: DataSettings
    phantom: PhantomSettings = setting(PhantomSettings)
    augmentation: AugmentationSettings = setting("gin", registry=INTENSITY)
    network: NetworkSettings = setting("unet", registry=NETWORKS)
    training: TrainingSettings = setting(TrainingSettings)
    evaluation: EvaluationSettings = setting(EvaluationSettings)
    compression: CompressionSettings | None = None
    screening: ScreeningSettings = setting(ScreeningSettings)
    waiting: WaitingSettings = setting(WaitingSettings)
    privacy: NoiseSettings | None = None
    encryption: EncryptionSettings | None = None

    def __post_init__(self) -> None:
        """Checks what spans sections.

        Raises:
            ConfigError: the network's levels do not divide the patch or leave one voxel of it, its
                normalisation layers shall stay at the sites and hold nothing, or subsets of
                modalities shall be scored that the network is not made for.
        """
        if self.evaluation.subsets and not self.data.missing_channels:
            raise ConfigError(
                "'evaluation.subsets' is true and 'data.missing_channels' is not, so the job's "
                "network needs every channel; set both to true, or subsets to false"
            )
        if NORM in self.training.personal and self.network.norm_remedy:
            raise ConfigError(
                f"'training.personal' is {NORM}, and no normalisation layer of the network holds a "
                f"tensor: {self.network.norm_remedy}"
            )
        if self.network.needs_channels and not self.data.channels:
            raise ConfigError(
                f"network '{self.network.name}' takes one image per modality, and 'data.channels' "
                "is empty; list the job's modalities there"
            )
        if self.training.modality_dropout and not self.data.missing_channels:
            raise ConfigError(
                f"'training.modality_dropout' is {self.training.modality_dropout}, and every case "
                "of the job has every channel; set it to 0, or 'data.missing_channels' to true"
            )
        self._check_patch()
        self._check_privacy()
        self._check_encryption()

    @property
    def stays_at_sites(self) -> bool:
        """Whether the server never has a whole model in the clear: each site writes its own."""
        return bool(self.training.personal) or self.encryption is not None

    def _check_privacy(self) -> None:
        """What noise on the weights would not protect."""
        if self.privacy is None:
            return
        if self.evaluation.site_models:
            raise ConfigError(
                "'privacy' is set, and 'evaluation.site_models' would send each site's own model "
                "without noise; set it to false"
            )
        if self.training.client_weight.asks_quality:
            raise ConfigError(
                "'privacy' is set, and 'training.client_weight' weighs by the quality of training "
                "data, which has no noise; set 'training.client_weight.quality' to 0"
            )
        if self.network.has_memory:
            raise ConfigError(
                "'privacy' is set, and 'network.prototypes' would send means of features without "
                "noise; set it to false"
            )

    def _check_encryption(self) -> None:
        """What the server would have to read, or what would leave in the clear."""
        if self.encryption is None:
            return
        training, network = self.training, self.network
        for wrong, setting_, remedy in (
            (self.evaluation.site_models, "evaluation.site_models", "set it to false"),
            (self.compression is not None, "compression", "leave it out"),
            (bool(training.personal), "training.personal", "leave it out"),
            (training.server_momentum > 0, "training.server_momentum", "set it to 0"),
            (training.aggregator.name != "mean", "training.aggregator", "set it to mean"),
            (training.client_weight.reads_updates, "training.client_weight", "set it to cases"),
            (network.needs_channels, "network", "take one that has all tensors at every site"),
        ):
            if wrong:
                raise ConfigError(
                    f"'encryption' is set, and '{setting_}' needs updates or models that can be "
                    f"read: {remedy}"
                )

    def _check_patch(self) -> None:
        multiple, patch = self.network.patch_multiple, list(self.data.patch)
        if any(edge % multiple for edge in patch):
            raise ConfigError(
                f"'data.patch' is {patch}; with {self.network.levels} each edge must be a multiple "
                f"of {multiple}"
            )
        if max(patch) == multiple:
            raise ConfigError(
                f"'data.patch' is {patch}; with {self.network.levels} the deepest level would be a "
                "single voxel, with nothing to normalise over or attend to: take "
                f"{[2 * multiple] * 3} or more, at least along one axis"
            )


def read_job(path: Path) -> JobSettings:
    """Reads ``training.json``.

    Raises:
        ConfigError: names the key, the file and the allowed values.
    """
    return build(JobSettings, read_json(path), str(path))


def job_from(mapping: Mapping[str, Any], where: str = "job") -> JobSettings:
    """Builds job settings from a parsed object."""
    return build(JobSettings, mapping, where)
