from types import SimpleNamespace

import pytest

from fedvox.data.site.twins import Owners, refuse_twin
from fedvox.errors import DataError


def case(*marks: str):
    return SimpleNamespace(marks=marks)


def test_one_image_of_several_makes_a_twin_and_the_message_says_where_the_other_stands():
    owners: Owners = {}
    refuse_twin(case("a", "b"), owners, "first", "train")
    with pytest.raises(DataError, match="those of a case under 'train', it stands under 'test'"):
        refuse_twin(case("c", "b"), owners, "copy", "test")
    with pytest.raises(DataError, match="those of another case under 'train'"):
        refuse_twin(case("a"), owners, "copy", "train")


def test_a_refused_case_owns_nothing_and_a_case_is_no_twin_of_itself():
    owners: Owners = {}
    refuse_twin(case("a", "b"), owners, "first", "train")
    with pytest.raises(DataError):
        refuse_twin(case("b", "c"), owners, "copy", "val")
    refuse_twin(case("c"), owners, "third", "val")
    refuse_twin(case("a", "b"), owners, "first", "test")
    assert owners == {"a": ("first", "train"), "b": ("first", "train"), "c": ("third", "val")}
