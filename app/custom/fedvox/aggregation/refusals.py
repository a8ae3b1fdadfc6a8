"""What one round refused: whose message, why, and whether the message itself was wrong."""

MOST_REFUSALS = 10
"""Refusals of one site in one round that its record holds."""


class Refusals:
    """The refusals of a round.

    Attributes:
        entries: ``site`` and ``reason`` of each, in the order in which they came.
        unfit: sites of which a message itself was wrong, which may suspend them.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self.unfit: set[str] = set()

    def add(self, site: str, reason: str, unfit: bool = False) -> None:
        """Records a refusal, each once and of each site no more than :data:`MOST_REFUSALS`.

        Args:
            site: whose message is refused.
            reason: why.
            unfit: the message itself is wrong.
        """
        if unfit:
            self.unfit.add(site)
        entry = {"site": site, "reason": reason}
        own = [known for known in self.entries if known["site"] == site]
        if entry not in own and len(own) < MOST_REFUSALS:
            self.entries.append(entry)

    def sites(self) -> set[str]:
        """Those of whom something was refused."""
        return {entry["site"] for entry in self.entries}
