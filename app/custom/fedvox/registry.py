"""Named entries: one line registers a new augmentation, network, reader, aggregator or metric."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from fedvox.errors import ConfigError
from fedvox.suggest import hint

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from a public name to a builder, with an error that lists what there is.

    Args:
        kind: what the names stand for, as it should appear in errors, e.g. ``"network"``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._settings: dict[str, type] = {}

    def register(self, name: str, settings: type | None = None) -> Callable[[T], T]:
        """Decorator that adds a builder under ``name``.

        Args:
            name: as users write it.
            settings: the frozen dataclass of what users may set for it; it holds ``name`` too.

        Raises:
            ConfigError: the name is taken.
        """

        def add(builder: T) -> T:
            if name in self._entries:
                raise ConfigError(f"{self.kind} '{name}' is registered twice; choose another name")
            self._entries[name] = builder
            if settings is not None:
                self._settings[name] = settings
            return builder

        return add

    def settings(self, name: str) -> type:
        """The settings class that was registered with a name.

        Raises:
            ConfigError: the name is unknown.
        """
        self[name]
        return self._settings[name]

    def owners(self, key: str) -> list[str]:
        """The names whose settings hold a key."""
        held = self._settings.items()
        return sorted(n for n, cls in held if key in {f.name for f in dataclasses.fields(cls)})

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise ConfigError(
                f"unknown {self.kind} '{name}'; {hint(name, self._entries)}"
                f"choose one of: {', '.join(sorted(self._entries))}"
            )
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def items(self) -> list[tuple[str, T]]:
        """Names and entries in the order of their registration."""
        return list(self._entries.items())
