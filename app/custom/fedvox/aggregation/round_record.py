"""A round as it stands in ``rounds.jsonl``."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fedvox.aggregation.selection import pool_validation
from fedvox.aggregation.traffic import Traffic
from fedvox.aggregation.weighing.share import Share

Entry = dict[str, Any]


def contributor_entries(
    contributors: Mapping[str, Entry],
    shares: Mapping[str, Share],
    clips: Mapping[str, float],
    traffic: Mapping[str, Traffic] | None,
) -> list[Entry]:
    """The sites that counted, by name, each with its weight and why.

    Args:
        contributors: site -> what was noted when its update was taken.
        shares: site -> weight, of those that counted.
        clips: site -> share of its update's step that counted.
        traffic: site -> bytes of the round's messages; None for those of the arrays.
    """
    total = sum(shares[site].weight for site in sorted(shares))
    entries = []
    for site, share in sorted(shares.items()):
        place, modality, *rest = contributors[site].items()
        weight = {"weight": share.weight / total, "reason": share.reason}
        weight["clip"] = clips.get(site, 1.0)
        terms = {"terms": dict(share.terms)} if share.terms else {}
        entry = dict((place, modality)) | weight | terms | dict(rest)
        if traffic is not None:
            own = traffic.get(site, Traffic())
            entry |= {"bytes_up": own.up, "bytes_down": own.down}
        entries.append(entry)
    return entries


def round_record(
    index: int,
    seconds: float,
    contributors: Sequence[Entry],
    refused: Sequence[Mapping[str, str]],
    registered: Collection[str],
    heard: Collection[str],
    notes: Sequence[str],
    scores: Mapping[str, Mapping[str, tuple[float, int]]],
    traffic: Mapping[str, Traffic] | None,
    rolled_back: bool,
) -> Entry:
    """The record.

    Args:
        index: the round, from 0.
        seconds: its wall time.
        contributors: from :func:`contributor_entries`.
        refused: ``site`` and ``reason`` of each refusal.
        registered: sites that take part.
        heard: sites of which something came; the others were lost, failed or too slow.
        notes: what else is to be said.
        scores: site -> modality -> (mean Dice, cases) of the received model.
        traffic: site -> bytes of the round's messages; None for those of the contributors.
        rolled_back: whether an earlier model was taken up again.
    """
    if traffic is None:
        traffic = {e["site"]: Traffic(e["bytes_up"], e["bytes_down"]) for e in contributors}
    told = {site: own for site, own in sorted(scores.items()) if own}
    return {
        "round": index,
        "seconds": round(seconds, 3),
        "bytes_up": sum(own.up for own in traffic.values()),
        "bytes_down": sum(own.down for own in traffic.values()),
        "contributors": list(contributors),
        "refused": sorted(refused, key=lambda entry: (entry["site"], entry["reason"])),
        "missing": sorted(set(registered) - set(heard)),
        "registered": sorted(registered),
        "rolled_back": rolled_back,
        "notes": list(notes),
        "validation": pool_validation(list(told.values())),
        "scores": {s: {m: [d, n] for m, (d, n) in own.items()} for s, own in told.items()},
    }
