"""A command line that answers every mistake in one line: what is wrong, what was probably meant."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from fedvox.commands.text import visible
from fedvox.suggest import closest

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212"
"""What text programs make of a hyphen or of two."""
_NUMBER = re.compile(r"-\.?\d")
_PHRASES = (
    (re.compile(r"argument (\S+): invalid int value: (.*)"), r"\1: \2 is no whole number"),
    (re.compile(r"argument (\S+): invalid float value: (.*)"), r"\1: \2 is no number"),
    (re.compile(r"argument (\S+): expected one argument"), r"\1 needs a value after it"),
    (re.compile(r"argument (\S+): ignored explicit argument (.*)"), r"\1 takes no value, not \2"),
    (re.compile(r"argument ([^:]+): (?!invalid choice)"), r"\1: "),
    (re.compile(r"the following arguments are required: (.*)"), r"missing: \1"),
)
"""argparse's words, and ours."""


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line, and where to read on.

    An unknown option is told before a missing one: who misspells a required option did both.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but an unknown option ends it at once."""
        for word in self._own(list(args or ())):
            if not self._knows(word):
                self.error(f"unknown option {word.partition('=')[0]}{self._hint(word)}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Prints the message and ends with exit code 2."""
        for pattern, words in _PHRASES:
            message = pattern.sub(words, message, count=1)
        if self._subparsers is not None:
            message = message.replace(
                "missing: ACTION", f"missing: {_either(self._actions_below())}"
            )
        see = " See" if message.endswith("?") else "; see"
        self.exit(2, visible(f"fedvox: error: {message}{see} '{self.prog} --help'") + "\n")

    def _actions_below(self) -> list[str]:
        return [str(name) for action in self._actions for name in action.choices or ()]

    def _own(self, words: Sequence[str]) -> list[str]:
        """The words that are options of this parser, not of an action below it."""
        options, nested = [], self._subparsers is not None
        for word in words:
            if word == "--" or (nested and not _is_option(word)):
                break
            if _is_option(word):
                options.append(word)
        return options

    def _knows(self, word: str) -> bool:
        name = word.partition("=")[0]
        known = self._option_string_actions
        short = not name.startswith("--") and name[:2] in known
        prefix = name.startswith("--") and any(option.startswith(name) for option in known)
        return name in known or short or prefix

    def _hint(self, word: str) -> str:
        name = "--" + word.partition("=")[0].lstrip("-" + _DASHES).lower().replace("_", "-")
        found = [option for option in self._option_string_actions if option.startswith("--")]
        close = [option for option in found if option.startswith(name)] if len(name) == 3 else []
        likely = close[0] if len(close) == 1 else closest(name, found)
        return f"; did you mean {likely}?" if likely else ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        names = [str(choice) for choice in action.choices]
        if action.option_strings:
            problem = f"{action.option_strings[0]} '{value}': choose {_either(names)}"
        else:
            option = f"--{value}"
            known = option in self._option_string_actions
            close = option if known else closest(str(value), names)
            remedy = f"did you mean {close}?" if close else f"choose {_either(names)}"
            problem = f"unknown {str(action.metavar).lower()} '{value}'; {remedy}"
        raise argparse.ArgumentError(None, problem)


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] in "-" + _DASHES and not _NUMBER.match(word)


def _either(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}" if len(names) > 1 else "".join(names)


def file_path(text: str) -> Path:
    """A path that somebody typed: ``~`` is his home, blanks around it go, an empty one is refused.

    Raises:
        ArgumentTypeError: nothing was named, or ``~`` leads to no user of this machine.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; name a folder or file")
    if "\0" in text:
        raise argparse.ArgumentTypeError("holds a NUL character; mend the path")
    given = Path(text)
    if not text.startswith("~") or given.exists():
        return given
    try:
        return given.expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError(
            f"{text}: there is no such user here; write the path in full"
        ) from None


def lower(text: str) -> str:
    """A name from a fixed list, which people write in any case."""
    return text.strip().lower()
