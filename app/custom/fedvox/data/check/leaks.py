"""One patient in two parts of the split, or the same voxels in two cases."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fedvox.data.cases.case import Case
from fedvox.data.cases.splits import SPLITS
from fedvox.data.check.case import CaseReport
from fedvox.data.check.signature import Reorientation, candidate_pairs, same_voxels
from fedvox.data.images.volumes import load_image
from fedvox.errors import DataError
from fedvox.finding import FAIL, Finding

Confirm = Callable[[Path, Path, Reorientation], bool]


def equal_images(first: Path, second: Path, turn: Reorientation) -> bool:
    """Reads two images and compares them voxel by voxel; a file that changed meanwhile is not."""
    try:
        return same_voxels(load_image(first).data, load_image(second).data, turn)
    except DataError:
        return False


def refuse_twins(
    cases: Sequence[Case], reports: Sequence[CaseReport], confirm: Confirm = equal_images
) -> list[CaseReport]:
    """Refuses each case whose voxels an earlier one holds: a leak, or a double weight.

    Args:
        cases: in the order train, validation, test.
        reports: of the same cases; what is refused already is not compared.
        confirm: compares two images voxel by voxel.

    Returns:
        The reports, the later one of each pair with a problem.
    """
    marked = [(index, name) for index, report in enumerate(reports) for name in report.signatures]
    pairs = candidate_pairs([reports[index].signatures[name] for index, name in marked])
    result = list(reports)
    for one, other, turn in sorted(pairs, key=lambda pair: (pair[1], pair[0])):
        (first, its), (second, own) = marked[one], marked[other]
        if first == second or result[first].refused or result[second].refused:
            continue
        if confirm(cases[first].images[its], cases[second].images[own], turn):
            result[second] = result[second].with_problem(_twin(result[first], result[second]))
    return result


def refuse_shared_patients(
    cases: Sequence[Case], reports: Sequence[CaseReport]
) -> list[CaseReport]:
    """Refuses each case whose patient stands in an earlier part of the data set's own split."""
    place: dict[str, str] = {}
    result = []
    for case, report in zip(cases, reports):
        part = report.parts[0] if report.parts else ""
        first = place.setdefault(case.patient, part)
        if part and first != part:
            message = f"its patient stands under '{first}' as well, it under '{part}'"
            remedy = "list each patient in one part only, in a split file"
            report = report.with_problem(Finding("patient", FAIL, message, remedy))
        result.append(report)
    return result


def _twin(first: CaseReport, second: CaseReport) -> Finding:
    if not second.parts or first.parts[:1] == second.parts[:1]:
        place = f" under '{first.parts[0]}'" if first.parts else ""
        message = f"its voxels are those of case {first.code}{place}"
    else:
        message = (
            f"its voxels are those of case {first.code} under '{first.parts[0]}', it stands under "
            f"'{second.parts[0]}'"
        )
    return Finding("twin", FAIL, message, "keep one of the two")


def ordered(split: dict[str, list[Case]]) -> list[tuple[Case, tuple[str, ...]]]:
    """Each case once, in the order train, validation, test, with the parts that list it."""
    parts: dict[str, tuple[str, ...]] = {}
    found: dict[str, Case] = {}
    for part in SPLITS:
        for case in split[part]:
            found.setdefault(case.id, case)
            parts[case.id] = (*parts.get(case.id, ()), part)
    return [(case, parts[name]) for name, case in found.items()]
