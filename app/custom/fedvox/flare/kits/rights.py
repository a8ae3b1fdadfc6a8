"""Rights that a site's ``authorization.json`` may grant at most, and those that go beyond."""

from typing import Any

from nvflare.fuel.sec.authz import Policy, parse_policy_config
from nvflare.security.security import COMMAND_CATEGORIES

WIDEST: dict[str, dict[str, str]] = {
    "project_admin": {
        "submit_job": "any",
        "clone_job": "any",
        "manage_job": "any",
        "download_job": "any",
        "view": "any",
        "operate": "any",
        "byoc": "any",
    },
    "org_admin": {
        "manage_job": "o:submitter",
        "download_job": "o:submitter",
        "view": "any",
        "operate": "o:site",
        "shell_commands": "o:site",
    },
    "lead": {
        "submit_job": "any",
        "clone_job": "n:submitter",
        "manage_job": "n:submitter",
        "download_job": "n:submitter",
        "view": "any",
        "operate": "o:site",
        "byoc": "any",
    },
    "member": {"view": "any"},
}
"""What the templates in ``provisioning/policies`` grant, with ``byoc``, which a kit may hold.
What does not stand here is granted to nobody."""
_NARROWER = {("n:submitter", "o:submitter")}
_SHORT = {"org": "o", "name": "n", "all": "any", "no": "none"}
_EVERYTHING = "*"


def excess_rights(policy: dict[str, Any]) -> list[str]:
    """Clauses such as ``grants member submit_job any (template: none)``, one per role.

    FLARE's own parser reads the policy, so that categories, single commands and a role's one
    condition for everything count as FLARE counts them.

    Args:
        policy: content of ``authorization.json``.
    """
    own, error = _parsed(policy)
    if own is None:
        return [f"cannot be used ({error})"]
    template, _ = parse_policy_config(
        {"format_version": "1.0", "permissions": WIDEST}, COMMAND_CATEGORIES
    )
    clauses = []
    for role in sorted(set(own.get_roles())):
        pairs = {r: (_granted(own, role, r), _granted(template, role, r)) for r in _rights(own)}
        wider = {right: pair for right, pair in pairs.items() if not _within(*pair)}
        told = [
            f"{right} {' or '.join(given)} (template: {' or '.join(limits) or 'none'})"
            for right, (given, limits) in sorted(wider.items())
            if COMMAND_CATEGORIES.get(right, right) in {right} | (pairs.keys() - wider.keys())
        ]
        if told:
            clauses.append(f"grants {role} {', '.join(told)}")
    return clauses


def granted_roles(policy: dict[str, Any], right: str) -> list[str]:
    """Roles that have a right under some condition, as FLARE reads the policy, sorted.

    A policy that FLARE cannot use grants nothing; :func:`excess_rights` says what is wrong with it.

    Args:
        policy: content of ``authorization.json``.
        right: such as ``byoc``; FLARE counts neither case nor blanks around it.
    """
    own, _ = _parsed(policy)
    if own is None:
        return []
    name = " ".join(right.lower().split())
    return [role for role in sorted(set(own.get_roles())) if _granted(own, role, name)]


def _parsed(policy: dict[str, Any]) -> tuple[Policy | None, str]:
    """The policy as FLARE reads it, or what is wrong with it."""
    try:
        own, error = parse_policy_config(policy, COMMAND_CATEGORIES)
    except TypeError as wrong:
        return None, str(wrong)
    return own, error


def _rights(policy: Policy) -> set[str]:
    """Names of all rights: FLARE's commands, their categories, those of jobs, the policy's own."""
    known = {*COMMAND_CATEGORIES, *COMMAND_CATEGORIES.values(), "submit_job", "clone_job", "byoc"}
    return (known | set(policy.get_rights())) - {_EVERYTHING}


def _granted(policy: Policy, role: str, right: str) -> list[str]:
    """Conditions of a right, any of which is enough; empty when the role does not have it."""
    conditions = policy.role_right_map
    found = conditions.get(f"{role}:{_EVERYTHING}") or conditions.get(f"{role}:{right}")
    if found is None:
        return []
    texts = [_plain(text) for text in ([found.exp] if isinstance(found.exp, str) else found.exp)]
    # Conditions that only exclude somebody grant the right to everybody else.
    allowing = [text for text in texts if not text.startswith("not ")] or ["any"]
    return [text for text in allowing if text != "none"]


def _plain(condition: str) -> str:
    """A condition in one spelling: ``org : Site`` is ``o:site``."""
    text = " ".join(condition.lower().split())
    kind, colon, target = (part.strip() for part in text.partition(":"))
    return _SHORT.get(kind, kind) + colon + target


def _within(given: list[str], limits: list[str]) -> bool:
    """Is every condition one of the limits, or narrower than one?"""
    return all(
        any(limit in ("any", text) or (text, limit) in _NARROWER for limit in limits)
        for text in given
    )
