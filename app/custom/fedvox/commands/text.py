"""Text for a terminal."""


def visible(text: str) -> str:
    """The text as one line: control and other invisible characters are shown escaped.

    Names of files and keys come from others and may hold any character.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
