"""A body as a value: what phantoms are drawn of, how they are scanned, and how a site stores them.

A new body is a new folder beside ``abdomen/`` whose ``__init__`` holds ``BODY``; nothing else
changes. Phantoms are a test instrument, not evidence about patients.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fedvox.errors import ConfigError
from fedvox.phantoms.shapes import Points
from fedvox.suggest import hint

Ids = npt.NDArray[np.uint8]
Image = npt.NDArray[np.float32]


class Patient(Protocol):
    """One phantom patient, whatever the body."""

    def paint(self, world: Points) -> Ids:
        """Tissue ids, shape (N,), at positions of shape (3, N) in world mm (RAS)."""
        ...


@dataclass(frozen=True)
class Contrast:
    """One way to scan a body.

    Attributes:
        name: e.g. ``ct`` or ``mr_t1``; part of each scan's seed.
        signals: draws the signal of each tissue id, shape (T,), from the scan's generator and the
            patient's seed; what comes from the seed alone is equal in all scans of a patient.
        scanner: adds what a scanner does to a clean image: noise (its last argument is a multiple
            of the usual), bias field, scale.
    """

    name: str
    signals: Callable[[np.random.Generator, int], Image]
    scanner: Callable[[np.random.Generator, Image, float], Image]


@dataclass(frozen=True)
class Layout:
    """Where a site's files lie, so that a reader of real data reads them.

    Attributes:
        dataset: the reader that a site file names.
        split: ``split`` of the site file: ``dataset``, or the name of a file in the folder.
        several: whether a case may hold several modalities, all on one grid.
        case: number from 1 -> identifier of a case.
        image: case and modality -> path in the folder.
        label: case -> path in the folder.
        tables: organs, and case -> split -> names and content of the site's JSON files.
    """

    dataset: str
    split: str
    several: bool
    case: Callable[[int], str]
    image: Callable[[str, str], str]
    label: Callable[[str], str]
    tables: Callable[[Sequence[str], Mapping[str, str]], Mapping[str, Any]]


@dataclass(frozen=True)
class Body:
    """A part of the body that phantoms are made of.

    Attributes:
        name: of its folder.
        organs: canonical names; tissue id and label value of organ i are i + 1.
        contrasts: all ways to scan it.
        modalities: what a site may hold -> the contrasts that its cases take in turn.
        draw: a seed -> one patient.
        layout: how a site stores it.
        sites: what the sites of ``fedvox phantom`` hold unless told otherwise.
        job: the job in ``jobs/`` that trains on it.
        lacking_job: the one that trains where cases lack images of the body's modalities.
        changes: settings that job needs to have changed for it, as ``--set`` takes them.
        stripped: tissues that are cut away before anybody sees an image: exactly 0 there.
        size_mm: side of the field of view that holds it, mm.
        spacing_mm: mean voxel spacing, mm.
    """

    name: str
    organs: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    modalities: Mapping[str, tuple[str, ...]]
    draw: Callable[[int], Patient]
    layout: Layout
    sites: tuple[str, ...]
    job: str
    lacking_job: str = ""
    changes: tuple[str, ...] = ()
    stripped: Collection[int] = ()
    size_mm: float = 288.0
    spacing_mm: float = 6.0

    def contrast(self, name: str) -> Contrast:
        """A contrast by its name.

        Raises:
            ConfigError: names the known ones.
        """
        known = {contrast.name: contrast for contrast in self.contrasts}
        if name not in known:
            raise ConfigError(f"unknown contrast '{name}'; choose one of: {', '.join(known)}")
        return known[name]

    def parts(self, modality: str) -> tuple[str, ...]:
        """What a site holds, one name per image of a case: ``t1+flair`` has two.

        Raises:
            ConfigError: names what there is.
        """
        parts = tuple(modality.split("+"))
        joined = ', or several joined by "+"' if self.layout.several else ""
        allowed = f"choose one of: {', '.join(self.modalities)}{joined}"
        for part in parts:
            if part not in self.modalities:
                guess = hint(part, self.modalities)
                raise ConfigError(f"unknown phantom modality '{part}'; {guess}{allowed}")
        if len(set(parts)) < len(parts) or (len(parts) > 1 and not self.layout.several):
            raise ConfigError(f"phantom modality '{modality}' cannot be written; {allowed}")
        return parts

    def labels(self, tissues: Ids) -> Ids:
        """Keeps organs (1, 2, ... in the order of ``organs``) and sets all other tissue to 0."""
        return np.where(tissues <= len(self.organs), tissues, 0).astype(np.uint8)


def stored_modality(part: str) -> str:
    """The modality that a site file names: ``mr`` for ``mr_t1``."""
    return part.split("_")[0]
