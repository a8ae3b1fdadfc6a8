import pytest

from fedvox.data.readers.labels import label_values
from fedvox.errors import DataError


def test_both_directions_of_a_table_give_the_same_values():
    expected = {1: "liver", 3: "kidney_right"}
    assert label_values({"liver": 1, "Right Kidney": 3}, "f") == expected
    assert label_values({"1": "liver", "3": "Right Kidney"}, "f") == expected


def test_background_may_be_named_or_left_out():
    assert label_values({"background": 0, "liver": 1}, "f") == {1: "liver"}
    assert label_values({"0": "background", "1": "liver"}, "f") == {1: "liver"}


def test_unknown_structures_are_kept_without_an_organ():
    assert label_values({"liver": 1, "cancer": 2}, "f") == {1: "liver", 2: None}


def test_several_unknown_structures_do_not_clash():
    assert label_values({"cyst": 1, "tumour": 2}, "f") == {1: None, 2: None}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"liver": 1, "spleen": 1}, "label value 1 stands twice"),
        ({"right_kidney": 1, "kidney_right": 2}, "two label values stand for one organ"),
        ({"liver": "one"}, "'liver' is not a name with a whole number"),
        ({"liver": 1.5}, "'liver' is not a name with a whole number"),
        ({"liver": -1}, "'liver' is not a name with a whole number"),
        ({"liver": [1, 2]}, "'liver' is not a name with a whole number"),
        ({"1": 2}, "'1' is not a name with a whole number"),
    ],
)
def test_ambiguous_table_is_refused_with_its_file(table, words):
    with pytest.raises(DataError, match=words) as caught:
        label_values(table, "labels.json")
    assert str(caught.value).startswith("labels.json: ")


def test_an_organ_with_the_value_of_the_background_is_refused():
    with pytest.raises(DataError, match=r"labels\.json: 'liver' has the value 0"):
        label_values({"liver": 0, "spleen": 1}, "labels.json")
