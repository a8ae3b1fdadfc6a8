"""What a weighing rule is, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fedvox.aggregation.mean import ReadTensor
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays, Update


@dataclass(frozen=True)
class Share:
    """What an update counts.

    Attributes:
        weight: positive; shares are these over their sum.
        reason: why, for the round's record.
        terms: the numbers behind it, by name, for the record; all of them finite.
    """

    weight: float
    reason: str
    terms: Mapping[str, float] = field(default_factory=dict)


Shares = dict[str, Share]
Weigh = Callable[[Mapping[str, Update], ReadTensor, Arrays, Memory], tuple[Shares, Memory]]
"""``(site -> update without arrays, (site, tensor) -> array, global model, memory) -> (shares, what
it remembers)``. That is laid over the memory (:meth:`Memory.extended`) and comes back next round
if this round's mean is taken; a rule that remembers nothing returns ``Memory()``. An update's
``cases`` are those that count: never more than the site registered; ``training`` are those that it
registered, by modality; ``validation`` is what counts of its scores; ``sent`` are the tensors that
may be read of it. What it claims to be of decides nothing."""
