"""Which scans `fedvox predict` segments, and which files it writes; all checked before any work."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedvox.commands.places import absent, kind_of, require_place, require_private
from fedvox.errors import ConfigError

_ENDINGS = {"--output": (".nii", ".nii.gz"), "--preview": (".png",), "--report": (".json",)}
_SHOWS = {"--preview": "slices of patients", "--report": "volumes of patients' organs"}
"""What the files that people pass on hold."""


@dataclass(frozen=True)
class Task:
    """One case and the files that it gets.

    Attributes:
        name: of the case, for messages.
        scans: modality as it was named -> NIfTI file or folder of a DICOM series.
        output: NIfTI labels.
        preview: PNG, if wanted.
        report: JSON, if wanted.
    """

    name: str
    scans: Mapping[str, Path]
    output: Path
    preview: Path | None = None
    report: Path | None = None

    def files(self) -> Iterator[tuple[str, Path]]:
        """Option and file of everything that is written."""
        yield "--output", self.output
        if self.preview:
            yield "--preview", self.preview
        if self.report:
            yield "--report", self.report


@dataclass(frozen=True)
class Worklist:
    """What a call will do.

    Attributes:
        tasks: scans to segment.
        skipped: scans that have an output already.
        others: entries of the folder that are no scan.
    """

    tasks: list[Task]
    skipped: int = 0
    others: int = 0


def is_folder_of_scans(path: Path) -> bool:
    """True for a folder that is not itself a DICOM series."""
    from fedvox.data.images.scans import is_series

    return path.is_dir() and not is_series(path)


def plan_one(task: Task, force: bool) -> Worklist:
    """Checks the files of a single scan.

    Args:
        task: the scans, which are never replaced, and what to write.
        force: allows existing files.

    Raises:
        ConfigError: a scan is missing, no scan, or given twice; a file is wrongly named, is or lies
            in the scan, exists, or cannot be written.
    """
    for scan in task.scans.values():
        if not scan.exists():
            raise absent("--input", scan)
        if scan.is_file():
            _refuse_other_kinds(scan)
        elif is_folder_of_scans(scan):
            raise ConfigError(
                f"--input {scan}: it is a folder without DICOM files; name one scan: a NIfTI file, "
                "or the folder of a DICOM series"
            )
    _refuse_one_twice(task.scans)
    written = list(task.files())
    for option, path in written:
        if not path.name.endswith(_ENDINGS[option]):
            raise ConfigError(
                f"{option} {path}: the name must end in {' or '.join(_ENDINGS[option])}"
            )
        check_file(option, task, path, force)
    if len({_real(path) for _, path in written}) < len(written):
        raise ConfigError("--output, --preview and --report name one file twice")
    return Worklist([task])


def _refuse_one_twice(scans: Mapping[str, Path]) -> None:
    """Refuses one scan under two channels, whatever links lead to it."""
    seen: dict[tuple[int, int], str] = {}
    for name, scan in scans.items():
        other = seen.setdefault(_identity(scan), name)
        if other != name:
            raise ConfigError(
                f"--input {name}={scan}: it is the same scan as that of {other}; name each "
                "channel's own"
            )


def _refuse_other_kinds(scan: Path) -> None:
    """Refuses a file that says itself that it is no NIfTI."""
    kind = kind_of(scan)
    if kind is None:
        return
    remedy = "give a NIfTI file, or the folder of a DICOM series"
    if "DICOM" in kind:
        remedy = "name the folder that holds the files of its series"
    raise ConfigError(f"--input {scan}: it is {kind}; {remedy}")


def plan_folder(
    scans: Path,
    modality: str,
    output: Path,
    preview: Path | None,
    report: Path | None,
    force: bool,
) -> Worklist:
    """Lists the scans of a folder and names the files of each after it.

    Args:
        scans: folder of NIfTI files or of folders with one DICOM series each.
        modality: of all of them.
        output: folder for labels.
        preview: folder for pictures, if wanted.
        report: folder for records, if wanted.
        force: segments again what has labels already.

    Raises:
        ConfigError: no scan; a folder for results is a file, holds the scans or cannot be written;
            or a file in it would replace a scan, a folder or, without ``force``, anything else.
    """
    from fedvox.data.images.scans import find_scans

    targets = {"--output": output, "--preview": preview, "--report": report}
    folders = {option: path for option, path in targets.items() if path}
    for option, path in folders.items():
        if path.is_file() or path.name.endswith(_ENDINGS[option]):
            raise ConfigError(f"{option} {path}: --input is a folder of scans, so name a folder")
        if _real(path) == _real(scans):
            raise ConfigError(f"{option} {path}: it is the folder of scans; choose another folder")
        require_place(option, path, path / "x")
    found, others = find_scans(scans)
    for option, path in folders.items():
        for scan in found:
            if _real(scan.path) in (_real(path), *_real(path).parents):
                raise ConfigError(f"{option} {path}: it lies in a scan's folder; choose another")
    tasks = [
        Task(
            scan.name,
            {modality: scan.path},
            output / f"{scan.name}.nii.gz",
            preview / f"{scan.name}.png" if preview else None,
            report / f"{scan.name}.json" if report else None,
        )
        for scan in found
    ]
    _refuse_scans(tasks)
    wanted = [task for task in tasks if force or not _is_done(task)]
    for task in wanted:
        for option, path in task.files():
            check_file(option, task, path, force)
    mine = {_real(path) for path in folders.values()}
    left_out = sum(_real(path) not in mine for path in others)
    return Worklist(wanted, len(tasks) - len(wanted), left_out)


def _refuse_scans(tasks: Sequence[Task]) -> None:
    """Refuses files that are scans of the same folder, as a folder of links may hide."""
    scans = {_identity(scan) for task in tasks for scan in task.scans.values()}
    for task in tasks:
        for option, path in task.files():
            if path.exists() and _identity(path) in scans:
                raise ConfigError(f"{option} {path}: it is one of the scans; choose another folder")


def _is_done(task: Task) -> bool:
    """Labels appear whole and last, so a scan that has some needs nothing more."""
    return task.output.is_file() and task.output.stat().st_size > 0


def check_file(option: str, task: Task, path: Path, force: bool) -> None:
    """Refuses a file that cannot be written or would destroy something.

    Raises:
        ConfigError: it is a scan or lies in its folder, exists, is a folder, or lies where none
            can be made.
    """
    if path.is_dir():
        raise ConfigError(f"{option} {path}: it is a folder; name a file in it")
    for scan in task.scans.values():
        if scan.is_dir() and _real(scan) in _real(path).parents:
            raise ConfigError(
                f"{option} {path}: it lies in the scan's folder; choose another folder"
            )
        if path.exists() and scan.exists() and path.samefile(scan):
            raise ConfigError(f"{option} {path}: it is the scan itself; choose another name")
    if path.exists() and not force:
        raise ConfigError(
            f"{option} {path}: it exists already; choose another name or give --force"
        )
    require_place(option, path)


def refuse_exposed(worklist: Worklist) -> None:
    """Refuses pictures and records of patients where they would travel on.

    The files of a folder differ in nothing but the scan's name, so its first scan stands for all.

    Raises:
        ConfigError: git would commit them, or a start-up kit takes them along.
    """
    for task in worklist.tasks[:1]:
        for option, path in task.files():
            if option in _SHOWS:
                require_private(option, path, _SHOWS[option])


def _identity(path: Path) -> tuple[int, int]:
    """Which file it is, whatever links lead to it."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _real(path: Path) -> Path:
    """Where a path leads; a loop of links leads to itself, where ``resolve`` would break."""
    return Path(os.path.realpath(path))
