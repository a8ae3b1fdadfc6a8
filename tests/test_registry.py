import pytest

from fedvox.errors import ConfigError
from fedvox.registry import Registry


@pytest.fixture
def shapes():
    registry = Registry("shape")
    registry.register("square")(lambda side: side**2)
    registry.register("cube")(lambda side: side**3)
    return registry


def test_name_gives_its_builder(shapes):
    assert shapes["square"](3) == 9 and shapes["cube"](3) == 27


def test_register_returns_the_builder_unchanged():
    def builder():
        return 1

    assert Registry("thing").register("one")(builder) is builder


def test_unknown_name_lists_the_registered_ones_in_order(shapes):
    with pytest.raises(ConfigError, match="unknown shape 'ring'; choose one of: cube, square"):
        shapes["ring"]


def test_name_cannot_be_taken_twice(shapes):
    with pytest.raises(ConfigError, match="shape 'cube' is registered twice"):
        shapes.register("cube")(lambda side: 0)
    assert shapes["cube"](2) == 8


def test_names_are_iterated_in_order_and_can_be_looked_up(shapes):
    assert list(shapes) == ["cube", "square"]
    assert "cube" in shapes and "ring" not in shapes and ["cube"] not in shapes


def test_registries_do_not_share_entries(shapes):
    assert list(Registry("shape")) == []
