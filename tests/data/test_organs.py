import hashlib

import pytest

from fedvox.data.organs import CANONICAL, canonical_organ, check_organs, label_map_hash
from fedvox.data.phantoms.tissue import ORGANS
from fedvox.errors import ConfigError


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
        ("prostate/uterus", None),
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
