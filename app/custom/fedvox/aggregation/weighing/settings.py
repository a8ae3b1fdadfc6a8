"""What a weighing rule may be told."""

from dataclasses import dataclass

from fedvox.config import setting
from fedvox.errors import ConfigError


@dataclass(frozen=True)
class WeighingSettings:
    """What every rule's settings say.

    Attributes:
        name: how updates are weighed, a registered rule; it decides which further keys there are.
            `"client_weight": "cases"` is short for a section with nothing but its name.
    """

    name: str = "cases"

    @property
    def by_cases(self) -> bool:
        """Whether a site that registers most cases outweighs the rest without a bound."""
        return self.name == "cases"

    @property
    def asks_quality(self) -> bool:
        """Whether the quality that sites claim of their data changes a weight."""
        return False

    @property
    def reads_updates(self) -> bool:
        """Whether what updates hold changes a weight."""
        return False


@dataclass(frozen=True)
class AdaptiveSettings(WeighingSettings):
    """Cases, data quality, performance and divergence, each a switch.

    Attributes:
        name: how updates are weighed, a registered rule; it decides which further keys there are.
            `"client_weight": "cases"` is short for a section with nothing but its name.
        cases: of `adaptive`: power of the training cases; 1 is the weighted mean, 0 leaves them
            out.
        quality: of `adaptive`: power of the data quality that a site claims; 0 leaves it out.
        dice: of `adaptive`: how much a good validation Dice of the received model counts; 0 leaves
            it out.
        divergence: of `adaptive`: how much an update that is longer than the others' or points
            elsewhere counts less; 0 leaves it out, a negative number rewards it, as FedCE does.
        least_quality: of `adaptive`: a claimed quality below it counts as it.
        least: of `adaptive`: smallest share of a site in a round.
        most: of `adaptive`: largest share of a site in a round; both give way where the sites are
            too few, or too many, for them.
        smoothing: of `adaptive`: share of a site's average over the rounds before in its weight; 0
            looks at this round only.
    """

    name: str = "adaptive"
    cases: float = setting(1.0, low=0.0, high=2.0)
    quality: float = setting(4.0, low=0.0, high=4.0)
    dice: float = setting(2.0, low=-10.0, high=10.0)
    divergence: float = setting(1.0, low=-5.0, high=5.0)
    least_quality: float = setting(0.05, low=0.001, high=1.0)
    least: float = setting(0.02, low=0.0, high=0.5)
    most: float = setting(0.6, low=0.01, high=1.0)
    smoothing: float = setting(0.5, low=0.0, high=0.99)

    def __post_init__(self) -> None:
        """Checks the bounds against each other.

        Raises:
            ConfigError: no share can lie between them.
        """
        if self.least > self.most:
            raise ConfigError(
                f"'training.client_weight.least' is {self.least} and 'training.client_weight.most' "
                f"{self.most}; a share lies between them: lower the one or raise the other"
            )

    @property
    def by_cases(self) -> bool:
        """Bounded by ``most``, unless that is everything."""
        return self.cases > 0 and self.most == 1.0

    @property
    def asks_quality(self) -> bool:
        """Where the power of the quality is not 0."""
        return self.quality > 0

    @property
    def reads_updates(self) -> bool:
        """It compares directions and lengths, and tells them where they change nothing."""
        return True


@dataclass(frozen=True)
class FedCESettings(WeighingSettings):
    """Contribution by direction and by error.

    Attributes:
        name: how updates are weighed, a registered rule; it decides which further keys there are.
            `"client_weight": "cases"` is short for a section with nothing but its name.
        mode: of `fedce`: whether its two contributions are added (`plus`) or multiplied (`times`).
    """

    name: str = "fedce"
    mode: str = setting("plus", choices=("plus", "times"))

    @property
    def reads_updates(self) -> bool:
        """It compares directions."""
        return True


@dataclass(frozen=True)
class FedPIDSettings(WeighingSettings):
    """Share of cases, drop of the loss in the last round, drop since the first.

    Attributes:
        name: how updates are weighed, a registered rule; it decides which further keys there are.
            `"client_weight": "cases"` is short for a section with nothing but its name.
        share: of `fedpid`: weight of the share of training cases.
        drop: of `fedpid`: weight of the drop of the loss since the site's round before.
        total: of `fedpid`: weight of the drop since the site's first round.
    """

    name: str = "fedpid"
    share: float = setting(0.45, low=0.01, high=1.0)
    drop: float = setting(0.45, low=0.0, high=1.0)
    total: float = setting(0.1, low=0.0, high=1.0)
