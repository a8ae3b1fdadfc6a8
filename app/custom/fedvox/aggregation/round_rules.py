"""What is the same in every round of a run."""

from dataclasses import dataclass, field

from fedvox.aggregation.aggregator_settings import AggregatorSettings
from fedvox.aggregation.downlink import Downlink
from fedvox.aggregation.screening_settings import ScreeningSettings
from fedvox.aggregation.weighing import weighing_settings
from fedvox.aggregation.weighing.settings import WeighingSettings
from fedvox.networks.settings import NetworkSettings


@dataclass(frozen=True)
class RoundRules:
    """How updates become the next model.

    Attributes:
        rule: how sites are weighted: settings, or a name of
            :data:`fedvox.aggregation.weighing.WEIGHING` for its defaults.
        aggregator: how updates become one model.
        steps: optimiser steps of a site in a round; the rule ``steps`` takes no other number.
        momentum: of the server's step from one model to the next.
        downlink: how the next model goes down; None for the mean as it is.
        network: the job's; says which tensors belong to one modality, and what becomes of
            attachments.
        screening: how updates are held against each other; None does not.
    """

    rule: WeighingSettings | str = "cases"
    aggregator: AggregatorSettings = field(default_factory=AggregatorSettings)
    steps: int | None = None
    momentum: float = 0.0
    downlink: Downlink | None = None
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(""))
    screening: ScreeningSettings | None = None

    @property
    def exact_steps(self) -> int | None:
        """The steps that an update has to claim, None where they decide nothing."""
        return self.steps if weighing_settings(self.rule).name == "steps" else None
