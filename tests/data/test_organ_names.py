import pytest

from fedvox.data import organ_names
from fedvox.data.organ_names import likely_meant, listed, shown, unknown_names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("splen", "spleen"),
        ("Lvier", "liver"),
        ("pancreaz", "pancreas"),
        ("left kidny", "kidney_left"),
        ("kidneys", "kidney_right, kidney_left"),
        ("R Kidney", "kidney_right"),
        ("kidney_l", "kidney_left"),
        ("Milz", "spleen"),
        ("rechte Niere", "kidney_right"),
        ("Speiseröhre", "oesophagus"),
        ("untere Hohlvene", "inferior_vena_cava"),
        ("rein gauche", "kidney_left"),
        ("Riñón derecho", "kidney_right"),
        ("IVC", "inferior_vena_cava"),
        ("RAG", "adrenal_right"),
        ("prostate", "prostate_uterus"),
        ("ingore", "ignore"),
        ("femur", ""),
        ("liver lesions", ""),
        ("???", ""),
    ],
)
def test_a_slip_a_plural_an_abbreviation_or_another_language_suggests_its_organ(name, meant):
    assert likely_meant(name) == meant


@pytest.mark.parametrize(
    "name",
    ["rib_left_1", "vertebrae_L5", "lung_upper_lobe_left", "femur_right", "Colon", "Lesion", "PZ"],
)
def test_structures_of_public_sets_that_nobody_trains_are_no_mistake(name):
    assert unknown_names([name]) == []


def test_each_unknown_name_is_told_once_in_its_order():
    assert unknown_names(["Milz", "colon", "splen", "Milz"]) == ["Milz", "splen"]


def test_a_name_is_shown_without_odd_characters_and_not_too_long():
    assert shown("a\x1b[31m\nb\u202e") == "'a?[31m?b?'"
    assert shown("x" * 10**6) == f"'{'x' * 40}...'"


def test_of_many_names_the_first_are_shown():
    names = ["Milz", *(f"thing {number}" for number in range(9))]
    assert (
        listed(names) == "'Milz' (spleen?), 'thing 0', 'thing 1', 'thing 2', 'thing 3' and 5 more"
    )


def test_thousands_of_names_take_no_time_for_those_that_are_not_shown(monkeypatch):
    asked = []
    monkeypatch.setattr(organ_names, "likely_meant", lambda name: asked.append(name) or "")
    assert organ_names.listed(map(str, range(3000))).endswith("and 2995 more")
    assert len(asked) == 5
