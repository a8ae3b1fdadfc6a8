import pytest

from fedvox.commands.text import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text: Zürich…", "plain text: Zürich…"),
        ("a\nb", "a\\nb"),
        ("\x1b[2K\rok", "\\x1b[2K\\rok"),
        ("evil\u202etxt", "evil\\u202etxt"),
        ("\u2028\udcff", "\\u2028\\udcff"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
