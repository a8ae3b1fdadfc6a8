"""One round at the server: screen, store, weigh, average, record."""

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fedvox.admission.registration import Registration
from fedvox.aggregation import AGGREGATORS
from fedvox.aggregation.attachment import attached_tensors, merge_attached, screen_attached, silence
from fedvox.aggregation.claims import recorded
from fedvox.aggregation.downlink import Downlink
from fedvox.aggregation.mean import owner_shares
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.screening import screen
from fedvox.aggregation.selection import checked_scores, pool_validation, selection_score
from fedvox.aggregation.server_momentum import MOMENTUM, momentum_step
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.traffic import Traffic
from fedvox.aggregation.update import Arrays, Update
from fedvox.aggregation.weighing import build_weighing, weighing_settings
from fedvox.aggregation.weighing.settings import WeighingSettings
from fedvox.aggregation.weighing.share import Share
from fedvox.data.settings import by_modality
from fedvox.errors import UpdateRefused
from fedvox.networks.settings import NetworkSettings

MOST_REFUSALS = 10
"""Refusals of one site in one round that its record holds."""


class Round:
    """Collects the updates of one round and turns them into the next global model.

    Args:
        index: the round, from 0.
        model: the global model that was sent to the sites.
        store: where screened updates wait.
        rule: how sites are weighted: settings, or a name of
            :data:`fedvox.aggregation.weighing.WEIGHING` for its defaults.
        registered: site -> modality -> training cases that it registered; who is not in it has no
            weight. None where nobody registers.
        aggregator: a registered aggregator.
        validation: site -> modality -> validation cases that it registered; None where nobody
            registers.
        steps: optimiser steps of a site in a round; the rule ``steps`` takes no other number.
        momentum: of the server's step from one model to the next.
        memory: what the round before left.
        travelling: site -> tensors that it got and has to send, as it registered; who is not in it
            has all. None where every site has all.
        downlink: how the next model goes down; None for the mean as it is.
        network: the job's; says which tensors belong to one modality, and what becomes of
            attachments. None for one without either.

    Attributes:
        memory: what the next round needs, once the round is closed.
    """

    def __init__(
        self,
        index: int,
        model: Arrays,
        store: UpdateStore,
        rule: WeighingSettings | str,
        registered: Mapping[str, Mapping[str, int]] | None = None,
        aggregator: str = "mean",
        validation: Mapping[str, Mapping[str, int]] | None = None,
        steps: int | None = None,
        momentum: float = 0.0,
        memory: Memory | None = None,
        travelling: Mapping[str, Collection[str]] | None = None,
        downlink: Downlink | None = None,
        network: NetworkSettings | None = None,
    ) -> None:
        self.index = index
        self.model = model
        self.store = store
        self.registered = None if registered is None else dict(registered)
        self.validation = None if validation is None else dict(validation)
        self.steps = steps if weighing_settings(rule).name == "steps" else None
        self.weigh = build_weighing(rule)
        self.aggregate = AGGREGATORS[aggregator]
        self.momentum = momentum
        self.memory = memory or Memory()
        self.travelling = travelling
        self.downlink = downlink
        self.network = network or NetworkSettings("")
        self.started = time.monotonic()
        self.accepted: dict[str, Update] = {}
        self.contributors: dict[str, dict[str, Any]] = {}
        self.refused: list[dict[str, str]] = []
        self.scores: dict[str, dict[str, tuple[float, int]]] = {}
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
            _check_modalities(update, own)
            sent = self.sent_to(update.site)
            screen(update, sent, self.index, self.accepted, cases, self.steps)
            held = None if own is None else by_modality(own.training)
            screen_attached(update.attached, self.model, held)
        except UpdateRefused as refusal:
            self.refuse(update.site, str(refusal))
            raise
        self.store.put(self.index, update.site, update.arrays)
        self.contributors[update.site] = {
            "site": update.site,
            **recorded(update),
            "val_dice": self._site_dice(update.site),
            "update_norm": _distance(update.arrays, sent),
            "answer_seconds": round(time.monotonic() - self.started, 3),
            "bytes_up": _size(update.arrays),
            "bytes_down": _size(sent),
        }
        self.accepted[update.site] = self._counted(update)

    def refuse(self, site: str, reason: str) -> None:
        """Records a refusal, each once and of each site no more than a few."""
        entry = {"site": site, "reason": reason}
        own = [known for known in self.refused if known["site"] == site]
        if entry not in own and len(own) < MOST_REFUSALS:
            self.refused.append(entry)

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
            raise UpdateRefused("not registered: it was not admitted before this round")
        return sum(self.registered[update.site].values()) if own is None else own.cases

    def sent_to(self, site: str) -> Arrays:
        """The tensors of the global model that a site got."""
        if self.travelling is None or site not in self.travelling:
            return self.model
        own = self.travelling[site]
        return {name: array for name, array in self.model.items() if name in own}

    def _keep_scores(self, update: Update, own: Registration | None) -> None:
        """Keeps what the site says of the received model, once, as far as it is registered."""
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
        if self.accepted:
            shares, more = self.weigh(self.accepted, self._read, self.model, self.memory)
            following, memory = self._step(shares, self.memory.extended(more))
            if all(np.isfinite(array).all() for array in following.values()):
                self.memory = merge_attached(self.accepted, memory, self.network)
                model = model | dict(following)
            else:
                for site in self.contributors:
                    self.refuse(site, "not finite: the mean of this round's updates overflows")
                shares = {}
        self.store.drop(self.index)
        self.notes += silence(self.accepted, self.network) if self.index == 0 else []
        model |= attached_tensors(self.memory, model)
        if self.downlink is not None:
            own = frozenset(filter(self.network.of_server, model))
            model, self.memory = self.downlink.step(
                self.index, self.model, model, self.memory, self.travelling, own
            )
        return model, self._record(shares, traffic)

    def _read(self, site: str, name: str) -> np.ndarray:
        return self.store.read(self.index, site, name)

    def _step(self, shares: Mapping[str, Share], memory: Memory) -> tuple[Arrays, Memory]:
        """The next values of the tensors that somebody sent, and what is remembered of the step."""
        weights = {site: share.weight for site, share in shares.items()}
        owners = owner_shares(weights, self.travelling, self._part)
        owned = {name: array for name, array in self.model.items() if owners(name)}
        mean = self.aggregate(owned, self._read, owners)
        if not self.momentum:
            return mean, memory
        known = memory.arrays
        velocity = {n: known[f"{MOMENTUM}{n}"] for n in mean if f"{MOMENTUM}{n}" in known}
        following, kept = momentum_step(owned, mean, velocity, self.momentum)
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

    def _record(
        self, shares: Mapping[str, Share], traffic: Mapping[str, Traffic] | None
    ) -> dict[str, Any]:
        total = sum(shares[site].weight for site in sorted(shares))
        contributors = []
        for site, share in sorted(shares.items()):
            place, modality, *rest = self.contributors[site].items()
            weight = {"weight": share.weight / total, "reason": share.reason}
            terms = {"terms": dict(share.terms)} if share.terms else {}
            contributors.append(dict((place, modality)) | weight | terms | dict(rest))
        if traffic is None:
            traffic = {e["site"]: Traffic(e["bytes_up"], e["bytes_down"]) for e in contributors}
        for entry in contributors:
            own = traffic.get(entry["site"], Traffic())
            entry |= {"bytes_up": own.up, "bytes_down": own.down}
        scores = {site: own for site, own in sorted(self.scores.items()) if own}
        return {
            "round": self.index,
            "seconds": round(time.monotonic() - self.started, 3),
            "bytes_up": sum(own.up for own in traffic.values()),
            "bytes_down": sum(own.down for own in traffic.values()),
            "contributors": contributors,
            "refused": sorted(self.refused, key=lambda entry: (entry["site"], entry["reason"])),
            "missing": self._missing(),
            "registered": sorted(self.registered or ()),
            "notes": self.notes,
            "validation": pool_validation(list(scores.values())),
            "scores": {s: {m: [d, n] for m, (d, n) in own.items()} for s, own in scores.items()},
        }

    def _missing(self) -> list[str]:
        """Registered sites of which nothing came: lost, failed or too slow."""
        heard = set(self.accepted) | {entry["site"] for entry in self.refused}
        return sorted(set(self.registered or ()) - heard)


def _check_modalities(update: Update, own: Registration | None) -> None:
    """An update is of the modalities that its site trains, as it registered."""
    if own is not None and sorted(filter(None, update.modality.split(","))) != own.trained:
        raise UpdateRefused(
            f"claims to be of {update.modality or 'no modality'}, registered training cases of "
            f"{', '.join(own.trained)}"
        )


def _distance(arrays: Arrays, model: Arrays) -> float:
    """``‖local − global‖`` over all tensors, in float64."""
    squares = (
        float(np.square(arrays[n].astype(np.float64) - model[n].astype(np.float64)).sum())
        for n in model
    )
    return float(np.sqrt(sum(squares)))


def _size(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())
