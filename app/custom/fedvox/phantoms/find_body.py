"""The bodies that there are: each folder of this package that holds a ``BODY``."""

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

import fedvox.phantoms
from fedvox.errors import ConfigError
from fedvox.suggest import hint

if TYPE_CHECKING:
    from fedvox.phantoms.body import Body

DEFAULT = "abdomen"


@cache
def body_names() -> tuple[str, ...]:
    """Names of all bodies, sorted; none of them is loaded."""
    found = pkgutil.iter_modules(fedvox.phantoms.__path__)
    return tuple(sorted(module.name for module in found if module.ispkg))


def body_named(name: str) -> "Body":
    """A body by its name.

    Raises:
        ConfigError: unknown; names what there is.
    """
    names = body_names()
    if name not in names:
        raise ConfigError(
            f"unknown phantom body '{name}'; {hint(name, names)}choose one of: {', '.join(names)}"
        )
    body: Body = importlib.import_module(f"fedvox.phantoms.{name}").BODY
    return body
