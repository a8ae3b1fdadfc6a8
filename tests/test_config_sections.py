"""Sections whose keys depend on a name, lists of sections and free keys."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from fedvox.config import build, setting, to_mapping
from fedvox.errors import ConfigError
from fedvox.registry import Registry


@dataclass(frozen=True)
class Round:
    name: str = "round"
    radius: float = setting(1.0, low=0.0)


@dataclass(frozen=True)
class Square:
    name: str = "square"
    edge: int = setting(2, low=1)


SHAPES: Registry = Registry("shape")
SHAPES.register("round", Round)(abs)
SHAPES.register("square", Square)(abs)


@dataclass(frozen=True)
class Job:
    shape: object = setting("round", registry=SHAPES)
    steps: tuple[Square, ...] = setting(())
    weights: Mapping[str, float] = setting(dict, low=0.0)
    extra: Square | None = None


@dataclass(frozen=True)
class Strict:
    shape: object = setting(registry=SHAPES)


def message(cls: type, mapping: object) -> str:
    with pytest.raises(ConfigError) as caught:
        build(cls, mapping, "job.json")
    return str(caught.value)


def test_a_name_brings_its_own_settings_and_its_default_holds():
    assert build(Job, {}, "job.json").shape == Round()
    assert build(Job, {"shape": {"radius": 3}}, "job.json").shape == Round(radius=3.0)
    own = build(Job, {"shape": {"name": "square", "edge": 5}}, "job.json")
    assert own.shape == Square(edge=5)
    assert build(Job, to_mapping(own), "job.json") == own


def test_a_text_is_short_for_a_section_with_nothing_but_its_name():
    assert build(Job, {"shape": "square"}, "job.json").shape == Square()
    assert build(Strict, {"shape": "square"}, "job.json").shape == Square()


def test_a_key_of_another_name_is_refused_by_name():
    told = message(Job, {"shape": {"name": "square", "radius": 1}})
    assert told == (
        "job.json: unknown key 'shape.radius' of shape 'square'; radius belongs to round; "
        "allowed: name, edge"
    )
    told = message(Job, {"shape": {"name": "square", "edgy": 1}})
    assert told.endswith("of shape 'square'; did you mean 'edge'? allowed: name, edge")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"name": "sqare"}, "unknown shape 'sqare'; did you mean 'square'?"),
        ({"name": 3}, "'shape.name' must be a text"),
        ("sqare", "'shape': unknown shape 'sqare'; did you mean 'square'?"),
        (["square"], "'shape' must be a name, or an object"),
    ],
)
def test_an_unknown_name_is_an_error(section, words):
    assert words in message(Job, {"shape": section})


def test_without_a_default_the_name_must_be_there():
    assert message(Strict, {}) == "job.json: key 'shape' is missing; add it"
    assert message(Strict, {"shape": {}}) == "job.json: key 'shape.name' is missing; add it"


def test_lists_of_sections_free_keys_and_sections_that_may_be_missing():
    mapping = {"steps": [{"edge": 1}, {"edge": 7}], "weights": {"a": 1}, "extra": {"edge": 3}}
    own = build(Job, mapping, "job.json")
    assert own.steps == (Square(edge=1), Square(edge=7))
    assert own.weights == {"a": 1.0}
    assert own.extra == Square(edge=3)
    assert build(Job, {"extra": None}, "job.json").extra is None


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"steps": [{"edge": 1}, {"edge": 0}]}, "'steps[1].edge' is 0; it must be at least 1"),
        ({"steps": [{"edge": 1}, {"egde": 2}]}, "unknown key 'steps[1].egde'"),
        ({"weights": {"a": -1}}, "'weights.a' is -1; it must be at least 0"),
        ({"weights": [1]}, "'weights' must be an object"),
        ({"extra": {"edge": "x"}}, "'extra.edge' must be a whole number"),
    ],
)
def test_a_wrong_value_inside_is_named_with_its_place(mapping, words):
    assert words in message(Job, mapping)
