"""Changes to a job's settings as ``key.path=value``, as ``--set`` takes them."""

import dataclasses
import json
import re
import typing
from collections.abc import Sequence
from typing import Any

from fedvox.config import to_mapping
from fedvox.errors import ConfigError
from fedvox.flare.jobs.folder import TRAINING
from fedvox.flare.run.moved import MOVED
from fedvox.job.settings import JobSettings, job_from
from fedvox.registry import Registry


def apply_overrides(mapping: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Applies ``key.path=value`` changes to a parsed ``training.json``.

    Args:
        mapping: left as it is.
        overrides: values are read as JSON; what is no JSON is a text. A list may be written
            without brackets and quotes, ``data.organs=liver,spleen``, and a list of one element
            as that element, ``data.organs=liver``.

    Raises:
        ConfigError: no ``=``, an unknown key, a value out of range, or an override that a later
            one undoes; names the override.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        if key.strip() in MOVED:
            raise ConfigError(
                f"--set {override}: write it as waiting.{MOVED[key.strip()]}={value}, see "
                "docs/lead.md"
            )
    result = _changed(mapping, overrides)
    _refuse_undone(overrides, result)
    problem = _problem(result)
    if not problem:
        return result
    # An override is to blame if the job without it has no problem or another one.
    blamed = [
        override
        for index, override in enumerate(overrides)
        if _problem_of(mapping, [*overrides[:index], *overrides[index + 1 :]]) != problem
    ]
    where = ", ".join(f"--set {override}" for override in blamed or overrides)
    raise ConfigError(f"{where or TRAINING.name}: {problem}")


def _changed(mapping: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(json.dumps(mapping))
    defaults = _with_defaults(mapping)
    for override in overrides:
        path, separator, text = override.partition("=")
        if not separator or not path:
            raise ConfigError(f"--set {override}: write it as key.path=value")
        if path == "name":
            raise ConfigError(f"--set {override}: the job's name is not set so; use --name")
        *parents, last = path.split(".")
        if not parents and not (_value(text) is None and _may_be_left_out(last)):
            _refuse_section(override, last, defaults)
        target, known = result, defaults
        for depth, part in enumerate(parents, start=1):
            if isinstance(target.get(part), str) and _registry_at(parents[:depth]):
                target[part] = {"name": target[part]}  # which the text is short for
            target, known = target.setdefault(part, {}), _section(known, part)
            if not isinstance(target, dict):
                raise ConfigError(f"--set {override}: '{part}' holds a value, not a section")
        value = _value(text)
        if last == "name":
            _forget_others(target, parents, value)
        lone = not isinstance(value, list | dict) and _takes_list(parents, last, target, known)
        target[last] = [value] if lone else value
    return result


def _takes_list(
    path: Sequence[str], key: str, section: dict[str, Any], known: dict[str, Any]
) -> bool:
    """Whether a key holds a list, with the name that its section has now."""
    registry, name = _registry_at(path), section.get("name", known.get("name"))
    if registry is not None and isinstance(name, str) and name in registry:
        kind = typing.get_type_hints(registry.settings(name)).get(key)
        return typing.get_origin(kind) is tuple
    return isinstance(section.get(key, known.get(key)), list)


def refuse_repeated(overrides: Sequence[str]) -> None:
    """Refuses a key with two values in one command; code may put a person's after its own.

    Raises:
        ConfigError: names the key and both values.
    """
    values: dict[str, str] = {}
    for override in overrides:
        path, _, text = override.partition("=")
        first = values.setdefault(path, text)
        if first != text and _value(first) != _value(text):
            raise ConfigError(f"--set {override}: {path} is set to {first} too; keep one")


def _refuse_undone(overrides: Sequence[str], result: dict[str, Any]) -> None:
    """An override that a later one silently undoes, since it sets its section or a new name."""
    pairs = [override.partition("=")[::2] for override in overrides]
    for place, (path, _) in enumerate(pairs):
        for later, other in pairs[place + 1 :]:
            section, _, last = later.rpartition(".")
            renamed = last == "name" and path.startswith(f"{section}.")
            if path.startswith(f"{later}.") or (renamed and not _holds(result, path)):
                raise ConfigError(f"--set {later}={other}: {later} overrides {path}; put it first")


def _holds(mapping: Any, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(mapping, dict) or part not in mapping:
            return False
        mapping = mapping[part]
    return True


def _forget_others(section: dict[str, Any], path: Sequence[str], name: Any) -> None:
    """A new name, of a network say, has its own keys: those of the old one that it lacks, or takes
    in another form, go."""
    registry = _registry_at(path)
    if registry is None or name not in registry:
        return
    before = str(section.get("name"))
    old = typing.get_type_hints(registry.settings(before)) if before in registry else {}
    new = typing.get_type_hints(registry.settings(name))
    for key in list(section):
        if key not in new or old.get(key, new[key]) != new[key]:
            del section[key]


def _may_be_left_out(section: str) -> bool:
    """Whether ``null`` stands for a section, which then does nothing."""
    return type(None) in typing.get_args(typing.get_type_hints(JobSettings).get(section))


def _registry_at(path: Sequence[str]) -> Registry[Any] | None:
    """The registry whose names a section of the settings takes, or None."""
    cls: Any = JobSettings
    registry = None
    for part in path:
        found = {f.name: f for f in dataclasses.fields(cls)}.get(part)
        if found is None:
            return None
        registry, cls = found.metadata.get("registry"), typing.get_type_hints(cls)[part]
        if not dataclasses.is_dataclass(cls):
            return None
    return registry


def _refuse_section(override: str, key: str, defaults: dict[str, Any]) -> None:
    """An override without a dot names a whole section, or forgot it."""
    section = defaults.get(key)
    if isinstance(section, dict):
        raise ConfigError(f"--set {override}: name a key of the section, as {key}.{min(section)}")
    for name, section in defaults.items():
        if isinstance(section, dict) and key in section:
            raise ConfigError(f"--set {override}: write it as {name}.{override}")


def _with_defaults(mapping: dict[str, Any]) -> dict[str, Any]:
    """All settings of a job, to see which of them are lists; of a wrong job those that it has."""
    try:
        return to_mapping(job_from(mapping))
    except ConfigError:
        return mapping


def _section(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    section = mapping.get(key)
    return section if isinstance(section, dict) else {}


def _problem(mapping: dict[str, Any]) -> str:
    """What is wrong with a job's settings; empty when nothing is."""
    try:
        job_from(mapping, "job")
    except ConfigError as error:
        return str(error).removeprefix("job: ")
    return ""


def _problem_of(mapping: dict[str, Any], overrides: Sequence[str]) -> str:
    try:
        return _problem(_changed(mapping, overrides))
    except ConfigError as error:
        return str(error)


def _value(text: str) -> Any:
    text = text.strip()
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        if re.fullmatch(r"[+-]?(\d+\.\d*|\.\d+)(e[+-]?\d+)?", text, re.IGNORECASE):
            return float(text)  # .1 and 1. are no JSON
        return [_value(part) for part in text.split(",")] if "," in text else text
