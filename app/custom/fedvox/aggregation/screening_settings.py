"""What a job says of updates that are unlike the others."""

from dataclasses import dataclass

from fedvox.config import setting
from fedvox.errors import ConfigError


@dataclass(frozen=True)
class ScreeningSettings:
    """How updates are held against those of the other sites and of the rounds before.

    The length of an update is the root mean square of what it changes, per weight. The running
    median is that of this round where three sites or more sent something; else that of the lengths
    that counted in the last rounds, or the shorter of this round's two if it is more.

    Attributes:
        clip: updates longer than so many running medians are shortened to them; 0 leaves all as
            long as they are.
        refuse: updates longer than so many running medians are refused; 0 refuses none for its
            length.
        rounds: rounds whose lengths the running median spans.
        suspend: refusals in a row after which a site's updates do not count, until as many in a row
            were good; 0 suspends nobody.
        rollback: where the validation Dice of the received model has fallen below this share of the
            best so far at more than half of the sites, the round is left out and the best earlier
            model is taken up again; 0 never does.
    """

    clip: float = setting(3.0, low=0.0, high=1000.0)
    refuse: float = setting(5.0, low=0.0, high=1000.0)
    rounds: int = setting(5, low=1, high=100)
    suspend: int = setting(2, low=0, high=100)
    rollback: float = setting(0.5, low=0.0, high=0.95)

    def __post_init__(self) -> None:
        """Checks the bounds against each other.

        Raises:
            ConfigError: what is below 1 would shorten or refuse the median itself, or nothing could
                be shortened since it is refused before.
        """
        for name, value in (("clip", self.clip), ("refuse", self.refuse)):
            if 0.0 < value < 1.0:
                raise ConfigError(
                    f"'screening.{name}' is {value:g}: a usual update would not pass; take 0 for "
                    "no bound, or 1 or more"
                )
        if self.clip and self.refuse and self.clip > self.refuse:
            raise ConfigError(
                f"'screening.clip' is {self.clip:g} and 'screening.refuse' {self.refuse:g}: what "
                "is refused cannot be shortened; lower the one or raise the other"
            )
