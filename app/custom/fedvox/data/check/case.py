"""One case, read once: what is wrong with it and what it looks like.

Runs in a worker process, so nothing here loads torch. At most one image lies in memory at a time,
as float32, beside the map of organs, one byte a voxel.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import nibabel as nib
import numpy as np

from fedvox.data.cases.case import Case
from fedvox.data.cases.channels import naming, refuse_missing
from fedvox.data.cases.copies import Copies
from fedvox.data.check.intensities import Intensities, intensities, odd_intensities
from fedvox.data.check.organs import OrganMap, SeriesError, organ_voxels, read_organs
from fedvox.data.check.placement import label_outside, organs_mirrored
from fedvox.data.check.refusal import refusal
from fedvox.data.check.signature import Signature, signature
from fedvox.data.check.thumbnail import Thumbnail, thumbnail
from fedvox.data.images.modality import check_modality
from fedvox.data.images.nifti import (
    FORMS_REMEDY,
    Volume,
    check_same_grid,
    on_axes_of,
    without_voxels,
)
from fedvox.data.images.volumes import load_image
from fedvox.errors import DataError, about_image
from fedvox.finding import FAIL, WARN, Finding
from fedvox.privacy.redaction import exception_line

T = TypeVar("T")


@dataclass(frozen=True)
class CaseReport:
    """What was seen of one case.

    Attributes:
        code: fingerprint under the site's key; what logs call the case.
        parts: the parts of the split in which it stands.
        modality: as it stands in tables.
        problems: what is wrong.
        quarantined: whether the site left it out already.
        shape: voxels to the right, anterior, superior; empty if no image could be read.
        spacing: voxel size in mm in that order.
        orientation: of the stored axes, e.g. ``LPS``.
        organs_ml: volume of each organ in the label.
        label_read: whether the label could be read; without it nothing is known of its organs.
        ignored: share of the label's voxels that nobody annotated.
        overlaps: the organ that loses and the one that wins -> what their masks have in common,
            as a share of the smaller one.
        intensities: per modality.
        signatures: per modality, to recognise the same voxels.
        thumbnail: a slice, if asked for.
        missing: channels of the job that it lacks, where it may.
    """

    code: str
    parts: tuple[str, ...]
    modality: str
    problems: tuple[Finding, ...] = ()
    quarantined: bool = False
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    orientation: str = ""
    organs_ml: dict[str, float] = field(default_factory=dict)
    label_read: bool = False
    ignored: float = 0.0
    overlaps: dict[tuple[str, str], float] = field(default_factory=dict)
    intensities: dict[str, Intensities] = field(default_factory=dict)
    signatures: dict[str, Signature] = field(default_factory=dict)
    thumbnail: Thumbnail | None = None
    missing: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether training would leave the case out, or ought to."""
        return any(problem.status == FAIL for problem in self.problems)

    def with_problem(self, problem: Finding) -> "CaseReport":
        """The same report with one more problem."""
        return replace(self, problems=(*self.problems, problem))


def examine_case(
    case: Case,
    organs: tuple[str, ...],
    pictures: bool,
    channels: tuple[str, ...] = (),
    one_suffices: bool = False,
) -> CaseReport:
    """Reads every file of a case.

    Args:
        case: from a reader.
        organs: the job's organs; empty without a job.
        pictures: cuts a thumbnail as well.
        channels: of the job, each of which the case must have.
        one_suffices: it may lack channels, but not all.

    Returns:
        A report without code and parts; an error of any kind is a problem in it.

    Raises:
        MemoryError: which is not the case's fault.
    """
    report = CaseReport("", (), case.modality)
    examination = _Examination(case, organs, pictures)
    try:
        return examination.run(report, channels, one_suffices)
    except MemoryError:
        raise
    except Exception as error:  # of a decoder, say; its message may hold a file name
        problem = Finding(
            "image", FAIL, f"reading it breaks with {exception_line(error)}", "export it again"
        )
        return report.with_problem(examination.named(problem))


