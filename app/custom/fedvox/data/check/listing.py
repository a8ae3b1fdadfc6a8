"""Which files belong to which code, for the site's own staff: the one list that holds names.

It is written on request only, readable by its owner only, and nothing of it is ever sent.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from fedvox.cells import quoted
from fedvox.data.cases.case import Case
from fedvox.data.check.case import CaseReport
from fedvox.data.check.site import SiteReport
from fedvox.data.check.table_problems import has_masks
from fedvox.data.organ_names import unknown_names
from fedvox.data.readers.strays import Stray
from fedvox.files import PRIVATE, atomic_path

COLUMNS = ("state", "code", "part", "identifier", "files", "findings")


def write_list(path: Path, report: SiteReport) -> None:
    """Writes a table: each case with its code and files, then what belongs to no case.

    ``state`` is ``used``, ``refused``, ``quarantine`` or ``not in the split`` for cases, and
    ``passed over`` for the rest. A text that a spreadsheet would take for a formula gets an
    apostrophe in front.

    Args:
        path: the CSV file; private, replaced if it exists.
        report: from :func:`fedvox.data.check.site.check_site`.

    Raises:
        OSError: it cannot be written.
    """
    _write(path, _rows(report))


def write_files(path: Path, files: Iterable[Path], reason: str) -> None:
    """Writes such a table of files that make the whole data folder unusable.

    Args:
        path: the CSV file.
        files: they.
        reason: why, without their names.

    Raises:
        OSError: it cannot be written.
    """
    _write(path, (("refused", "", "", file.name, str(file), reason) for file in files))


def _write(path: Path, rows: Iterable[tuple[str, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(map(quoted, row) for row in rows)
    with atomic_path(path, PRIVATE) as temporary:  # a file's name need not be UTF-8
        temporary.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace")


def is_list(path: Path) -> bool:
    """Whether a file is such a list, which may be replaced."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return stream.readline().strip() == ",".join(COLUMNS)
    except (OSError, UnicodeDecodeError):
        return False


def _rows(report: SiteReport) -> Iterator[tuple[str, ...]]:
    for case, seen in zip(report.sources, report.cases, strict=True):
        findings = "; ".join(
            [f"{p.status} {p.check}: {p.message}" for p in seen.problems]
            + _unknown_masks(case)
            + _missing(seen)
        )
        yield (_state(seen), seen.code, "+".join(seen.parts), case.id, _files(case), findings)
    for case in report.outside:
        yield ("not in the split", "", "", case.id, _files(case), "")
    for stray in report.strays:
        yield from _passed_over(stray)


def _unknown_masks(case: Case) -> list[str]:
    """Names of masks that no output but this one may hold."""
    names = unknown_names(case.others) if has_masks([case]) else []
    return [f"masks that FedVox does not know: {', '.join(names)}"] if names else []


def _missing(seen: CaseReport) -> list[str]:
    """What a case lacks and may lack."""
    return [f"no image of {', '.join(seen.missing)}"] if seen.missing else []


def _passed_over(stray: Stray) -> Iterator[tuple[str, ...]]:
    for path in stray.paths:
        yield ("passed over", "", "", path.name, str(path), f"{stray.kind}; {stray.remedy}")


def _state(seen: CaseReport) -> str:
    if seen.quarantined:
        return "quarantine"
    return "refused" if seen.refused else "used"


def _files(case: Case) -> str:
    """Images and labels; of many masks the folder."""
    labels = [file.path for file in case.labels]
    folders = {path.parent for path in labels}
    if len(labels) > 1 and len(folders) == 1:
        labels = sorted(folders)
    return " ".join(str(path) for path in (*case.images.values(), *labels))
