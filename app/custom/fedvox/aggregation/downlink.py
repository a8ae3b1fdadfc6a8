"""The step from a round's mean to the model that sites hold, where what goes down is compressed.

The server keeps one model: the replica that every site holds. A round's mean is not sent; what is
sent is the compressed difference between it and the replica, plus what was left out before, and the
replica moves by just what was sent. So the global model, its checkpoint, its validation and what a
site trains from are the same numbers, and a site that fell behind gets the replica whole. After the
last round nothing is left out: the final model is the exact mean.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays
from fedvox.compression.error_feedback import send
from fedvox.compression.replica import difference, moved, replica_name, step_from, tensor_digest
from fedvox.compression.settings import CompressionSettings, coding
from fedvox.compression.threads import usable_threads

BEHIND = "behind."
"""How the names of arrays in the memory begin that hold what was left out so far."""
SENT = "sent."
"""How the names of arrays in the memory begin that hold the messages of this version."""
DIGEST = "digest."
NUMBERS = "downlink"
"""Name of its numbers in the memory."""


@dataclass(frozen=True)
class Message:
    """What turns one version of some tensors into the next.

    Attributes:
        names: the tensors, sorted.
        payload: their compressed difference.
    """

    names: tuple[str, ...]
    payload: bytes


@dataclass(frozen=True)
class Downlink:
    """How the server's model goes down.

    Attributes:
        settings: of the job's compression.
        rounds: of the run.
    """

    settings: CompressionSettings
    rounds: int

    def step(
        self,
        index: int,
        held: Arrays,
        mean: Arrays,
        memory: Memory,
        travelling: Mapping[str, Collection[str]] | None = None,
        absolute: Collection[str] = (),
    ) -> tuple[dict[str, np.ndarray], Memory]:
        """The model that sites hold next, and the memory with what it takes to get there.

        Args:
            index: the round that is closed, from 0.
            held: the model that sites hold, version ``index``.
            mean: the round's result, every tensor of the model.
            memory: of the round.
            travelling: site -> tensors that it gets; None where all get all.
            absolute: tensors whose new value does not start from what sites hold, such as means of
                features; they travel exactly, in messages of their own: beside steps of weights
                they are large, and would coarsen what shares a range of the quantiser with them.
        """
        known, rest = memory.arrays, self.forgotten(memory)
        arrays, numbers = dict(rest.arrays), dict(rest.numbers)
        stepping = [name for name in held if name not in absolute]
        behind = {n: known[f"{BEHIND}{n}"] for n in stepping if f"{BEHIND}{n}" in known}
        if index + 1 >= self.rounds:
            whole = {name: step_from(mean[name], behind.get(name)) for name in held}
            return whole, Memory(arrays, numbers)
        following = {name: np.asarray(array) for name, array in held.items()}
        groups = owner_groups(held, travelling, absolute)
        for number, names in enumerate(groups):
            own = {name: following[name] for name in names}
            chosen = coding(self.settings, self.settings.down, index)
            if names[0] in absolute:
                chosen = replace(chosen, small=1 + max(array.size for array in own.values()))
            made = send(
                {name: difference(mean[name], array) for name, array in own.items()},
                {name: behind[name] for name in names if name in behind},
                chosen,
                usable_threads(),
            )
            following |= moved(own, made.sent)
            arrays |= {f"{BEHIND}{name}": array for name, array in made.residual.items()}
            arrays[f"{SENT}{number}"] = np.frombuffer(made.payload, np.uint8)
        numbers[NUMBERS] = {
            "base": index,
            "groups": [list(names) for names in groups],
            "digests": {name: tensor_digest(name, array) for name, array in held.items()},
        }
        return following, Memory(arrays, numbers)

    def forgotten(self, memory: Memory) -> Memory:
        """The memory without what leads from one version to the next: the next goes down whole.

        Args:
            memory: of the round.
        """
        kinds = (BEHIND, SENT, DIGEST)
        arrays = {n: array for n, array in memory.arrays.items() if not n.startswith(kinds)}
        return Memory(arrays, {n: own for n, own in memory.numbers.items() if n != NUMBERS})


@dataclass(frozen=True)
class Sent:
    """What the server's memory says of the messages that lead to the version that it holds.

    Attributes:
        base: the version that a site must hold for them.
        messages: one for each group of tensors that the same sites own.
        digests: tensor -> digest of that version.
    """

    base: int
    messages: Sequence[Message]
    digests: Mapping[str, str]

    def replica(self, names: Collection[str]) -> str:
        """How a site with these tensors names the base version."""
        return replica_name(self.base, {name: self.digests[name] for name in names})

    def part(self, names: Collection[str]) -> list[Message] | None:
        """The messages of a site with these tensors, None where they do not add up to them."""
        own = [message for message in self.messages if set(message.names) <= set(names)]
        covered = [name for message in own for name in message.names]
        return own if sorted(covered) == sorted(names) else None


def sent_from(memory: Memory) -> Sent | None:
    """The messages in a memory; None after the last round, or where nothing is compressed."""
    numbers = memory.numbers.get(NUMBERS)
    if numbers is None:
        return None
    messages = [
        Message(tuple(names), memory.arrays[f"{SENT}{number}"].tobytes())
        for number, names in enumerate(numbers["groups"])
    ]
    return Sent(int(numbers["base"]), messages, numbers["digests"])


def owner_groups(
    names: Collection[str],
    travelling: Mapping[str, Collection[str]] | None,
    absolute: Collection[str] = (),
) -> list[tuple[str, ...]]:
    """The tensors in groups that the same sites own, so that each site gets whole messages.

    Args:
        names: the tensors of the model.
        travelling: site -> tensors that it gets; None where all get all.
        absolute: as for :meth:`Downlink.step`, in groups of their own.
    """
    known = travelling or {}
    groups: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for name in sorted(names):
        owners = tuple(site for site in sorted(known) if name in known[site])
        groups.setdefault((owners, name in absolute), []).append(name)
    return [tuple(own) for _, own in sorted(groups.items())]
