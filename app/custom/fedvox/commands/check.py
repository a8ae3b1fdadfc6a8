"""``fedvox check``: reads every case of a site before anybody trains on it."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fedvox.commands.parser import file_path
from fedvox.commands.places import absent, require_place, require_private

if TYPE_CHECKING:
    from fedvox.data.check.site import SiteReport
    from fedvox.data.site.site_file import SiteSettings
    from fedvox.job.settings import JobSettings

_DESCRIPTION = """\
Reads every image and label of a site: damaged files, geometry, values, labels that do not fit,
another modality than declared, one patient or the same voxels in two cases. Cases are called by
codes, as in the site's log; no file name is printed."""

_EPILOG = """\
examples:
  fedvox check sites/site-1.json
      every case, with a remedy per finding
  fedvox check sites/site-1.json --job jobs/fedgin --html private/check.html --thumbnails
      against the organs and modalities of a job, with a page that shows every case
  fedvox check sites/site-1.json --quarantine
      also writes the refused cases to quarantine.json in the site's cache: training leaves them out
  fedvox check sites/site-1.json --which 3f2a91bc
      which case that is; reads nothing
  fedvox check sites/site-1.json --list ~/files.csv
      which files belong to each code, and what lies in the folder and belongs to no case
  fedvox check sites/site-1.json --json --workers 4

exit code: 0 if nothing is refused but what was in quarantine before, 1 otherwise
"""


_PAGE = b"<!DOCTYPE HTML"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the sub-command to the command line."""
    parser = subparsers.add_parser(
        "check",
        help="read every case of a site and say what is wrong",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("site_file", metavar="SITE_FILE", type=file_path, help="fedvox_site.json")
    parser.add_argument("--job", type=file_path, help="folder of the job that is about to run")
    parser.add_argument(
        "--workers", type=int, help="processes that read, up to 2 GiB each (default: one a core)"
    )
    parser.add_argument("--html", type=file_path, metavar="FILE", help="write a page with figures")
    parser.add_argument(
        "--thumbnails", action="store_true", help="slices of the cases on that page; keep it"
    )
    parser.add_argument(
        "--quarantine", action="store_true", help="leave refused cases out of training"
    )
    parser.add_argument("--which", metavar="CODE", help="print the identifier behind a code")
    parser.add_argument(
        "--list",
        type=file_path,
        metavar="FILE",
        help="write a CSV with the files behind each code and those that are passed over; keep it",
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Checks the site and prints the findings.

    Returns:
        0 if nothing is refused but what was in quarantine before.

    Raises:
        ConfigError: an option or the site file is wrong.
        DataError: the data folder is not in the reader's layout.
    """
    from fedvox.aggregation.attachment import check_listed
    from fedvox.data.site.site_file import read_site_file

    _refuse_options(args)
    _refuse_folder(args.site_file)
    site = read_site_file(args.site_file)
    check_listed(site.attachments, args.site_file.name)
    if args.which is not None:
        print(_which(site, args.which))
        return 0
    _look_at_places(args, site)
    if args.quarantine and not site.cache:
        from fedvox.errors import ConfigError

        raise ConfigError(
            f"{args.site_file}: --quarantine needs 'cache', where the list lies; add one"
        )
    return _check(args, site)


def _check(args: argparse.Namespace, site: "SiteSettings") -> int:
    from fedvox.data.cases.prepare_all import count_workers
    from fedvox.data.check.site import check_site
    from fedvox.data.check.summary import to_mapping
    from fedvox.data.site.quarantine import write_quarantine

    settings = _job(args.job)
    job = settings.data if settings else None
    workers = count_workers(args.workers or site.workers)
    with _named_files(args.list):
        report = check_site(
            site, job, workers, args.thumbnails, progress=True, renew=args.quarantine
        )
    lines: list[str] = []
    if settings:
        from fedvox.data.check.tolerance import tolerance_warning

        lines += filter(None, [tolerance_warning(report, settings.evaluation.nsd_tolerance_mm)])
    if args.quarantine:
        write_quarantine(site, report.refused)
        lines.append(f"in quarantine.json of the site's cache: {_count(len(report.refused))}")
    if args.html:
        from fedvox.report.pages.data_page import write_data_page

        write_data_page(args.html, report, job)
        lines.append(str(args.html))
    if args.list:
        from fedvox.data.check.listing import write_list

        write_list(args.list, report)
        lines.append(f"{args.list} (holds file names: keep it at the site)")
    if args.json:
        print(json.dumps(to_mapping(report), indent=2))
    else:
        print("\n".join([_table(report), *lines]))
    return int(report.failed)


@contextmanager
def _named_files(path: Path | None) -> Iterator[None]:
    """Names the files that make a whole listing unusable, where the site asks for it."""
    from fedvox.data.check.listing import write_files
    from fedvox.data.readers.strays import FilesError
    from fedvox.errors import DataError

    try:
        yield
    except FilesError as error:
        if path:
            write_files(path, error.paths, str(error))
        raise DataError(f"{error} ({path or '--list FILE'} names them)") from None


