"""Text for a terminal."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any


def visible(text: str) -> str:
    """The text as one line: control and other invisible characters are shown escaped.

    Names of files and keys come from others and may hold any character.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def note_untrained(names: Iterable[str]) -> None:
    """Says on stderr, if anything, which modalities a model has never seen."""
    if told := ", ".join(names):
        print(f"note: the model was trained without this modality: {told}", file=sys.stderr)


def warn_of_phantoms(description: Mapping[str, Any]) -> None:
    """Prints what a model is not for whose ``model.json`` says that it was trained on phantoms."""
    if description.get("phantom"):
        print("This model was trained on phantom data: a test instrument, not for patients.")
