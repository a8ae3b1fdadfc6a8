"""A round whose updates the server cannot read: it checks their form and averages them unseen."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fedvox.aggregation.round import Round
from fedvox.aggregation.screening import screen
from fedvox.aggregation.traffic import Traffic
from fedvox.aggregation.update import Arrays, Update
from fedvox.aggregation.weighing.share import Share
from fedvox.encryption.cipher import SEALED, SIZES, check_sealed, is_sealed, sealed_mean
from fedvox.errors import UpdateRefused

TENSEALS = (ValueError, TypeError, RuntimeError)
"""What TenSEAL raises."""
UNSEEN = "updates are encrypted: claims and sizes were checked, what they hold was not"


class SealedRound(Round):
    """As :class:`Round`, for encrypted updates of all tensors of the network.

    Claims are screened and weights bounded as always. A norm, a step that is too long or points
    elsewhere, NaN: nobody can see them here. Sites refuse a model that opens to no weights.

    Args:
        context: TenSEAL's, without the secret key.
        count: numbers in the job's model.
        known: positional arguments of :class:`Round`.
        options: its other arguments.
    """

    def __init__(self, context: Any, count: int, *known: Any, **options: Any) -> None:
        super().__init__(*known, **options)
        self._context, self._count = context, count
        if self.index == 0:
            self.notes.append(UNSEEN)

    def _screen(self, update: Update, sent: Arrays, cases: int | None) -> None:
        screen(update, None, self.index, self.accepted, cases, self.rules.counted_steps)
        try:
            check_sealed(update.arrays, self._count, self._context)
        except TENSEALS as error:
            raise UpdateRefused(f"encrypted: {error}") from None

    def _norm(self, update: Update, sent: Arrays) -> None:
        """Nobody can measure it."""

    def _judge(self) -> None:
        """Nobody can hold the updates against each other."""

    def _mean(self) -> tuple[dict[str, Share], dict[str, np.ndarray]]:
        if not self.accepted:
            return {}, {}
        shares, more = self.weigh(self.accepted, self._read, self.model, self.memory)
        weights = {site: share.weight for site, share in shares.items()}
        try:
            mean = sealed_mean(self._sealed, weights, self._context)
        except TENSEALS as error:
            for site in self.accepted:
                self.refusals.add(site, f"encrypted: the round's mean cannot be taken: {error}")
            return {}, {}
        self.memory = self.memory.extended(more)
        return shares, mean

    def _sealed(self, site: str) -> dict[str, np.ndarray]:
        return {name: self.store.read(self.index, site, name) for name in (SEALED, SIZES)}

    def close(
        self, traffic: Mapping[str, Traffic] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The next model, sealed once somebody trained, and the record."""
        model, record = super().close(traffic)
        if record["rolled_back"]:  # to a sealed model, or to a plain one that nobody trained yet
            return {name: np.asarray(array) for name, array in (self.best() or {}).items()}, record
        sealed = {name: array for name, array in model.items() if name in (SEALED, SIZES)}
        return sealed if is_sealed(sealed) else model, record
