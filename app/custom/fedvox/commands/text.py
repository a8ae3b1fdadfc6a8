"""Text for a terminal."""

from collections.abc import Mapping
from typing import Any


def visible(text: str) -> str:
    """The text as one line: control and other invisible characters are shown escaped.

    Names of files and keys come from others and may hold any character.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def warn_of_phantoms(description: Mapping[str, Any]) -> None:
    """Prints what a model is not for whose ``model.json`` says that it was trained on phantoms."""
    if description.get("phantom"):
        print("This model was trained on phantom data: a test instrument, not for patients.")
