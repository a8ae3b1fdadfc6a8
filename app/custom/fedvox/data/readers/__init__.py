"""Readers: a data set's folder to a list of cases. One file each, one line here."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fedvox.data.case import Case
from fedvox.data.readers import (
    acdc,
    amos,
    brats,
    chaos,
    lits,
    mmwhs,
    msd,
    phantom,
    plain,
    totalsegmentator,
)
from fedvox.registry import Registry

Reader = Callable[[Path, Sequence[str]], list[Case]]

Strays = Callable[[Path], list[tuple[str, str, int]]]
"""Counts what belongs to no case: what it is, what to do, how many."""

STRAYS: dict[str, Strays] = {
    "plain": plain.strays,
    "totalsegmentator": totalsegmentator.strays,
}

READERS: Registry[Reader] = Registry("dataset")
READERS.register("plain")(plain.read)
READERS.register("msd")(msd.read)
READERS.register("phantom")(phantom.read)
READERS.register("amos")(amos.read)
READERS.register("totalsegmentator")(totalsegmentator.read)
READERS.register("brats")(brats.read)
READERS.register("lits")(lits.read)
READERS.register("acdc")(acdc.read)
READERS.register("mmwhs")(mmwhs.read)
READERS.register("chaos")(chaos.read)
