"""Cases that a site leaves out knowingly: ``<cache>/quarantine.json``.

The list holds HMACs and reasons, no names. A case whose files changed since is looked at again.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fedvox.config import read_json
from fedvox.data.cases.case import Case
from fedvox.data.site.site_file import SiteSettings
from fedvox.data.site.site_key import cache_errors, fingerprint, site_key
from fedvox.errors import ConfigError, DataError
from fedvox.files import PRIVATE, write_json

QUARANTINE = "quarantine.json"
FORMAT = 1
DIGITS = 32
"""Of the HMAC that names a case in the list: no two cases of a site share it."""


def quarantined(site: SiteSettings, cases: Sequence[Case]) -> dict[str, str]:
    """Which cases are in quarantine, with the reason.

    Args:
        site: the site file; without ``cache`` there is no list.
        cases: from the site's reader.

    Returns:
        Case identifier -> reason, for the cases whose files are as they were.

    Raises:
        DataError: the list is damaged.
    """
    path = Path(site.cache) / QUARANTINE
    if not site.cache or not path.is_file():
        return {}
    key = site_key(Path(site.cache), site)
    entries = _read(path)
    found = {}
    for case in cases:
        entry = entries.get(fingerprint(case, key, DIGITS))
        if entry and entry["files"] == files_mark(case, key):
            found[case.id] = entry["reason"]
    return found


def write_quarantine(site: SiteSettings, refused: Iterable[tuple[Case, str]]) -> Path:
    """Replaces the list.

    Args:
        site: the site file.
        refused: each case with its reason, without a file name.

    Raises:
        ConfigError: the site file names no cache.
        CacheError: the cache cannot be written.
    """
    if not site.cache:
        raise ConfigError("the site file names no 'cache', where the list lies; add one")
    key = site_key(Path(site.cache), site)
    entries = {
        fingerprint(case, key, DIGITS): {"reason": reason, "files": files_mark(case, key)}
        for case, reason in refused
    }
    path = Path(site.cache) / QUARANTINE
    with cache_errors():
        write_json(path, {"format": FORMAT, "cases": entries}, PRIVATE)
    return path


def files_mark(case: Case, key: bytes) -> str:
    """HMAC over place, size and time of change of the files of a case that are there.

    Neither their order nor a name under which nothing lies counts: a job with channels brings the
    images into its own order and drops those that a case lacks.
    """
    files = sorted({file for path in case.files for file in _files(path)})
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for file, state in zip(files, map(_state, files), strict=True):
        if state:
            digest.update(f"{file}|{state}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:DIGITS]


def _files(path: Path) -> list[Path]:
    """The file itself, or what a DICOM folder holds."""
    try:
        return [path, *sorted(path.iterdir())] if path.is_dir() else [path]
    except OSError:
        return [path]


def _state(path: Path) -> str:
    """Size and time of change; empty where nothing can be reached."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return ""
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _read(path: Path) -> Mapping[str, Mapping[str, str]]:
    try:
        content = read_json(path, QUARANTINE)
    except ConfigError:
        content = {}
    entries = content.get("cases")
    if content.get("format") == FORMAT and isinstance(entries, dict) and _whole(entries):
        return entries
    raise DataError(
        f"the cache folder's {QUARANTINE} is damaged; write it again with 'fedvox check SITE_FILE "
        "--quarantine', or delete it"
    )


def _whole(entries: Mapping[str, object]) -> bool:
    return all(
        isinstance(entry, dict) and isinstance(entry.get(name), str)
        for entry in entries.values()
        for name in ("reason", "files")
    )
