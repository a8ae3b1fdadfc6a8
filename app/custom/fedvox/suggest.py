"""What somebody probably meant who wrote a name that does not exist."""

import difflib
from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known name that a word resembles, whatever its case; None when none does."""
    names = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.strip().lower(), names, 1)
    return names[found[0]] if found else None


def hint(word: str, known: Iterable[str]) -> str:
    """``did you mean 'mr'? `` for a message that goes on with the known names; empty without."""
    found = closest(word, known)
    return f"did you mean '{found}'? " if found else ""
