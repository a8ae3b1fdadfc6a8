"""One round at the server: screen, store, weigh, average, record."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fedvox.admission.registration import Registration
from fedvox.aggregation import AGGREGATORS
from fedvox.aggregation.attachment import attached_tensors, merge_attached, screen_attached, silence
from fedvox.aggregation.claims import recorded
from fedvox.aggregation.guard import judge
from fedvox.aggregation.left_out import remember_counted
from fedvox.aggregation.mean import owner_shares
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.refusals import Refusals
from fedvox.aggregation.rollback import fall
from fedvox.aggregation.round_record import contributor_entries, round_record
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.screening import check_modalities, screen
from fedvox.aggregation.selection import checked_scores, pool_validation, selection_score
from fedvox.aggregation.server_momentum import MOMENTUM, momentum_step
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.traffic import Traffic
from fedvox.aggregation.update import Arrays, Update, distance, entries_of, shortened, size_of
from fedvox.aggregation.weighing import build_weighing
from fedvox.aggregation.weighing.share import Share
from fedvox.data.settings import by_modality
from fedvox.errors import OutOfTurn, UpdateRefused


class Round:
    """Collects the updates of one round and turns them into the next global model.

    Args:
        index, model: the round, from 0, and the global model that was sent to the sites.
        store: where screened updates wait.
        rules: what is the same in every round.
        registered: site -> modality -> training cases that it registered; who is not in it has no
            weight. None where nobody registers.
        validation: site -> modality -> validation cases that it registered; None where nobody
            registers.
        memory: what the round before left.
        travelling: site -> tensors that it got and has to send, as it registered; who is not in it
            has all. None where every site has all.
        best: reads the best earlier model; gives None where there is none.

    Attributes:
        memory: what the next round needs, once the round is closed.
        refusals: what was refused so far, by the round and by who feeds it.
    """

    def __init__(
        self,
        index: int,
        model: Arrays,
        store: UpdateStore,
        rules: RoundRules,
        registered: Mapping[str, Mapping[str, int]] | None = None,
        validation: Mapping[str, Mapping[str, int]] | None = None,
        memory: Memory | None = None,
        travelling: Mapping[str, Collection[str]] | None = None,
        best: Callable[[], Arrays | None] = lambda: None,
    ) -> None:
        self.index = index
        self.model = model
        self.store = store
        self.rules = rules
        self.network = rules.network
        self.registered = None if registered is None else dict(registered)
        self.validation = None if validation is None else dict(validation)
        self.weigh = build_weighing(rules.rule)
        self.aggregate = AGGREGATORS[rules.aggregator.name](rules.aggregator)
        self.memory = memory or Memory()
        self.travelling = travelling
        self.best = best
        self.started = time.monotonic()
        self.accepted: dict[str, Update] = {}
        self.contributors: dict[str, dict[str, Any]] = {}
        self.refusals = Refusals()
        self.scores: dict[str, dict[str, tuple[float, int]]] = {}
        self.clips: Mapping[str, float] = {}
        self.notes: list[str] = []

    def accept(self, update: Update, own: Registration | None = None) -> None:
        """Screens an update and stores it; its validation counts even if it is refused.

        The validation is that of the model which the site received, not of its update.

        Args:
            update: the update with its claims.
            own: what the site holds now, which bounds its claims; what counts is bounded by
                ``registered`` and ``validation`` all the same. None to hold it against these.

        Raises:
            UpdateRefused: with the reason, which the record keeps as well.
        """
        try:
            cases = self._entitled(update, own)
            self._keep_scores(update, own)
            check_modalities(update, own)
            sent = self.sent_to(update.site)
            self._screen(update, sent, cases)
            held = None if own is None else by_modality(own.training)
            screen_attached(update.attached, self.model, held)
        except UpdateRefused as refusal:
            self.refusals.add(update.site, str(refusal), not isinstance(refusal, OutOfTurn))
            raise
        self.store.put(self.index, update.site, update.arrays)
        self.contributors[update.site] = {
            "site": update.site,
            **recorded(update),
            "val_dice": self._site_dice(update.site),
            "update_norm": self._norm(update, sent),
            "answer_seconds": round(time.monotonic() - self.started, 3),
            "bytes_up": size_of(update.arrays),
            "bytes_down": size_of(sent),
        }
        self.accepted[update.site] = self._counted(update)

    def _screen(self, update: Update, sent: Arrays, cases: int | None) -> None:
        screen(update, sent, self.index, self.accepted, cases, self.rules.counted_steps)

    def _norm(self, update: Update, sent: Arrays) -> float | None:
        return distance(update.arrays, sent)

    def _counted(self, update: Update) -> Update:
        """An update as rules see it: without arrays, with the cases that its site registered and
        the scores that count."""
        sent, scores = frozenset(update.arrays), self.scores.get(update.site, {})
        seen = replace(update, arrays={}, sent=sent, validation=scores, training={})
        if self.registered is None:
            return seen
        training = self.registered[update.site]
        cases = min(update.cases, sum(training.values()))
        return replace(seen, cases=cases, training=dict(training))

    def _entitled(self, update: Update, own: Registration | None) -> int | None:
        """Training cases that the site may claim, None where nobody registers."""
        if self.registered is None:
            return None
        if not any(self.registered.get(update.site, {}).values()):
            raise OutOfTurn("not registered: it was not admitted before this round")
        return sum(self.registered[update.site].values()) if own is None else own.cases

    def sent_to(self, site: str) -> Arrays:
        """The tensors of the global model that a site got."""
        if self.travelling is None or site not in self.travelling:
            return self.model
        own = self.travelling[site]
        return {name: array for name, array in self.model.items() if name in own}

    def _keep_scores(self, update: Update, own: Registration | None) -> None:
        """Keeps what the site says of the received model, once, as registered."""
        if update.round != self.index or update.site in self.scores:
            return
        held = None if self.validation is None else self.validation.get(update.site, {})
        now = None if own is None else own.validation
        kept, odd = checked_scores(update.validation, held, now)
        self.scores[update.site] = kept
        self.notes += [f"{update.site}: {text}; it has no say in the choice" for text in odd[:8]]

    def _site_dice(self, site: str) -> float | None:
        return selection_score(pool_validation([self.scores.get(site, {})]))

    def close(
        self, traffic: Mapping[str, Traffic] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Weighs and averages what was accepted; what nobody sent stays as it was.

        Args:
            traffic: site -> bytes of the round's messages, whatever became of them; None for those
                of the accepted arrays.

        Returns:
            The next global model and the round's record for ``rounds.jsonl``.
        """
        model = {name: np.asarray(array) for name, array in self.model.items()}
        shares: dict[str, Share] = {}
        heard = set(self.accepted) | self.refusals.sites()
        earlier = self._earlier()
        if earlier is None:
            self._judge()
            shares, following = self._mean()
            model |= following
        self.store.drop(self.index)
        self.notes += silence(self.accepted, self.network) if self.index == 0 else []
        model |= attached_tensors(self.memory, model)
        if earlier is not None:
            model |= {name: np.asarray(array) for name, array in earlier.items()}
        if self.rules.downlink is not None:
            sent = None if earlier is not None else {*self.contributors, *self.refusals.unfit}
            self.memory = remember_counted(self.memory, self.index, sent, shares, self.clips)
            model, self.memory = self._down(model, earlier is not None)
        record = round_record(
            self.index,
            time.monotonic() - self.started,
            contributor_entries(self.contributors, shares, self.clips, traffic),
            self.refusals.entries,
            self.registered or (),
            heard,
            self.notes,
            self.scores,
            traffic,
            earlier is not None,
        )
        return model, record

    def _earlier(self) -> Arrays | None:
        """The model that the run goes back to, None where the received one has not collapsed."""
        if self.rules.screening is None or not self.rules.screening.rollback:
            return None
        found = fall(self.scores, self.memory, self.rules.screening.rollback)
        self.memory = self.memory.extended(found.memory)
        earlier = self.best() if found.collapsed else None
        if earlier is not None:
            self.notes.append(found.note(self.rules.screening.rollback))
        return earlier

    def _judge(self) -> None:
        """Holds the accepted updates against each other: who counts, and how much of a step."""
        if self.rules.screening is None or len(self.registered or self.accepted) < 2:
            return
        lengths = {site: self._length(site) for site in self.accepted}
        found = judge(lengths, self.refusals.unfit, self.memory, self.rules.screening)
        for site, reason in found.refused.items():
            self.refusals.add(site, reason)
            del self.accepted[site]
        self.clips = found.shares
        self.notes += found.notes
        self.memory = self.memory.extended(found.memory)

    def _length(self, site: str) -> float:
        norm: float = self.contributors[site]["update_norm"]
        return norm / max(1, entries_of(self.sent_to(site))) ** 0.5

    def _mean(self) -> tuple[dict[str, Share], dict[str, np.ndarray]]:
        """Weights and the next values of what was sent; nothing where they would overflow."""
        if not self.accepted:
            return {}, {}
        shares, more = self.weigh(self.accepted, self._read, self.model, self.memory)
        following, memory = self._step(shares, self.memory.extended(more))
        if all(np.isfinite(array).all() for array in following.values()):
            self.memory = merge_attached(self.accepted, memory, self.network)
            return shares, dict(following)
        for site in self.accepted:
            self.refusals.add(site, "not finite: the mean of this round's updates overflows")
        return {}, {}

    def _down(
        self, model: dict[str, np.ndarray], whole: bool
    ) -> tuple[dict[str, np.ndarray], Memory]:
        """The model as it goes down, compressed, or whole where it is no step from the last."""
        assert self.rules.downlink is not None
        if whole:
            return model, self.rules.downlink.forgotten(self.memory)
        own = frozenset(filter(self.network.of_server, model))
        return self.rules.downlink.step(
            self.index, self.model, model, self.memory, self.travelling, own
        )

    def _read(self, site: str, name: str) -> np.ndarray:
        array = self.store.read(self.index, site, name)
        return shortened(array, self.model[name], self.clips.get(site, 1.0))

    def _step(self, shares: Mapping[str, Share], memory: Memory) -> tuple[Arrays, Memory]:
        """The next values of the tensors that somebody sent, and what is remembered of the step."""
        weights = {site: share.weight for site, share in shares.items()}
        owners = owner_shares(weights, self.travelling, self._part)
        owned = {name: array for name, array in self.model.items() if owners(name)}
        mean = self.aggregate(owned, self._read, owners)
        if not self.rules.momentum:
            return mean, memory
        known = memory.arrays
        velocity = {n: known[f"{MOMENTUM}{n}"] for n in mean if f"{MOMENTUM}{n}" in known}
        following, kept = momentum_step(owned, mean, velocity, self.rules.momentum)
        arrays = {**known, **{f"{MOMENTUM}{name}": array for name, array in kept.items()}}
        return following, Memory(arrays, memory.numbers)

    def _part(self, site: str, name: str) -> float:
        """Share of a site's training cases that have the modality which a tensor belongs to."""
        if self.network.of_server(name):
            return 0.0
        modality, cases = self.network.modality_of(name), self.accepted[site].training
        if modality is None or not cases:
            return 1.0
        return by_modality(cases).get(modality, 0) / sum(cases.values())
