"""What an aggregator may be told."""

from dataclasses import dataclass

from fedvox.config import setting


@dataclass(frozen=True)
class AggregatorSettings:
    """What every aggregator's settings say.

    Attributes:
        name: how updates become one model, a registered aggregator; it decides which further keys
            there are. `"aggregator": "mean"` is short for a section with nothing but its name.
    """

    name: str = "mean"

    @property
    def weighs(self) -> bool:
        """Whether sites count by their weights, or each once."""
        return True


@dataclass(frozen=True)
class EachOnceSettings(AggregatorSettings):
    """An aggregator that no weight reaches.

    Attributes:
        name: how updates become one model, a registered aggregator; it decides which further keys
            there are. `"aggregator": "mean"` is short for a section with nothing but its name.
    """

    name: str = "median"

    @property
    def weighs(self) -> bool:
        """Every site counts once."""
        return False


@dataclass(frozen=True)
class TrimmedMeanSettings(EachOnceSettings):
    """The mean without the smallest and the largest values.

    Attributes:
        name: how updates become one model, a registered aggregator; it decides which further keys
            there are. `"aggregator": "mean"` is short for a section with nothing but its name.
        trim: of `trimmed_mean`: share of the sites whose values are left out at either end of each
            weight; at least one site each where there are three.
    """

    name: str = "trimmed_mean"
    trim: float = setting(0.2, low=0.0, high=0.49)
