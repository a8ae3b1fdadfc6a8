"""Sound trees and sound bytes, changed in a few places."""

import copy
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

WHOLE = (0, -1, 1, 2, 3, 255, 2**15, 2**31 - 1, -(2**31), 2**32, 2**63, 10**30, True, False)
NAN, INFINITE = float("nan"), float("inf")
NUMBERS = st.sampled_from(
    [*WHOLE, 0.5, -0.0, 1e-300, 1e30, 3.5e38, 1.7e308, NAN, INFINITE, -INFINITE]
)
KNOWN = "ct mr CT liver Leber 0 1 -1 nan None name norm model.* hash dataset test mean"
HARMFUL = "../../etc/passwd / ~root ~nobody-here =1+1 %s <b> {} [] *** ( 1e309"
WORDS = st.sampled_from(
    [*KNOWN.split(), *HARMFUL.split(), "", " ", "\n", "a\0b", "\ud800", "é" * 300, "x" * 5000]
)
LEAVES = st.none() | NUMBERS | WORDS | st.text(max_size=12) | st.integers() | st.floats()
ODD = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
"""What a field might hold instead, as far as JSON can say it."""
FIELDS = (b"", b" ", b"\0", b"0 ", b"1 ", b"-1", b"nan ", b"inf ", b"1e309 ", b"99999999999 ", b"x")
PIECES = st.sampled_from(FIELDS) | st.binary(max_size=9)
PACKED = st.builds(
    struct.pack,
    st.sampled_from(["<f", "<d", ">f"]),
    st.sampled_from([0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf")]),
) | st.builds(
    struct.pack,
    st.sampled_from(["<h", ">h", "<i", "<q"]),
    st.sampled_from([0, 1, -1, 2, 4, 8, 16, 32, 64, 127, 512, 2047, 2**15 - 1, -(2**15)]),
)
"""Numbers as headers hold them."""


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Each container of a tree with each of its keys."""
    if isinstance(tree, dict | list):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from places(tree[key])


@st.composite
def changed_trees(
    draw: st.DrawFn,
    bases: Sequence[Any],
    odd: st.SearchStrategy[Any] = ODD,
    keys: st.SearchStrategy[Any] = WORDS,
) -> Any:
    """A sound tree of dictionaries and lists after one to four changes.

    Args:
        draw: by hypothesis.
        bases: sound ones.
        odd: what a value is replaced by.
        keys: names under which one is stored anew.
    """
    tree = copy.deepcopy(draw(st.sampled_from(bases)))
    for _ in range(draw(st.integers(1, 4))):
        found = list(places(tree))
        if not found:
            return draw(odd)
        inside, key = found[draw(st.integers(0, len(found) - 1))]
        kind = draw(st.sampled_from(["replace", "replace", "drop", "more", "other"]))
        if kind == "replace":
            inside[key] = draw(odd)
        elif kind == "drop":
            del inside[key]
        elif kind == "more" and isinstance(inside, dict):
            inside[draw(keys)] = draw(odd)
        elif kind == "more":
            inside.append(draw(odd))
        else:
            other, at = found[draw(st.integers(0, len(found) - 1))]
            inside[key] = copy.deepcopy(other[at])
    return tree


@st.composite
def changed_bytes(draw: st.DrawFn, bases: Sequence[bytes], head: int = 512, most: int = 5) -> bytes:
    """Sound bytes after some changes, half of them among the first.

    Args:
        draw: by hypothesis.
        bases: sound ones.
        head: how many bytes count as the first.
        most: changes.
    """
    data = bytearray(draw(st.sampled_from(bases)))
    for _ in range(draw(st.integers(1, most))):
        place = draw(st.integers(0, len(data) if draw(st.booleans()) else min(head, len(data))))
        kind = draw(st.sampled_from(["bit", "number", "number", "put", "cut", "repeat", "drop"]))
        CHANGES[kind](data, place, draw)
    return bytes(data)


def _bit(data: bytearray, place: int, draw: st.DrawFn) -> None:
    if place < len(data):
        data[place] ^= 1 << draw(st.integers(0, 7))


def _number(data: bytearray, place: int, draw: st.DrawFn) -> None:
    value = draw(PACKED)
    aligned = place - place % 2
    data[aligned : aligned + len(value)] = value


def _put(data: bytearray, place: int, draw: st.DrawFn) -> None:
    data[place:place] = draw(PIECES)


def _cut(data: bytearray, place: int, draw: st.DrawFn) -> None:
    del data[place:]


def _repeat(data: bytearray, place: int, draw: st.DrawFn) -> None:
    data[place:place] = data[place : place + draw(st.integers(1, 64))]


def _drop(data: bytearray, place: int, draw: st.DrawFn) -> None:
    del data[place : place + draw(st.integers(1, 64))]


CHANGES: Mapping[str, Callable[[bytearray, int, st.DrawFn], None]] = {
    "bit": _bit,
    "number": _number,
    "put": _put,
    "cut": _cut,
    "repeat": _repeat,
    "drop": _drop,
}
