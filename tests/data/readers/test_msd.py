import json

import pytest

from fedvox.data.organs import IGNORE
from fedvox.data.readers.msd import read, strays
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


def test_several_channels_are_refused_by_the_key_that_names_them(folder):
    channels = {"0": "T1", "1": "T2"}
    with pytest.raises(ConfigError, match=r"lists 2 channels; .* one entry in 'modality'"):
        read(folder({**MSD, "modality": channels, "channel_names": {"0": "T1"}}), ["mr"])
    with pytest.raises(ConfigError, match=r"lists 2 channels; .* one entry in 'channel_names'"):
        read(folder({**NNUNET, "channel_names": channels}), ["mr"])


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


def test_the_ignore_label_of_nnunet_is_no_background(folder):
    labels = {"background": 0, "liver": 1, "ignore": 2}
    root = folder({**NNUNET, "labels": labels}, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    (case,) = read(root, ["ct"])
    assert case.labels[0].values == {1: "liver", 2: IGNORE}
    assert case.ignores and case.annotated() == {"liver"}


def test_names_that_nobody_knows_are_kept_for_the_check(folder):
    root = folder(
        {**NNUNET, "labels": {"Leber": 1, "spleen": 2}}, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz"
    )
    assert read(root, ["ct"])[0].others == ("Leber",)


def test_region_based_labels_are_not_supported_and_say_what_to_write(folder):
    labels = {"background": 0, "whole tumour": [1, 2, 3], "core": [2, 3]}
    listing = {**NNUNET, "labels": labels, "regions_class_order": [1, 2]}
    with pytest.raises(DataError, match=r"'whole tumour' is a region of several values.*list each"):
        read(folder(listing), ["ct"])


def test_volumes_in_another_form_are_no_missing_files(folder):
    foreign = {**NNUNET, "file_ending": ".nrrd"}
    root = folder(foreign, "imagesTr/a_0000.nrrd", "labelsTr/a.nrrd", "labelsTr/b.seg.nrrd")
    with pytest.raises(DataError, match=r"2 volumes in another form, as \.nrrd.*convert"):
        read(root, ["ct"])
    with pytest.raises(DataError, match=r"lists 2 volumes in a form that is not read.*convert"):
        read(folder({**MSD, "training": [{"image": "a.nrrd", "label": "b.MHA"}]}), ["mr"])


def test_what_no_training_case_uses_is_named(folder):
    root = folder(
        MSD,
        *("imagesTr/h_001.nii.gz", "labelsTr/h_001.nii.gz", "imagesTr/h_003.nii.gz"),
        *("imagesTr/h_002.nii.gz", "labelsTr/h_002.nii.gz", "imagesTr/h_004.mha"),
        *("labelsTr/h_005.nii.gz", "imagesTr/.hidden"),
    )
    assert [stray.paths for stray in strays(root)] == [
        (root / "imagesTr/h_003.nii.gz",),
        (root / "imagesTr/h_004.mha",),
        (root / "labelsTr/h_005.nii.gz",),
    ]


def test_images_without_a_label_are_named_where_there_is_no_list(folder):
    root = folder(NNUNET, "imagesTr/a_0000.nii", "labelsTr/a.nii", "imagesTr/b_0000.nii")
    (stray,) = strays(root)
    assert stray.paths == (root / "imagesTr/b_0000.nii",)


@pytest.mark.parametrize(
    "test", [["./imagesTr/h_001.nii.gz"], [{"image": "imagesTr\\h_001.nii.gz"}]]
)
def test_a_case_under_training_and_under_test_is_named(folder, test):
    root = folder({**MSD, "test": test}, "imagesTr/h_001.nii.gz", "imagesTr/h_002.nii.gz")
    assert [stray.paths for stray in strays(root)] == [(root / "imagesTr/h_001.nii.gz",)]
    assert "'training' and under 'test'" in strays(root)[0].kind


def test_one_channel_of_several_is_a_folder_of_its_own_as_the_remedy_says(folder):
    files = ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz"]
    root = folder({**NNUNET, "channel_names": {"0": "CT", "1": "CT"}}, *files)
    with pytest.raises(
        ConfigError, match="make a folder with the files of that channel, ending in"
    ):
        read(root, ["ct"])
    (root / "imagesTr/a_0001.nii.gz").rename(root / "imagesTr/a_0000.nii.gz")
    (case,) = read(folder(NNUNET), ["ct"])
    assert case.images["ct"].name == "a_0000.nii.gz" and strays(root) == []


@pytest.mark.parametrize("word", ["T2w", "MRI T1", "mr (axial)"])
def test_a_word_among_others_tells_the_modality(folder, word):
    with pytest.raises(DataError, match="the site file says 'ct'"):
        read(folder({**MSD, "modality": {"0": word}}), ["ct"])
    assert len(read(folder({**MSD, "modality": {"0": word}}), ["mr"])) == 2


@pytest.mark.parametrize("word", ["PT", "PET (SUV)", "US volume"])
def test_a_foreign_word_among_others_is_refused(folder, word):
    with pytest.raises(DataError, match="only CT and MRI can be used"):
        read(folder({**MSD, "modality": {"0": word}}), ["mr"])


def test_a_further_channel_of_a_case_is_told_from_an_image_without_label(folder):
    files = ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz"]
    (stray,) = strays(folder(NNUNET, *files))
    assert "further channel" in stray.kind and stray.paths[0].name == "a_0001.nii.gz"
    assert "label" not in stray.remedy


def test_a_list_that_slipped_by_a_line_is_noticed(folder):
    pairs = [("h_001", "h_002"), ("h_002", "h_001")]
    training = [
        {"image": f"imagesTr/{image}.nii.gz", "label": f"labelsTr/{label}.nii.gz"}
        for image, label in pairs
    ]
    names = [f"{part}/h_00{n}.nii.gz" for part in ("imagesTr", "labelsTr") for n in (1, 2)]
    (stray,) = strays(folder({**MSD, "training": training}, *names))
    assert "label of another case's name" in stray.kind and len(stray.paths) == 2