class _Examination:
    """The label first, since its map is small; then one image after the other."""

    def __init__(self, case: Case, organs: tuple[str, ...], pictures: bool) -> None:
        self.case, self.organs, self.pictures = case, organs, pictures
        self.problems: list[Finding] = []
        self.copies = Copies(len(case.images))
        self.labels: OrganMap | None = None
        self.first: Volume | None = None
        self.first_name = ""
        self.outside: Finding | None = None
        self.modality = ""

    def run(self, report: CaseReport, channels: tuple[str, ...], one_suffices: bool) -> CaseReport:
        self._passes("channels", refuse_missing, self.case, channels, one_suffices)
        self.labels = self._attempt("label", read_organs, self.case, self.organs)
        report = self._look_at_label(report)
        for name, path in self.case.images.items():
            self.modality = name if len(self.case.images) > 1 else ""
            report = self._look_at_image(report, name, path)
        return replace(report, problems=tuple(self.problems))

    def named(self, problem: Finding) -> Finding:
        """A finding about the image that is looked at, with its modality if there are several."""
        if not self.modality:
            return problem
        return replace(problem, message=about_image(self.modality, problem.message))

    def _look_at_label(self, report: CaseReport) -> CaseReport:
        if self.labels is None:
            return report
        voxel_ml = abs(float(np.linalg.det(self.labels.affine[:3, :3]))) / 1000
        voxels = organ_voxels(self.labels.data)
        volumes = {organ: number * voxel_ml for organ, number in voxels.items()}
        ignored = self.labels.ignored_share
        wanted = set(self.organs) or set(volumes)
        beside = bool(volumes) and bool(self.case.annotated() & wanted)  # of the field of view
        named = self.organs or self.case.annotated()  # a table without any is the site's finding
        if named and not wanted & set(volumes) and not beside:
            self._note(_empty(bool(self.organs), ignored))
        self._note(organs_mirrored(self.labels))
        return replace(
            report,
            organs_ml=volumes,
            label_read=True,
            ignored=ignored,
            overlaps=_shares(self.labels.overlaps, voxels),
        )

    def _look_at_image(self, report: CaseReport, name: str, path: Path) -> CaseReport:
        whose = naming(name, self.case.images)
        image = self._attempt("image", whose(load_image), path)
        if image is None:
            return report
        turned = image
        if self.first is None:
            self.first, self.first_name = without_voxels(image), name
            report = self._look_at_grid(report, image, name)
        else:
            turned = on_axes_of(self.first, image)
            names = f"{name} image", f"{self.first_name} image"
            self._passes("grid", check_same_grid, self.first, without_voxels(turned), *names)
        if image.lossy:
            self._note_of_image(_lossy())
        self._note_of_image(_contradictory(image))
        if self._passes("modality", whose(check_modality), image, name):
            self._note_of_image(odd_intensities(image.data, name))
        else:  # where air lies is not to be told from numbers without units
            self.problems = [problem for problem in self.problems if problem != self.outside]
        seen = report.intensities | {name: intensities(image.data, name)}
        mark = signature(image.data)
        self._passes("channels", whose(self.copies.refuse), name, turned.data)
        return replace(report, intensities=seen, signatures=report.signatures | {name: mark})

    def _look_at_grid(self, report: CaseReport, image: Volume, name: str) -> CaseReport:
        """What needs the first image and the label together."""
        labels = None if self.labels is None else on_axes_of(image, self.labels)
        if labels is not None and not self._passes("grid", check_same_grid, image, labels):
            labels = None
        if labels is not None:
            self.outside = label_outside(image, labels.data, name)
            self._note(self.outside)
            if not image.conflict:
                self._note(_contradictory(labels, "of the label, "))
        order = np.argsort([int(axis) for axis, _ in nib.io_orientation(image.affine)])
        report = replace(
            report,
            shape=tuple(image.data.shape[axis] for axis in order),
            spacing=tuple(image.spacing[axis] for axis in order),
            orientation="".join(nib.aff2axcodes(image.affine)),
        )
        if self.pictures:
            picture = thumbnail(image, None if labels is None else labels.data, name)
            report = replace(report, thumbnail=picture)
        return report

    def _attempt(self, check: str, read: Callable[..., T], *arguments: object) -> T | None:
        try:
            return read(*arguments)
        except SeriesError:  # the image's own reading says so, next
            return None
        except DataError as error:
            self.problems.append(refusal(check, error))
            return None

    def _passes(self, check: str, test: Callable[..., None], *arguments: object) -> bool:
        before = len(self.problems)
        self._attempt(check, test, *arguments)
        return len(self.problems) == before

    def _note_of_image(self, problem: Finding | None) -> None:
        self._note(problem and self.named(problem))

    def _note(self, problem: Finding | None) -> None:
        if problem is not None:
            self.problems.append(problem)


def _shares(
    overlaps: Mapping[tuple[str, str], int], voxels: Mapping[str, int]
) -> dict[tuple[str, str], float]:
    """Of what the smaller of two masks held, which the loser gave away in part."""
    return {
        (lost, won): number / max(1, min(voxels.get(lost, 0) + number, voxels.get(won, number)))
        for (lost, won), number in overlaps.items()
    }


def _empty(job: bool, ignored: float) -> Finding:
    """Not refused: a scan cropped beside the organs is legal, and trains background."""
    if ignored == 1:
        return Finding(
            "organs",
            WARN,
            "all voxels of the label are 'ignore': nobody annotated it",
            "take the case out, or annotate a part of it; as it is, it teaches nothing",
        )
    return Finding(
        "organs",
        WARN,
        f"the label holds none of {'the job' if job else 'FedVox'}'s organs",
        "look whether the segmentation got lost; if the scan shows no organ, leave it",
    )


def _contradictory(volume: Volume, whose: str = "") -> Finding | None:
    """Not refused: one of the two forms is right, and only a person can tell which."""
    if not volume.conflict:
        return None
    return Finding("orientation", WARN, f"{whose}{volume.conflict}", FORMS_REMEDY)


def _lossy() -> Finding:
    """Not refused: at training's resolution little of it is left, but HU are not as measured."""
    return Finding(
        "compression",
        WARN,
        "the image was compressed with loss, its numbers are not those that were measured",
        "export it from the scanner's archive uncompressed, if that still has it",
    )
