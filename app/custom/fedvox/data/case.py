"""A case as a reader finds it: where its images and labels lie and what they mean."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedvox.errors import DataError


@dataclass(frozen=True)
class LabelFile:
    """One label volume and the organ each of its values stands for.

    Attributes:
        path: integer NIfTI volume on the image's grid, or the folder of one PNG per DICOM slice.
        values: label value -> canonical organ name, or None for a structure FedVox does not know;
            several values may stand for one organ.
    """

    path: Path
    values: Mapping[int, str | None]

    def refuse_unknown(self, found: Iterable[int]) -> None:
        """Refuses label values that the table does not list.

        Args:
            found: the values that stand in the volume.

        Raises:
            DataError: with up to five of them.
        """
        unknown = [value for value in found if value != 0 and value not in self.values]
        if unknown:
            raise DataError(
                f"label values {unknown[:5]} are not in the label table ({self._known()}); correct "
                "the label, or add them if they are real structures"
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
    """

    id: str
    patient: str
    images: Mapping[str, Path]
    labels: tuple[LabelFile, ...]
    split: str | None = None

    @property
    def modality(self) -> str:
        """The modality set as it stands in tables, e.g. ``"ct"`` or ``"t1+flair"``."""
        return "+".join(self.images)

    def annotated(self) -> frozenset[str]:
        """Canonical organs that this case's labels can hold."""
        return frozenset(o for file in self.labels for o in file.values.values() if o is not None)
