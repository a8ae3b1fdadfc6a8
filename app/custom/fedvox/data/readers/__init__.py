"""Readers: a data set's folder to a list of cases. One file each, one line here."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fedvox.data.cases.case import Case
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
from fedvox.data.readers.strays import Stray
from fedvox.registry import Registry

Reader = Callable[[Path, Sequence[str]], list[Case]]

Strays = Callable[[Path], list[Stray]]
"""Finds what lies in the data folder and belongs to no case."""

STRAYS: dict[str, Strays] = {
    "plain": plain.strays,
    "phantom": plain.strays,
    "msd": msd.strays,
    "amos": amos.strays,
    "totalsegmentator": totalsegmentator.strays,
    "brats": brats.strays,
    "lits": lits.strays,
    "mmwhs": mmwhs.strays,
    "acdc": acdc.strays,
    "chaos": chaos.strays,
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
