import json
from dataclasses import FrozenInstanceError, dataclass

import pytest

from fedvox.config import build, read_json, setting, to_mapping
from fedvox.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    rate: float = setting(0.5, low=0.0, high=1.0)
    name: str = setting("adam", choices=("adam", "sgd"))


@dataclass(frozen=True)
class Outer:
    rounds: int = setting(low=1, high=10)
    inner: Inner = setting(Inner)
    sizes: tuple[int, ...] = setting((8, 16), low=1, high=64)
    spacing: tuple[float, float, float] = setting((1.0, 1.0, 1.0), low=0.1)
    names: tuple[str, ...] = setting(("ct",), choices=("ct", "mr"))
    limit: float | None = setting(None, low=0.0)
    fast: bool = False

    def __post_init__(self) -> None:
        if self.fast and self.rounds > 5:
            raise ConfigError("'fast' allows at most 5 rounds")


def message(mapping) -> str:
    with pytest.raises(ConfigError) as caught:
        build(Outer, mapping, "job.json")
    return str(caught.value)


def test_absent_keys_take_their_defaults():
    assert build(Outer, {"rounds": 3}, "job.json") == Outer(rounds=3, inner=Inner())


def test_every_key_reaches_its_field():
    mapping = {
        "rounds": 2,
        "inner": {"rate": 1, "name": "sgd"},
        "sizes": [1, 2, 64],
        "spacing": [1, 2, 3.5],
        "names": ["mr", "ct"],
        "limit": 4,
        "fast": True,
    }
    assert build(Outer, mapping, "job.json") == Outer(
        rounds=2,
        inner=Inner(rate=1.0, name="sgd"),
        sizes=(1, 2, 64),
        spacing=(1.0, 2.0, 3.5),
        names=("mr", "ct"),
        limit=4.0,
        fast=True,
    )


def test_whole_numbers_become_floats_where_a_float_is_asked():
    settings = build(Outer, {"rounds": 1, "inner": {"rate": 1}, "spacing": [1, 1, 2]}, "job.json")
    assert type(settings.inner.rate) is float
    assert [type(value) for value in settings.spacing] == [float] * 3


def test_null_is_allowed_only_where_the_field_says_so():
    assert build(Outer, {"rounds": 1, "limit": None}, "job.json").limit is None
    assert "'rounds'" in message({"rounds": None})


def test_settings_cannot_be_changed_after_reading():
    settings = build(Outer, {"rounds": 3}, "job.json")
    with pytest.raises(FrozenInstanceError):
        settings.rounds = 4


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"rounds": 1, "round": 2}, ["unknown key 'round'", "rounds, inner, sizes"]),
        ({"rounds": 1, "inner": {"lr": 1}}, ["unknown key 'inner.lr'", "rate, name"]),
        ({}, ["'rounds' is missing"]),
        ({"rounds": 0}, ["'rounds' is 0", "at least 1"]),
        ({"rounds": 11}, ["'rounds' is 11", "at most 10"]),
        ({"rounds": 2.0}, ["'rounds'", "a whole number", "2.0"]),
        ({"rounds": True}, ["'rounds'", "a whole number", "True"]),
        ({"rounds": "3"}, ["'rounds'", "a whole number", "'3'"]),
        ({"rounds": 1, "fast": 1}, ["'fast'", "true or false"]),
        ({"rounds": 1, "inner": {"name": "lion"}}, ["'inner.name'", "'lion'", "adam, sgd"]),
        ({"rounds": 1, "inner": {"name": 7}}, ["'inner.name'", "a text"]),
        ({"rounds": 1, "inner": {"rate": float("nan")}}, ["'inner.rate'", "at least 0"]),
        ({"rounds": 1, "inner": [1]}, ["'inner'", "an object"]),
        ({"rounds": 1, "limit": -1}, ["'limit'", "at least 0"]),
        ({"rounds": 1, "sizes": 8}, ["'sizes'", "a list"]),
        ({"rounds": 1, "sizes": [8, 65]}, ["'sizes' is 65", "at most 64"]),
        ({"rounds": 1, "sizes": [8, "9"]}, ["'sizes'", "a whole number"]),
        ({"rounds": 1, "spacing": [1.0, 1.0]}, ["'spacing'", "3 elements, not 2"]),
        ({"rounds": 1, "names": ["ct", "pet"]}, ["'names'", "'pet'", "ct, mr"]),
        ({"rounds": 6, "fast": True}, ["'fast' allows at most 5 rounds"]),
    ],
)
def test_wrong_value_is_an_error_that_names_file_key_and_limits(mapping, words):
    text = message(mapping)
    assert text.startswith("job.json: ")
    assert text.count("job.json") == 1 and "\n" not in text
    for word in words:
        assert word in text


def test_limits_themselves_are_allowed():
    for rounds in (1, 10):
        assert build(Outer, {"rounds": rounds}, "job.json").rounds == rounds


def test_a_list_in_place_of_the_file_is_refused():
    assert "must be an object" in message([1, 2])


def test_settings_survive_a_round_trip_through_json():
    settings = build(Outer, {"rounds": 4, "sizes": [3], "limit": 0.25}, "job.json")
    assert build(Outer, json.loads(json.dumps(to_mapping(settings))), "copy.json") == settings


def test_read_json_returns_the_object(tmp_path):
    (tmp_path / "a.json").write_text('{"organ": "Öso"}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"organ": "Öso"}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "file not found"),
        (b"[1]", "one JSON object"),
        (b'{"a": 1,\n"b": }', "line 2"),
        (b"\xff\xfe{}", "not valid JSON, since it is not in UTF-8; mend it"),
        (b"", "not valid JSON, since it is empty; mend it"),
        (b'{"root": "D:\\data"}', "(write a backslash twice, or use /)"),
    ],
)
def test_unreadable_file_is_an_error_that_names_it(tmp_path, content, word):
    path = tmp_path / "job.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=word) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_read_json_accepts_a_byte_order_mark(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + b'{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"b": {"a": 1, "a": 1}}'])
def test_read_json_refuses_a_key_that_stands_twice(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="key 'a' stands twice") as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("text", [None, "{", '{"miller": 1, "miller": 2}', "[]", "[" * 100000])
def test_read_json_names_a_sites_file_without_folder_and_key(tmp_path, text):
    path = tmp_path / "miller" / "a.json"
    path.parent.mkdir()
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"^labels\.json: ") as caught:
        read_json(path, "labels.json")
    assert "miller" not in str(caught.value)


def test_a_number_of_thousands_of_digits_is_told(tmp_path):
    path = tmp_path / "site.json"
    path.write_text('{"a": ' + "9" * 5001 + "}")
    with pytest.raises(ConfigError, match="a number that is too long"):
        read_json(path)
