"""What holds of every error that a person may read."""

import pytest

from fedvox.errors import ConfigError, ImageError


@pytest.mark.parametrize(
    ("quoted", "shown"),
    [
        ("line\nend", r"line\nend"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\ud800", r"\ud800"),
        ("Größe, 脾臓", "Größe, 脾臓"),
    ],
)
def test_a_message_is_one_line_that_any_terminal_shows_whatever_it_quotes(quoted, shown):
    assert str(ConfigError(f"unknown key '{quoted}'; mend it")) == f"unknown key '{shown}'; mend it"
    assert str(ImageError("ct", quoted)) == f"the ct image: {shown}"
