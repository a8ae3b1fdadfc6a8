"""Checks of a kit's policies in ``local/``: what they let through that the templates do not."""

import sys
from collections.abc import Collection, Iterator
from typing import Any

from fedvox.doctor.kit import Kit, read_local
from fedvox.errors import ConfigError
from fedvox.finding import FAIL, WARN, Finding, passed
from fedvox.flare.jobs.classes import CLASSES
from fedvox.flare.kits.prepared import Prepared, read_marker
from fedvox.flare.kits.rights import excess_rights, granted_roles
from fedvox.flare.kits.templates import (
    ADDED_FILTERS,
    COMPONENTS,
    FILTERS,
    GUARD,
    LOGGING,
    OUTGOING,
    PREPARED_COMPONENTS,
    RECEIVED,
)
from fedvox.resources import POLICIES, builtin

FLARE_FILTERS = "nvflare.app_common.filters."
"""A site may add FLARE's own privacy filters."""
HANDLERS = {"FileHandler", "handlers.SysLogHandler", "handlers.TimedRotatingFileHandler"}
"""Handlers of Python's ``logging`` that a site may add; others can call what they are told to."""


def check_policies(kit: Kit) -> Finding:
    """Do the site's own policies protect it as the templates do?"""
    local = kit.folder / "local"
    prepared = read_marker(kit.folder)
    resources = read_local(local / "resources.json")
    weak = weak_resources(resources, kit.kind, prepared)
    if kit.kind == "client":
        weak += weak_privacy(read_local(local / "privacy.json"))
    weak += weak_logging(read_local(local / "log_config.json"))
    policy = read_local(local / "authorization.json")
    weak += [f"authorization.json {clause}" for clause in excess_rights(policy)]
    if weak:
        templates = builtin(POLICIES) / ("site" if kit.kind == "client" else "server")
        remedy = f"copy the files of {templates} into local/"
        if prepared:
            remedy = "run 'fedvox kit prepare' again on the kit as it was provisioned"
        return Finding("policies", FAIL, "; ".join(weak), remedy)
    added = [entry for entry in resources["class_allow_list"] if entry not in CLASSES[kit.kind]]
    if added:
        return Finding(
            "policies",
            WARN,
            f"class_allow_list allows {', '.join(added)} beyond the template",
            "right if your hospital added the class; else take it out of local/resources.json",
        )
    byoc = granted_roles(policy, "byoc")
    text = f"carried code is allowed for {', '.join(byoc)}" if byoc else "carried code is refused"
    return passed("policies", text)


def weak_resources(
    resources: dict[str, Any], kind: str, prepared: Prepared | None = None
) -> list[str]:
    """What a kit's ``resources.json`` lets through that the template does not.

    Args:
        resources: its content.
        kind: ``client`` or ``server``.
        prepared: how the kit was prepared for a cluster.
    """
    weak = []
    if resources.get("class_list_enforcement_mode", "enforce") != "enforce":
        weak.append("resources.json does not enforce class_allow_list")
    allowed = resources.get("class_allow_list")
    if not isinstance(allowed, list):
        weak.append("resources.json has no class_allow_list")
    else:
        entries = [str(entry) for entry in allowed]
        wide = [entry for entry in entries if entry not in CLASSES[kind] and _wide(entry)]
        weak += [f"class_allow_list allows {entry or 'everything'}" for entry in wide]
    known = COMPONENTS[kind]
    if prepared:
        known = known | PREPARED_COMPONENTS[prepared.runtime, kind]
    foreign = sorted(set(_built(resources)) - known)
    weak += [f"resources.json runs {path}, which no template has" for path in foreign]
    components = resources.get("components")
    if not any(_runs(entry, GUARD) for entry in components or []):
        weak.append("resources.json has no kit_guard")
    if kind == "client" and resources.get("allow_log_streaming", True):
        weak.append("the error log streams to the server")
    return weak


