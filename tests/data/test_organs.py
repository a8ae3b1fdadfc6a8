import hashlib

import numpy as np
import pytest
import torch

from fedvox.data.organs import (
    CANONICAL,
    PARENTS,
    REGIONS,
    canonical_organ,
    check_organs,
    label_map_hash,
    mask_of,
    parent_pairs,
    scored_structures,
    trained_as,
)
from fedvox.errors import ConfigError
from fedvox.phantoms.abdomen.tissue import ORGANS


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("liver", "liver"),
        ("Right Kidney", "kidney_right"),
        ("left-kidney", "kidney_left"),
        (" Esophagus ", "oesophagus"),
        ("Gall Bladder", "gallbladder"),
        ("postcava", "inferior_vena_cava"),
        ("arota", "aorta"),
        ("adrenal_gland_left", "adrenal_left"),
        ("Anterior", "hippocampus_anterior"),
        ("prostate/uterus", "prostate_uterus"),
        ("cancer", None),
        ("", None),
    ],
)
def test_data_set_names_map_to_canonical_ones(written, canonical):
    assert canonical_organ(written) == canonical


def test_canonical_names_map_to_themselves_and_are_unique():
    assert [canonical_organ(name) for name in CANONICAL] == list(CANONICAL)
    assert len(set(CANONICAL)) == len(CANONICAL)


def test_phantom_organs_are_canonical():
    check_organs(ORGANS)


@pytest.mark.parametrize(
    ("organs", "words"),
    [
        ([], "empty"),
        (["liver", "lung"], "unknown organ 'lung'; known: liver, spleen"),
        (["right_kidney"], "unknown organ 'right_kidney'"),
        (["liver", "spleen", "liver"], "twice"),
    ],
)
def test_unusable_organ_list_is_refused(organs, words):
    with pytest.raises(ConfigError, match=words):
        check_organs(organs)


def test_label_map_hash_depends_on_names_and_order():
    assert label_map_hash(["liver", "spleen"]) == hashlib.sha256(b"liver\nspleen").hexdigest()[:16]
    assert label_map_hash(["liver", "spleen"]) != label_map_hash(["spleen", "liver"])


def test_release_names_of_the_public_sets_are_known():
    named = {
        "urinary_bladder": "bladder",
        "heart_atrium_left": "heart_left_atrium",
        "Left Ventricle": "heart_left_ventricle",
        "liver tumor": "liver_tumour",
        "rib_left_1": None,
    }
    assert {name: canonical_organ(name) for name in named} == named


def test_parts_and_regions_are_made_of_canonical_organs():
    assert {*PARENTS, *PARENTS.values()} <= set(CANONICAL)
    assert not set(PARENTS.values()) & set(PARENTS)  # one level: no part of a part
    assert {part for parts in REGIONS.values() for part in parts} <= set(CANONICAL)
    assert not set(REGIONS) & set(CANONICAL)


@pytest.mark.parametrize(
    ("organs", "annotated", "expected"),
    [
        (["liver", "liver_tumour"], {"liver", "liver_tumour"}, "liver_tumour"),
        (["liver"], {"liver", "liver_tumour"}, "liver"),
        (["spleen"], {"liver", "liver_tumour"}, None),
        (["liver"], {"liver_tumour"}, None),  # the case says nothing of the rest of the liver
    ],
)
def test_part_that_is_not_trained_belongs_to_its_organ(organs, annotated, expected):
    assert trained_as("liver_tumour", organs, annotated) == expected


def test_organ_without_a_parent_and_unknown_structure_are_background():
    assert trained_as("spleen", ["liver"], {"spleen"}) is None
    assert trained_as(None, ["liver"], {"liver"}) is None


def test_pairs_give_places_in_the_list_of_the_job():
    assert parent_pairs(["liver_tumour", "spleen", "liver"]) == ((0, 2),)
    assert parent_pairs(["liver_tumour", "spleen"]) == parent_pairs(CANONICAL[:15]) == ()


def test_each_annotated_organ_is_scored_under_its_value():
    found = scored_structures(["liver", "spleen", "aorta"], {"aorta", "liver", "bladder"})
    assert list(found.items()) == [("liver", (1,)), ("aorta", (3,))]


def test_part_that_a_case_does_not_tell_apart_is_scored_as_its_organ():
    organs = ["liver_tumour", "liver"]
    assert scored_structures(organs, {"liver"}) == {"liver": (2, 1)}
    assert scored_structures(organs, {"liver", "liver_tumour"}) == {
        "liver_tumour": (1,),
        "liver": (2,),
    }


def test_regions_follow_the_organs_where_all_their_parts_are_annotated():
    organs = ["tumour_enhancing", "tumour_oedema", "tumour_necrotic"]
    found = scored_structures(organs, set(organs))
    assert list(found) == [*organs, "tumour_whole", "tumour_core"]
    assert found["tumour_whole"] == (3, 2, 1) and found["tumour_core"] == (3, 1)
    partly = scored_structures(organs, {"tumour_enhancing", "tumour_necrotic"})
    assert list(partly) == ["tumour_enhancing", "tumour_necrotic", "tumour_core"]
    assert list(scored_structures(organs[:2], set(organs))) == organs[:2]


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_mask_unites_values(kind):
    labels = kind([0, 1, 2, 3, 1])
    assert mask_of(labels, (1,)).tolist() == [False, True, False, False, True]
    assert mask_of(labels, (3, 1)).tolist() == [False, True, False, True, True]