def _table(report: "SiteReport") -> str:
    """The findings for a terminal, the headline first."""
    from fedvox.data.check.summary import findings, headline, ignored_line, missing_line
    from fedvox.finding import FAIL, PASS, Finding, table

    rows = [Finding("cases", FAIL if report.failed else PASS, headline(report))]
    if ignored := ignored_line(report):
        rows.append(Finding("ignore", PASS, ignored))
    if missing := missing_line(report):
        rows.append(Finding("channels", PASS, missing))
    for found in findings(report):
        problem = found.problem
        cases = f" [{_codes(found.cases)}]" if found.cases else ""
        rows.append(Finding(problem.check, problem.status, problem.message + cases, problem.remedy))
    text = table(rows)
    if any(found.cases for found in findings(report)) and not report.lasting:
        text += "\nThe site file names no cache: these codes hold for this run only."
    return text


def _codes(cases: tuple[str, ...]) -> str:
    return f"{_count(len(cases))}: {', '.join(cases)}"


def _count(cases: int) -> str:
    return f"{cases} case{'' if cases == 1 else 's'}"


def _job(folder: Path | None) -> "JobSettings | None":
    from fedvox.errors import ConfigError
    from fedvox.flare.jobs.folder import job_settings, require_job

    if folder is None:
        return None
    try:
        require_job(folder)
    except ConfigError as error:
        raise ConfigError(f"--job {error}") from None
    return job_settings(folder)


def _which(site: "SiteSettings", code: str) -> str:
    from fedvox.data.check.site import code_key
    from fedvox.data.site.site_data import listed_cases
    from fedvox.data.site.site_key import fingerprint
    from fedvox.errors import ConfigError

    if not site.cache and site.dataset != "phantom":
        raise ConfigError("--which: without 'cache' in the site file codes change with each run")
    key = code_key(site)
    found = [case.id for case in listed_cases(site) if fingerprint(case, key) == code.lower()]
    if not found:
        raise ConfigError(f"--which {code}: no case has this code; copy its 8 digits")
    return "\n".join(found)


def _refuse_options(args: argparse.Namespace) -> None:
    from fedvox.errors import ConfigError

    if args.workers is not None and args.workers < 1:
        raise ConfigError(f"--workers is {args.workers}; it must be at least 1")
    if args.thumbnails and not args.html:
        raise ConfigError("--thumbnails stand on the page; give --html FILE as well")
    if args.list:
        _refuse_list(args.list)
    if args.which is not None and not args.which.strip():
        raise ConfigError("--which is empty; copy the 8 digits of a case")
    if args.html and args.html.is_dir():
        raise ConfigError(f"--html {args.html}: it is a folder; name the file to write")
    if args.html and args.html.exists() and not _is_page(args.html):
        raise ConfigError(f"--html {args.html}: it exists and is no page; choose another name")
    if args.html:
        require_place("--html", args.html)


def _look_at_places(args: argparse.Namespace, site: "SiteSettings") -> None:
    """Refuses patients' slices and file names where they would travel; notes the same of site
    file and cache.

    Raises:
        ConfigError: the page or the list would.
    """
    from fedvox.exposure import exposed

    if site.dataset == "phantom":
        return
    page = args.html if args.thumbnails else None
    told = (("--html", page, "slices of patients"), ("--list", args.list, "names of their files"))
    for option, path, what in told:
        if path:
            require_private(option, path, what)
    for name, place in (("the site file", args.site_file), ("'cache'", Path(site.cache))):
        reason = exposed(place) if place != Path() else ""
        if reason:
            print(f"note: {name}: {reason}; move it to a place of its own", file=sys.stderr)


def _refuse_folder(site_file: Path) -> None:
    from fedvox.data.site.site_file import SITE_FILE
    from fedvox.errors import ConfigError

    if not site_file.exists():
        raise absent("SITE_FILE", site_file)
    if not site_file.is_dir():
        return
    own = site_file / SITE_FILE
    beside = site_file.parent / f"{site_file.name}.json"  # of '.' and '/' there is no name
    found = next((path for path in (own, beside) if path.is_file()), None)
    remedy = f"name {found}" if found else f"name the site file, as {own}"
    raise ConfigError(f"{site_file}: it is a folder; {remedy}")


def _refuse_list(path: Path) -> None:
    """Before any case is read: a list that would destroy something or cannot be written."""
    from fedvox.data.check.listing import is_list
    from fedvox.errors import ConfigError

    if path.is_dir():
        raise ConfigError(f"--list {path}: it is a folder; name the file to write")
    if path.exists() and not is_list(path):
        raise ConfigError(f"--list {path}: it exists and is no such list; choose another name")
    require_place("--list", path)


def _is_page(path: Path) -> bool:
    """Whether a file may be replaced by a page: it is one."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(_PAGE)).upper() == _PAGE