def weak_privacy(privacy: dict[str, Any]) -> list[str]:
    """What a site's ``privacy.json`` lacks of the template, and classes that it should not run."""
    scopes = privacy.get("scopes")
    weak = []
    if not _filtered(scopes, "task_result_filters", OUTGOING, "out"):
        weak.append("privacy.json does not run the outgoing filter on every scope's results")
    if not _filtered(scopes, "task_data_filters", RECEIVED, "in"):
        weak.append("privacy.json does not note the received model (ReceivedModel) in every scope")
    scopes = [s for s in scopes if isinstance(s, dict)] if isinstance(scopes, list) else []
    default = privacy.get("default_scope")
    if not default or default not in [scope.get("name") for scope in scopes]:
        weak.append("privacy.json names no scope as default_scope, so every job is refused")
    bodies = [{k: v for k, v in scope.items() if k != "name"} for scope in scopes]
    paths = set(_built([bodies, privacy.get("components")])) - FILTERS - ADDED_FILTERS
    foreign = sorted(path for path in paths if not path.startswith(FLARE_FILTERS))
    return weak + [f"privacy.json runs {path}, which no template has" for path in foreign]


def check_attachments(kit: Kit, attachments: Collection[str], where: str) -> None:
    """Refuses attachments of a kit whose policy gives updates noise: to a job that asks for them no
    update would leave.

    Args:
        kit: a site's.
        attachments: of its site file.
        where: the site file's name.

    Raises:
        ConfigError: names them and what to do.
    """
    path = kit.folder / "local/privacy.json"
    scopes = read_local(path).get("scopes") if attachments and path.is_file() else None
    chains = [scope.get("task_result_filters") for scope in scopes or [] if isinstance(scope, dict)]
    noisy = any(_runs(e, name) for chain in chains for e in chain or [] for name in ADDED_FILTERS)
    if noisy:
        raise ConfigError(
            f"{where}: 'attachments' lists {', '.join(attachments)}, which the noise of "
            "local/privacy.json does not reach, so no update would leave to a job that asks for "
            "them; take 'attachments' out"
        )


def weak_logging(config: dict[str, Any]) -> list[str]:
    """Handlers without redaction, and classes and functions that no log needs."""
    weak = []
    formatters, handlers = config.get("formatters"), config.get("handlers")
    if not isinstance(formatters, dict) or not isinstance(handlers, dict):
        formatters, handlers = {}, {"": {}}
    safe = {
        name
        for name, own in formatters.items()
        if isinstance(own, dict) and str(own.get("()")) in LOGGING
    }
    if not all(isinstance(h, dict) and h.get("formatter") in safe for h in handlers.values()):
        weak.append("log_config.json has a handler that does not redact")
    known = LOGGING | {f"logging.{name}" for name in HANDLERS}
    named = {str(d[key]) for d in _objects(config) for key in ("()", "class") if key in d}
    weak += [f"log_config.json runs {name}, which no log needs" for name in sorted(named - known)]
    return weak


def _wide(entry: str) -> bool:
    """Does it allow more than one class? FLARE takes an entry for a package's name as well."""
    module, _, name = entry.rpartition(".")
    return (
        not name[:1].isupper()
        or not all(part.isidentifier() for part in entry.split("."))
        or module.partition(".")[0] in sys.stdlib_module_names
    )


def _built(content: Any) -> Iterator[str]:
    """What FLARE calls to make components: it takes the first of these keys."""
    for entry in _objects(content):
        found = [str(entry[key]) for key in ("path", "class_path", "name") if key in entry]
        yield from found[:1]


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    """All objects in JSON, at any depth."""
    if isinstance(content, dict):
        yield content
    for value in content.values() if isinstance(content, dict) else content or []:
        if isinstance(value, dict | list):
            yield from _objects(value)


def _runs(entry: Any, path: str) -> bool:
    return isinstance(entry, dict) and entry.get("path") == path and not entry.get("disabled")


def _filtered(scopes: Any, chain: str, path: str, direction: str) -> bool:
    """Has every scope the filter?"""
    if not isinstance(scopes, list) or not scopes:
        return False
    return all(
        isinstance(scope, dict)
        and any(
            _runs(entry, path)
            and str(entry.get("direction") or direction).lower() in (direction, "inout")
            for entry in scope.get(chain) or []
        )
        for scope in scopes
    )
