"""Which names a site may have: those that FLARE provisions and that mean nothing else here."""

import re
from collections.abc import Iterable

from fedvox.errors import ConfigError
from fedvox.privacy.redaction import redact

_FORM = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 64
"""Letters of a common name in a certificate."""
_TAKEN = frozenset(
    # models in the tables, parts of FLARE's addresses and targets of its console, its sum of sites
    ("global_best", "global_last", "mean", "server", "client", "all", "relay", "global")
)
_SERVER_MODEL = "srv_"
"""How FLARE marks the models of the server in an evaluation, in lower-case letters."""


def check_site_name(name: str) -> None:
    """Refuses a name that would be lost or mistaken somewhere between kit and report.

    Raises:
        ConfigError: says why, and what to do.
    """
    reason = _fault(name)
    if reason:
        shown = name if name.isprintable() and len(name) <= _LONGEST else ascii(name)[:40] + "…"
        raise ConfigError(
            f"the site name {shown!r} {reason}; name it with letters, digits, '-' and '_', such "
            "as Klinikum-Nord_2"
        )


def check_site_names(sites: Iterable[str], others: Iterable[str] = ()) -> None:
    """Refuses a wrong name, and two names that differ in letter case only.

    Args:
        sites: names of the sites.
        others: names of the server and of people, which have kits beside those of the sites.

    Raises:
        ConfigError: names them.
    """
    known = {name.lower(): name for name in others}
    for name in sites:
        check_site_name(name)
        twin = known.setdefault(name.lower(), name)
        if twin is not name:
            raise ConfigError(
                f"the names {twin!r} and {name!r} differ in nothing but letter case, so they share "
                "their files on some disks; rename one"
            )


def _fault(name: str) -> str:
    if not _FORM.fullmatch(name):
        return "is none that FLARE provisions"
    if len(name) > _LONGEST:
        return f"has {len(name)} letters, more than the {_LONGEST} that a certificate takes"
    if name.startswith("-"):
        return "begins with '-', which commands take for an option"
    if name.lower() in _TAKEN or name.lower().startswith(_SERVER_MODEL):
        return "means something else in tables or in FLARE"
    if redact(name) != name:
        return "reads like a patient's number or date, which logs take out"
    return ""
