"""Frozen dataclasses from JSON: an unknown key or a value out of range is an error with a name.

A settings class states its limits beside each field, with :func:`setting`. :func:`build` checks a
mapping against them and returns the frozen object; :func:`to_mapping` is its inverse.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from fedvox.errors import ConfigError
from fedvox.registry import Registry
from fedvox.suggest import hint

S = TypeVar("S")


def setting(
    default: Any = dataclasses.MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
    registry: Registry[Any] | None = None,
) -> Any:
    """Declares a field with its limits (both inclusive; for tuples they hold per element).

    Args:
        default: value when the key is absent; without it the key is required.
        low: smallest allowed number.
        high: largest allowed number.
        choices: the allowed values.
        registry: the section's ``name`` is one of its names and brings its own settings class; a
            text in its place is short for ``{"name": text}``; ``default`` is the name that holds
            where the section says none.
    """
    metadata = {"low": low, "high": high, "choices": choices, "registry": registry}
    if registry is not None and default is not dataclasses.MISSING:
        metadata["name"] = default
        return dataclasses.field(
            default_factory=lambda: registry.settings(default)(), metadata=metadata
        )
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def build(
    cls: type[S],
    mapping: Mapping[str, Any],
    where: str,
    prefix: str = "",
    of: str = "",
    registry: Registry[Any] | None = None,
) -> S:
    """Builds a frozen settings object from a mapping, checking every key and value.

    Args:
        cls: a dataclass whose fields were declared with :func:`setting`.
        mapping: the parsed JSON object.
        where: the file to name in errors.
        prefix: dotted path of this object inside the file, for errors.
        of: what the keys belong to, for errors, where that depends on a name.
        registry: of these names, for an error on a key that belongs to another one.

    Raises:
        ConfigError: unknown, missing or invalid key; names the key, the file, the allowed values.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{where}: '{prefix or 'the file'}' must be an object with named keys")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in mapping:
        if key not in fields:
            owners = registry.owners(str(key)) if registry else []
            known = f"{key} belongs to {', '.join(owners)}; " if owners else hint(str(key), fields)
            raise ConfigError(
                f"{where}: unknown key '{_join(prefix, key)}'{of}; {known}"
                f"allowed: {', '.join(fields)}"
            )
    values = {
        name: _value(hints[name], fields[name], mapping[name], where, _join(prefix, name))
        for name in mapping
    }
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in values:
            raise ConfigError(f"{where}: key '{_join(prefix, name)}' is missing; add it")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def to_mapping(settings: Any) -> dict[str, Any]:
    """Turns a settings object back into plain JSON types."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def flattened(settings: Any) -> dict[str, Any]:
    """A settings object's values by dotted key, such as ``training.rounds``, in its order."""
    return dict(_flat(to_mapping(settings)))


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _why(error: json.JSONDecodeError | UnicodeDecodeError) -> str:
    """Where a text stops being JSON, and for what reason."""
    if isinstance(error, UnicodeDecodeError):
        return ", since it is not in UTF-8"
    if not error.doc.strip():
        return ", since it is empty"
    hint = " (write a backslash twice, or use /)" if "escape" in error.msg else ""
    return f" at line {error.lineno}, column {error.colno}: {error.msg}{hint}"


def read_json(path: Path, name: str | None = None) -> dict[str, Any]:
    """Reads a JSON object; a UTF-8 byte order mark is accepted.

    Args:
        path: the file.
        name: what errors call the file, default its path. Given for files of a site's data, whose
            errors leave the site: these then name neither the folder nor a key.

    Raises:
        ConfigError: the file is missing, is not a JSON object or holds a key twice; names file and
            line.
    """
    where = name or str(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_object)
    except FileNotFoundError:
        raise ConfigError(f"{where}: file not found; check the path") from None
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read ({error.strerror}); check the path") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: not valid JSON{_why(error)}; mend it") from None
    except ValueError:  # of Python, from 4300 digits on
        raise ConfigError(f"{where}: holds a number that is too long; mend it") from None
    except RecursionError:
        raise ConfigError(f"{where}: nested too deeply to be read; mend it") from None
    except _RepeatedKey as error:
        key = "a key" if name else f"key '{error}'"
        raise ConfigError(f"{where}: {key} stands twice in one object; keep one") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: it must hold one JSON object; write it as {{...}}")
    return content


