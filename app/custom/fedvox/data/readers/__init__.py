"""Readers: a data set's folder to a list of cases. One file each, one line here."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fedvox.data.case import Case
from fedvox.data.readers import msd, phantom, plain
from fedvox.registry import Registry

Reader = Callable[[Path, Sequence[str]], list[Case]]

READERS: Registry[Reader] = Registry("dataset")
READERS.register("plain")(plain.read)
READERS.register("msd")(msd.read)
READERS.register("phantom")(phantom.read)
