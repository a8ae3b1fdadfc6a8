"""Texts in cells of tables: nothing that a terminal obeys, nothing that a spreadsheet computes."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_QUOTE = "'"
"""Put before a text that a spreadsheet would take for a formula."""


def printable(text: str) -> str:
    """The text with a question mark for each control character: terminals and tables obey those."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def quoted(text: str) -> str:
    """The text with an apostrophe in front where a spreadsheet would take it for a formula, or
    where it begins with an apostrophe itself.
    """
    return _QUOTE + text if text.startswith((*_FORMULA, _QUOTE)) else text


def unquoted(text: str) -> str:
    """What :func:`quoted` was given."""
    return text.removeprefix(_QUOTE)
