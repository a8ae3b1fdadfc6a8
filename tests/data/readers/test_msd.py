import json

import pytest

from fedvox.data.readers.msd import read
from fedvox.errors import ConfigError, DataError

MSD = {
    "modality": {"0": "MRI"},
    "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
    "training": [
        {"image": "./imagesTr/h_002.nii.gz", "label": "./labelsTr/h_002.nii.gz"},
        {"image": "./imagesTr/h_001.nii.gz", "label": "./labelsTr/h_001.nii.gz"},
    ],
}
NNUNET = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "liver": 1, "tumour": 2},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


@pytest.fixture
def folder(tmp_path):
    def make(listing, *files):
        (tmp_path / "dataset.json").write_text(json.dumps(listing))
        for name in files:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


def test_msd_cases_are_the_listed_ones(folder):
    root = folder(MSD)
    cases = read(root, ["mr"])
    assert [case.id for case in cases] == ["h_002", "h_001"]
    assert cases[0].images == {"mr": root / "imagesTr" / "h_002.nii.gz"}
    assert cases[0].labels[0].path == root / "labelsTr" / "h_002.nii.gz"
    assert cases[0].labels[0].values == {1: "hippocampus_anterior", 2: "hippocampus_posterior"}


def test_nnunet_images_are_found_by_their_channel_suffix(folder):
    root = folder(
        NNUNET,
        "imagesTr/liver_1_0000.nii.gz",
        "imagesTr/liver_2_0000.nii.gz",
        "labelsTr/liver_1.nii.gz",
        "labelsTr/liver_2.nii.gz",
    )
    cases = read(root, ["ct"])
    assert [case.id for case in cases] == ["liver_1", "liver_2"]
    assert cases[1].images == {"ct": root / "imagesTr" / "liver_2_0000.nii.gz"}
    assert cases[1].labels[0].values == {1: "liver", 2: None}


def test_unlisted_images_may_carry_the_name_of_their_label(folder):
    root = folder(NNUNET, "imagesTr/a.nii", "labelsTr/a.nii", "imagesTr/b_0000.nii")
    assert [case.images["ct"].name for case in read(root, ["ct"])] == ["a.nii"]


@pytest.mark.parametrize("modality", ["mr", "t1", "flair"])
def test_every_kind_of_mri_agrees_with_the_word_mri(folder, modality):
    assert [case.modality for case in read(folder(MSD), [modality])] == [modality, modality]


def test_modality_that_the_listing_contradicts_is_refused(folder):
    with pytest.raises(DataError, match="says 'MRI', the site file says 'ct'"):
        read(folder(MSD), ["ct"])
    with pytest.raises(DataError, match="says 'CT', the site file says 'mr'"):
        read(folder(NNUNET), ["mr"])


def test_listing_without_a_modality_trusts_the_site_file(folder):
    listing = {key: value for key, value in MSD.items() if key != "modality"}
    assert read(folder(listing), ["ct"])[0].modality == "ct"


def test_several_channels_are_refused(folder):
    with pytest.raises(ConfigError, match="lists 2 channels"):
        read(folder({**MSD, "modality": {"0": "T1", "1": "T2"}}), ["mr"])


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        ({**NNUNET, "labels": None}, "no 'labels' table"),
        ({**NNUNET, "labels": ["liver"]}, "no 'labels' table"),
        (NNUNET, "lists no training case"),
        ({**MSD, "labels": {"liver": 1, "spleen": 1}}, "stands twice"),
    ],
)
def test_incomplete_listing_is_refused(folder, listing, words):
    modality = "mr" if "modality" in listing else "ct"
    with pytest.raises(DataError, match=words):
        read(folder(listing), [modality])


def test_folder_without_a_listing_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no dataset\.json"):
        read(tmp_path, ["ct"])


@pytest.mark.parametrize("channels", ["MRI", ["MRI"], {"0": "MRI"}])
def test_modality_may_be_a_table_a_list_or_a_text(folder, channels):
    root = folder({**MSD, "modality": channels})
    assert len(read(root, ["mr"])) == 2
    with pytest.raises(DataError, match="says 'MRI', the site file says 'ct'"):
        read(root, ["ct"])


@pytest.mark.parametrize("channels", [3, [["MRI"]], {"0": 1}])
def test_modality_of_another_form_is_refused(folder, channels):
    with pytest.raises(DataError, match='"modality" must name the channels'):
        read(folder({**MSD, "modality": channels}), ["mr"])


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_modality_that_no_job_knows_is_refused(folder, modality):
    with pytest.raises(DataError, match=r"says 'pet'.*only CT and MRI"):
        read(folder({**MSD, "modality": {"0": "PET"}}), [modality])


def test_channel_names_of_nnunet_that_are_normalisations_trust_the_site_file(folder):
    listing = {**MSD, "modality": {"0": "noNorm"}}
    assert read(folder(listing), ["ct"])[0].modality == "ct"


@pytest.mark.parametrize("path", ["../miller.nii.gz", "imagesTr/../../miller.nii", "/miller.nii"])
@pytest.mark.parametrize("part", ["image", "label"])
def test_listed_file_outside_the_folder_is_refused_without_its_name(folder, path, part):
    entry = {**MSD["training"][0], part: path}
    with pytest.raises(DataError, match="a file outside 'root'") as caught:
        read(folder({**MSD, "training": [entry]}), ["mr"])
    assert "miller" not in str(caught.value)


def test_listed_file_must_be_a_text(folder):
    with pytest.raises(DataError, match="must be a text"):
        read(folder({**MSD, "training": [{"image": 3, "label": "a.nii"}]}), ["mr"])


def test_case_listed_twice_is_refused(folder):
    with pytest.raises(DataError, match="1 cases repeat another's name"):
        read(folder({**MSD, "training": [MSD["training"][0]] * 2}), ["mr"])


def test_damaged_listing_is_named_without_its_folder(tmp_path):
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(ConfigError, match=r"^dataset\.json: ") as caught:
        read(tmp_path, ["ct"])
    assert str(tmp_path) not in str(caught.value)
