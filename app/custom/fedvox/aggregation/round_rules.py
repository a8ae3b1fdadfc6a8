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
        fewer: whether a site may take fewer steps, since its minutes ran out.
    """

    rule: WeighingSettings | str = "cases"
    aggregator: AggregatorSettings = field(default_factory=AggregatorSettings)
    steps: int | None = None
    momentum: float = 0.0
    downlink: Downlink | None = None
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(""))
    screening: ScreeningSettings | None = None
    fewer: bool = False

    @property
    def counted_steps(self) -> range | None:
        """The steps that an update may claim, None where they decide nothing."""
        if self.steps is None or weighing_settings(self.rule).name != "steps":
            return None
        return range(1 if self.fewer else self.steps, self.steps + 1)
