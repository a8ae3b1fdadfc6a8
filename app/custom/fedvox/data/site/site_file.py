"""`fedvox_site.json`: what a site says about its own data, kept at the site."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedvox.config import build, read_json, setting
from fedvox.data.cases.splits import NAMED
from fedvox.data.organs import MODALITIES
from fedvox.errors import ConfigError

SITE_FILE = "fedvox_site.json"
SITE_VARIABLE = "FEDVOX_SITE"


@dataclass(frozen=True)
class SiteSettings:
    """One site's data, as its own staff describe it.

    Attributes:
        dataset: name of a reader.
        root: folder that the reader opens.
        modalities: modalities that the site holds, in any order.
        split: ``hash`` (by patient, 70/10/20), ``dataset`` (its own), ``test`` (the site does not
            train, all its cases are test cases) or a JSON file of case lists.
        cache: folder for prepared tensors and state; empty means the run folder.
        max_bad_fraction: share of unusable cases above which the site stops.
        share: ``cases`` lets per-case rows leave the site, ``summary`` only means.
        attachments: what updates may carry beside the weights, by name; empty lets nothing of it
            leave, and a name that this version does not know is refused.
        workers: cases prepared at the same time; 0 is as many as cores and memory allow.
    """

    dataset: str
    root: str
    modalities: tuple[str, ...] = setting(choices=MODALITIES)
    split: str = setting("hash")
    cache: str = setting("")
    max_bad_fraction: float = setting(0.05, low=0.0, high=1.0)
    share: str = setting("summary", choices=("cases", "summary"))
    attachments: tuple[str, ...] = setting(())
    workers: int = setting(0, low=0, high=256)

    def __post_init__(self) -> None:
        """Checks what spans several values."""
        if not self.modalities:
            raise ConfigError("'modalities' is empty; name what the site's scanners make")


def read_site_file(path: Path) -> SiteSettings:
    """Reads and checks a site file; relative paths in it count from the file's own folder.

    Raises:
        ConfigError: missing or unknown key, value out of range, or no such data folder.
    """
    content = read_json(path)
    if content.get("root") == "":
        raise ConfigError(f"{path}: 'root' is empty; name the folder of the data")
    if content.get("split") == "":
        raise ConfigError(f"{path}: 'split' is empty; allowed: {', '.join(NAMED)} or a file's name")
    for key in ("root", "cache", "split"):
        value = content.get(key)
        named = key == "split" and value in NAMED
        # What is no text is left to build(), which says so.
        if isinstance(value, str) and value and not named:
            content[key] = _absolute(path, key, value)
    settings = build(SiteSettings, content, str(path))
    try:
        found = Path(settings.root).is_dir()
    except OSError:
        found = False
    if not found:
        raise ConfigError(
            f"{path}: 'root' is not a folder on this machine; mend it there (a relative path "
            "begins at the file's folder, in a container it is the mounted one)"
        )
    return settings


def _absolute(site_file: Path, key: str, value: str) -> str:
    """A path of the site file from its own folder, with ``~`` expanded."""
    if "\0" in value:
        raise ConfigError(f"{site_file}: '{key}' holds a NUL character; mend the path")
    try:
        return str((site_file.parent / Path(value).expanduser()).resolve())
    except (OSError, RuntimeError, ValueError):
        raise ConfigError(
            f"{site_file}: '{key}' leads nowhere (unknown user, loop of links); mend the path"
        ) from None


def find_site_file(
    site: str, config_dirs: tuple[Path, ...] = (), environ: Mapping[str, str] = os.environ
) -> Path | None:
    """Finds a site's file: first ``FEDVOX_SITE`` (``{site}`` is replaced), then ``config_dirs``.

    Returns:
        The file, or None when nothing points to one.

    Raises:
        ConfigError: ``FEDVOX_SITE`` is set but names no file.
    """
    pattern = environ.get(SITE_VARIABLE, "")
    if pattern:
        path = Path(pattern.replace("{site}", site))
        if not path.is_absolute() and not path.is_file():
            # The simulator changes its working folder; PWD still names the user's.
            path = Path(environ.get("PWD", ".")) / path
        if not path.is_file():
            raise ConfigError(
                f"{SITE_VARIABLE} names no file for {site}: {path}; create it or unset the variable"
            )
        return path
    return next((d / SITE_FILE for d in config_dirs if (d / SITE_FILE).is_file()), None)
