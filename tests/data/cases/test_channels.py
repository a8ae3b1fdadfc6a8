import dataclasses
import json
import shutil
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.cases.channels import (
    in_job_order,
    refuse_missing,
    refuse_several,
    unfit_modalities,
)
from fedvox.data.cases.prepared import prepared_path
from fedvox.data.settings import DataSettings
from fedvox.errors import ConfigError, DataError

CHANNELS = ("t1", "t2", "flair")
SETTINGS = DataSettings(("liver",), modalities=CHANNELS, channels=CHANNELS)
ONE_IMAGE = DataSettings(("liver",), modalities=("ct", "mr"))


def case_of(folder, *modalities):
    images = {name: folder / f"{name}.nii" for name in modalities}
    for path in images.values():
        path.touch()
    return Case("a", "a", images, (LabelFile(folder / "seg.nii", {1: "liver"}),))


@pytest.mark.parametrize("order", permutations(("flair", "t1", "t1ce", "t2")))
def test_any_readers_order_becomes_the_jobs_and_other_images_are_left_out(tmp_path, order):
    arranged = in_job_order(case_of(tmp_path, *order), CHANNELS)
    assert tuple(arranged.images) == CHANNELS and arranged.modality == "t1+t2+flair"
    assert arranged.images["t2"].name == "t2.nii"
    refuse_missing(arranged, CHANNELS)


@pytest.mark.parametrize("missing", CHANNELS)
def test_a_missing_file_is_a_missing_channel_with_its_name(tmp_path, missing):
    case = case_of(tmp_path, *CHANNELS)
    case.images[missing].unlink()
    arranged = in_job_order(case, CHANNELS)
    assert tuple(arranged.images) == tuple(name for name in CHANNELS if name != missing)
    with pytest.raises(DataError, match=rf"no image of {missing}, the job needs t1\+t2\+flair; "):
        refuse_missing(arranged, CHANNELS)


def test_a_link_that_leads_nowhere_is_no_missing_channel(tmp_path):
    """It is damage, and reading says so."""
    case = case_of(tmp_path, *CHANNELS)
    case.images["t2"].unlink()
    case.images["t2"].symlink_to(tmp_path / "moved.nii")
    arranged = in_job_order(case, CHANNELS)
    refuse_missing(arranged, CHANNELS)
    with pytest.raises(DataError, match=r"^the file of the t2 image is missing; restore it$"):
        prepared_path(arranged, SETTINGS, tmp_path, b"key")
    (tmp_path / "moved.nii").touch()
    with pytest.raises(DataError, match=r"^a label file is missing"):
        prepared_path(arranged, SETTINGS, tmp_path, b"key")


@pytest.mark.parametrize("held", [(), ("t2",), ("t1", "flair")])
def test_where_channels_may_be_missing_one_suffices(tmp_path, held):
    arranged = in_job_order(case_of(tmp_path, *held), CHANNELS)
    if held:
        refuse_missing(arranged, CHANNELS, one_suffices=True)
    else:
        with pytest.raises(DataError, match=r"no image of t1, t2, flair.*at least one of t1\+t2"):
            refuse_missing(arranged, CHANNELS, one_suffices=True)


def test_a_site_needs_one_channel_where_others_may_be_missing():
    some = dataclasses.replace(SETTINGS, missing_channels=True)
    assert unfit_modalities(["flair", "ct"], some) is None
    problem, remedy = unfit_modalities(["ct"], some)
    assert "lists ct, the job uses t1, t2, flair, of which a site needs" in problem
    assert remedy.startswith("add those that the site has")


def test_a_job_without_channels_leaves_the_case_as_it_is(tmp_path):
    case = case_of(tmp_path, "flair", "t1")
    case.images["t1"].unlink()
    assert in_job_order(case, ()) is case
    refuse_missing(case, ())


def test_a_job_without_channels_takes_one_image_per_case(tmp_path):
    refuse_several([case_of(tmp_path, "ct"), case_of(tmp_path, "mr")])
    with pytest.raises(
        ConfigError, match=r"2 modalities \(t1, flair\), this job takes one.*'data\."
    ):
        refuse_several([case_of(tmp_path, "ct"), case_of(tmp_path, "t1", "flair")])


@given(st.lists(st.sampled_from(["ct", "mr", "t1", "t1ce", "t2", "flair"]), unique=True))
def test_a_site_fits_channels_exactly_if_it_holds_them_all(held):
    unfit = unfit_modalities(held, SETTINGS)
    assert (unfit is None) == (set(held) >= set(CHANNELS))
    assert unfit is None or all(f"{n}" in unfit[1] for n in set(CHANNELS) - set(held))


@given(st.lists(st.sampled_from(["ct", "mr", "t1", "flair"]), unique=True))
def test_a_site_fits_a_job_of_one_image_if_it_holds_nothing_else(held):
    assert (unfit_modalities(held, ONE_IMAGE) is None) == (set(held) <= {"ct", "mr"})


def test_a_site_that_lists_fewer_modalities_is_refused_with_the_remedy(open_brats):
    with pytest.raises(ConfigError, match=r"lists t1, t2, every case .* t1, t2, flair; add flair"):
        open_brats(("t1", "t2"))


def test_a_case_without_a_channel_is_left_out_with_its_reason(open_brats, brats_site, tmp_path):
    root = shutil.copytree(brats_site, tmp_path / "site")
    (root / "BraTS2021_00001/BraTS2021_00001_t2.nii.gz").unlink()
    site = open_brats(root=root, max_bad_fraction=0.5)
    assert [len(site.train), len(site.val), len(site.test)] == [1, 1, 1]
    (reason,) = site.skipped.values()
    assert reason.startswith("the case has no image of t2, the job needs t1+t2+flair; restore it")
    with pytest.raises(DataError, match=r"1 of 4 cases are unusable.*no image of t2"):
        open_brats(root=root)


def test_the_order_of_the_site_file_changes_neither_code_nor_file(open_brats, tmp_path):
    """Equal keys give equal codes and names in the cache, so one preparation serves both."""
    cache = tmp_path / "cache"
    sites = [open_brats(order, cache=str(cache)) for order in (CHANNELS, ("flair", "t1", "t2"))]
    first, other = ([(case.path.name, case.code) for case in site.cases] for site in sites)
    assert first == other
    assert {case.present for case in sites[0].cases} == {(True, True, True)}


def test_another_order_of_the_job_is_another_preparation(brats_site, tmp_path, channel_job):
    from fedvox.data.cases.prepare import prepare_case
    from fedvox.data.readers import READERS

    listed = READERS["brats"](brats_site, CHANNELS)[0]
    found = {}
    for order in (CHANNELS, CHANNELS[::-1]):
        settings = dataclasses.replace(channel_job.data, channels=order)
        found[order] = prepare_case(in_job_order(listed, order), settings, tmp_path, b"key")
    first, turned = found.values()
    assert first.path != turned.path and turned.modality == "flair+t2+t1"
    assert first.tensor("image").equal(turned.tensor("image").flip(0))


def test_what_a_prepared_file_says_of_its_channels(open_brats):
    from safetensors import safe_open

    case = open_brats().train[0]
    with safe_open(str(case.path), "pt") as file:
        content = json.loads(file.metadata()["case"])
    assert content["present"] == [True, True, True] and content["modality"] == "t1+t2+flair"