class _RepeatedKey(Exception):
    """A JSON object names a key twice; Python's reader would keep the last one silently."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _RepeatedKey(key)
        result[key] = value
    return result


def _join(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix else str(key)


def _value(hint: Any, field: Any, value: Any, where: str, key: str) -> Any:
    if (registry := field.metadata.get("registry")) is not None:
        return _named(registry, field.metadata.get("name"), value, where, key)
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where, key)  # type: ignore[arg-type]
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        return None if value is None else _value(options[0], field, value, where, key)
    if origin is tuple:
        return _tuple(hint, field, value, where, key)
    if origin in (dict, Mapping):
        return _mapping(typing.get_args(hint)[1], field, value, where, key)
    _check_type(hint, value, where, key)
    _check_limits(field, value, where, key)
    return float(value) if hint is float else value


def _named(registry: Registry[Any], default: str | None, value: Any, where: str, key: str) -> Any:
    """A section whose keys depend on its ``name``; a text is short for nothing but the name."""
    place = key if isinstance(value, str) else f"{key}.name"
    value = {"name": value} if isinstance(value, str) else value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: '{key}' must be a name, or an object with named keys")
    name = value.get("name", default)
    if name is None:
        raise ConfigError(f"{where}: key '{place}' is missing; add it")
    _check_type(str, name, where, place)
    try:
        cls = registry.settings(name)
    except ConfigError as error:
        raise ConfigError(f"{where}: '{place}': {error}") from None
    return build(cls, value, where, key, f" of {registry.kind} '{name}'", registry)


def _mapping(item: Any, field: Any, value: Any, where: str, key: str) -> dict[str, Any]:
    """A section whose keys are free and whose values are alike."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: '{key}' must be an object with named keys")
    return {name: _value(item, field, one, where, _join(key, name)) for name, one in value.items()}


def _tuple(hint: Any, field: Any, value: Any, where: str, key: str) -> tuple[Any, ...]:
    item, *rest = typing.get_args(hint)
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: '{key}' must be a list, not {value!r}")
    if rest and rest[0] is not Ellipsis and len(value) != len(rest) + 1:
        raise ConfigError(f"{where}: '{key}' must have {len(rest) + 1} elements, not {len(value)}")
    return tuple(
        _value(
            item,
            field,
            element,
            where,
            f"{key}[{place}]" if dataclasses.is_dataclass(item) else key,
        )
        for place, element in enumerate(value)
    )


def _check_type(hint: Any, value: Any, where: str, key: str) -> None:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    accepted = (int, float) if hint is float else (hint,)
    is_bool = isinstance(value, bool)
    if not isinstance(value, accepted) or (is_bool and hint is not bool):
        raise ConfigError(f"{where}: '{key}' must be {names.get(hint, hint)}, not {value!r}")


def _check_limits(field: Any, value: Any, where: str, key: str) -> None:
    low, high, choices = (field.metadata.get(name) for name in ("low", "high", "choices"))
    if choices is not None and value not in choices:
        names = [str(choice) for choice in choices]
        raise ConfigError(
            f"{where}: '{key}' is {value!r}; {hint(str(value), names)}allowed: {', '.join(names)}"
        )
    if low is not None and not value >= low:
        raise ConfigError(f"{where}: '{key}' is {value}; it must be at least {low}")
    if high is not None and not value <= high:
        raise ConfigError(f"{where}: '{key}' is {value}; it must be at most {high}")
