"""``fedvox report``: draws the figures and the page of a finished run again."""

import argparse
from pathlib import Path

from fedvox.commands.parser import file_path
from fedvox.commands.places import require_place
from fedvox.errors import ConfigError

_DESCRIPTION = """\
Makes progress.png and report.html again from the files of a run folder.
The page needs no network and no other file; what the folder lacks is named in it.
"""
_EPILOG = """\
examples:
  fedvox report runs/fedgin
  fedvox report ~/downloads/3f1c/workspace/fedvox     a downloaded production run
"""
_SOURCES = ("summary.csv", "metrics.csv", "rounds.jsonl")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the sub-command to the command line."""
    parser = subparsers.add_parser(
        "report",
        help="make the report page of a run again",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", metavar="RUN_DIR", type=file_path, help="run folder, as runs/fedgin"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Makes the report of ``args.folder`` and prints the path of the page.

    ``summary.csv`` is left as the run wrote it; where it is missing it is made from
    ``metrics.csv``.

    Returns:
        0.

    Raises:
        ConfigError: the folder is not a run folder, or one of its files is damaged.
    """
    # Imported here, so that 'fedvox --help' does not wait for PyTorch.
    from fedvox.metrics.table import SummaryRow, write_csv
    from fedvox.report.figures.learning_curves import draw_progress
    from fedvox.report.pages.run_page import write_report
    from fedvox.report.records.run_files import read_run

    folder: Path = args.folder
    _check_folder(folder)
    require_place("RUN_DIR", folder / "report.html")
    files = read_run(folder)
    if "summary.csv" in files.missing and files.summary:
        write_csv(folder / "summary.csv", files.summary, SummaryRow)
    if files.rounds:
        draw_progress(files.rounds, folder / "progress.png", files.phantom, files.chosen)
    print(write_report(folder))
    return 0


def _check_folder(folder: Path) -> None:
    if folder.is_file():
        raise ConfigError(f"{folder}: it is a file; name the run folder in which it lies")
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; name a run folder, as runs/fedgin")
    if not _is_run(folder):
        below = [path for level in ("*", "*/*", "*/*/*") for path in folder.glob(level)]
        inside = [str(path) for path in below if path.is_dir() and _is_run(path)]
        if inside:
            raise ConfigError(f"{folder}: not a run folder, but it holds one; name {inside[0]}")
        raise ConfigError(
            f"{folder}: not a run folder, it holds none of {', '.join(_SOURCES)}; name the folder "
            "that the run printed at its end"
        )


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _SOURCES)
