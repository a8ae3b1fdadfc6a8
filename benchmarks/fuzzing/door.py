"""What a door is: inputs that may come, and what the code does with one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True)
class Door:
    """One entry point.

    Attributes:
        inputs: sound things, changed.
        enter: takes one in; True when it was accepted, False when it was refused by one of the
            project's own errors. Everything else that it raises is a fault.
    """

    inputs: st.SearchStrategy[Any]
    enter: Callable[[Any], bool]
