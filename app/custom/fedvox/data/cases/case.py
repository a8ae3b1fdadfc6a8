"""A case as a reader finds it: where its images and labels lie and what they mean."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedvox.data.organs import IGNORE, PARENTS
from fedvox.data.settings import joined
from fedvox.errors import DataError

MOST_UNKNOWN = 50
"""No label has so many values that its table forgets."""
TABLE, FIXED, MASK = "table", "fixed", "mask"
"""What says the organs of a label file: a table at the site, the reader's own, a mask's name."""


@dataclass(frozen=True)
class LabelFile:
    """One label volume and the organ each of its values stands for.

    Attributes:
        path: integer NIfTI volume on the image's grid, or the folder of one PNG per DICOM slice.
        values: label value -> canonical organ name, or None for a structure FedVox does not know;
            several values may stand for one organ. :data:`fedvox.data.organs.IGNORE` stands for
            voxels that nobody annotated.
        told_by: :data:`TABLE`, :data:`FIXED` or :data:`MASK`; only a table at the site can be
            mended there.
    """

    path: Path
    values: Mapping[int, str | None]
    told_by: str = TABLE

    def refuse_unknown(self, found: Iterable[int]) -> None:
        """Refuses label values that the table does not list.

        Args:
            found: the values that stand in the volume.

        Raises:
            DataError: with up to five of them.
        """
        unknown = [value for value in found if value != 0 and value not in self.values]
        if len(unknown) > MOST_UNKNOWN:
            raise DataError(
                f"the label holds {len(unknown)} values that are not in the label table "
                f"({self._known()}), as a scan or a smoothed label does; put the label itself "
                "there, saved without interpolation"
            )
        if unknown and self.told_by == MASK:
            raise DataError(
                f"label values {unknown[:5]} are not in the label table ({self._known()}); correct "
                "the label: a mask holds 1 where its structure is, else 0"
            )
        if unknown and self.told_by == FIXED:
            raise DataError(
                f"label values {unknown[:5]} are not in the label table ({self._known()}); correct "
                "the label: in this data set's layout no other values mean anything"
            )
        if any(value < 0 for value in unknown):
            raise DataError(
                f"label values {unknown[:5]} are not in the label table, and none below 0 can be; "
                "give them a number above 0, in the label and in the table ('ignore' "
                "where nobody annotated)"
            )
        if unknown:
            raise DataError(
                f"label values {unknown[:5]} are not in the label table ({self._known()}); correct "
                "the label, or add them if they are real structures, or 'ignore' where nobody "
                "annotated"
            )

    def _known(self) -> str:
        named = [f"{value} {organ or 'other'}" for value, organ in self.values.items()]
        return ", ".join(named[:5]) + (", and more" if len(named) > 5 else "")


@dataclass(frozen=True)
class Case:
    """One examination. Nothing in it leaves the site.

    Attributes:
        id: the reader's own identifier.
        patient: identifier shared by all examinations of one person, for splitting.
        images: modality -> NIfTI file or folder of one DICOM series, all on one grid.
        labels: one file with several values, or one binary mask per organ.
        split: the data set's own split (``train``, ``val`` or ``test``), if it has one.
        others: structures of the label table, or masks, that FedVox has no name for, as written
            there.
    """

    id: str
    patient: str
    images: Mapping[str, Path]
    labels: tuple[LabelFile, ...]
    split: str | None = None
    others: tuple[str, ...] = ()

    @property
    def modality(self) -> str:
        """The modality set as it stands in tables, e.g. ``"ct"`` or ``"t1+flair"``."""
        return joined(tuple(self.images))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files and folders that it is read from, images first."""
        return (*self.images.values(), *(file.path for file in self.labels))

    def annotated(self) -> frozenset[str]:
        """Canonical organs that this case's labels can hold."""
        found = {organ for file in self.labels for organ in file.values.values()}
        return frozenset(organ for organ in found if organ is not None and organ != IGNORE)

    @property
    def ignores(self) -> bool:
        """Whether its labels can hold voxels that nobody annotated."""
        return any(IGNORE in file.values.values() for file in self.labels)

    def layers(self) -> list[LabelFile]:
        """The label files in the order in which they are laid one over the other.

        Where masks overlap, the later one wins: by name, then parts over their organs (a mask of
        the liver covers its tumours), then what nobody annotated.
        """
        return sorted(self.labels, key=_layer)


def _layer(file: LabelFile) -> tuple[bool, bool]:
    organs = set(file.values.values())
    return IGNORE in organs, any(organ in PARENTS for organ in organs if organ)
