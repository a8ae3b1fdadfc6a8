"""What becomes of what compression left out at a site whose update did not count in full.

What a site's messages have left out so far comes with later ones. Where the server refused an
update, shortened it or went back to an earlier model, what the update left out must not come later
either: a course that was given up would go on at the sites.
"""

from collections.abc import Collection, Mapping

from fedvox.aggregation.memory import Memory

LEFT_OUT = "left_out"
"""Name of its numbers in the memory: site -> last such round, and the share that counted in it."""
EVERYBODY = ""
"""In place of a site's name."""


def remember_counted(
    memory: Memory,
    index: int,
    sent: Collection[str] | None,
    counted: Collection[str],
    clips: Mapping[str, float],
) -> Memory:
    """The memory with what counted of a round's updates.

    Args:
        memory: of the round.
        index: the round, from 0.
        sent: sites that sent an update; None where the run went back to an earlier model.
        counted: those of them whose update is in the mean.
        clips: site -> share of its update's step that counts, of those that may be shortened.
    """
    before = memory.numbers.get(LEFT_OUT, {})
    if sent is None:
        known = {EVERYBODY: [index, 0.0]}
    else:
        shares = {site: clips.get(site, 1.0) if site in counted else 0.0 for site in sorted(sent)}
        known = {site: own for site, own in before.items() if site not in shares}
        known |= {site: [index, share] for site, share in shares.items() if share < 1.0}
    return memory.extended(Memory({}, {LEFT_OUT: known})) if known or before else memory


def counted_share(memory: Memory, site: str) -> tuple[int, float] | None:
    """The last round whose update did not count in full, and the share that did; None for none.

    Args:
        memory: that the round before left.
        site: whose update.
    """
    known = memory.numbers.get(LEFT_OUT, {})
    found = [known[name] for name in (EVERYBODY, site) if name in known]
    if not found:
        return None
    index, share = max(found, key=lambda entry: int(entry[0]))
    return int(index), float(share)
