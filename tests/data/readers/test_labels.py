import pytest

from fedvox.data.organs import IGNORE
from fedvox.data.readers.labels import label_table
from fedvox.errors import DataError


def test_both_directions_of_a_table_give_the_same_values():
    expected = {1: "liver", 3: "kidney_right"}
    assert label_table({"liver": 1, "Right Kidney": 3}, "f").values == expected
    assert label_table({"1": "liver", "3": "Right Kidney"}, "f").values == expected


def test_background_may_be_named_or_left_out():
    assert label_table({"background": 0, "liver": 1}, "f").values == {1: "liver"}
    assert label_table({"0": "background", "1": "liver"}, "f").values == {1: "liver"}


@pytest.mark.parametrize("name", ["void", "Unlabeled", "unlabelled", "unannotated"])
def test_what_is_not_labelled_is_the_background_where_its_value_is_0(name):
    assert label_table({name: 0, "liver": 1}, "f").values == {1: "liver"}
    assert label_table({"0": name, "1": "liver"}, "f").values == {1: "liver"}


def test_unknown_structures_are_kept_without_an_organ():
    assert label_table({"liver": 1, "cancer": 2}, "f").values == {1: "liver", 2: None}


@pytest.mark.parametrize(
    "table", [{"liver": "1"}, {"liver": 1.0}, {"1": "liver"}, {" 1 ": "liver"}]
)
def test_a_number_may_be_written_as_a_text(table):
    assert label_table(table, "f").values == {1: "liver"}


@pytest.mark.parametrize("name", ["ignore", "Ignore ", "VOID", "unlabelled", "unlabeled"])
def test_voxels_that_nobody_annotated_are_told_from_background(name):
    assert label_table({"liver": 1, name: 2}, "f").values == {1: "liver", 2: IGNORE}
    assert label_table({"1": "liver", "2": name}, "f").values == {1: "liver", 2: IGNORE}


def test_names_without_an_organ_are_kept_as_they_are_written():
    assert label_table({"Milz": 2, "liver": 1, "Colon ": 3}, "f").others == ("Milz", "Colon ")


def test_several_unknown_structures_do_not_clash():
    assert label_table({"cyst": 1, "tumour": 2}, "f").values == {1: None, 2: None}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"liver": 1, "spleen": 1}, "label value 1 stands twice"),
        ({"right_kidney": 1, "kidney_right": 2}, "two label values stand for one organ"),
        ({"liver": "one"}, "'liver' is not a name with a whole number"),
        ({"liver": 1.5}, "'liver' is not a name with a whole number"),
        ({"liver": -1}, "'liver' is not a name with a whole number"),
        ({"liver": [1, 2]}, "'liver' is a region of several values"),
        ({"1": ["liver"]}, "'1' is a region of several values"),
        ({"liver": 1, "Liver ": 2}, "'liver' and 'Liver '"),
        ({"liver": 1, "whole": {"values": [1, 2]}}, "'whole' is a region of several values"),
        ({"liver": 40000}, "'liver' has a value above 32767"),
        ({"liver": int("9" * 400)}, "'liver' has a value above 32767"),
        ({"liver": True}, "'liver' is not a name with a whole number"),
        ({"": 1}, "'' is not a name with a whole number"),
        ({}, "names no structure"),
        ({"background": 0}, "names no structure"),
        ({"ignore": 0, "liver": 1}, "'ignore' has the value 0, .*; name it 'background', or"),
        ({"Ignored": 0, "liver": 1}, "'Ignored' has the value 0, .*; name it 'background', or"),
        ({"1": 2}, "'1' is not a name with a whole number"),
    ],
)
def test_ambiguous_table_is_refused_with_its_file(table, words):
    with pytest.raises(DataError, match=words) as caught:
        label_table(table, "labels.json")
    assert str(caught.value).startswith("labels.json: ")


def test_an_organ_with_the_value_of_the_background_is_refused():
    with pytest.raises(DataError, match=r"labels\.json: 'liver' has the value 0"):
        label_table({"liver": 0, "spleen": 1}, "labels.json")


@pytest.mark.parametrize(
    "table", [{"labels": {"liver": 1}}, {"1": {"name": "liver", "color": "red"}}]
)
def test_a_table_within_the_table_is_not_called_a_region(table):
    with pytest.raises(DataError, match="holds a table of its own; write names and values only"):
        label_table(table, "labels.json")
