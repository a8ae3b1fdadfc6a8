"""Training where cases lack channels and sites lack modalities."""

import hashlib
import hmac
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from fedvox.data.images.volumes import load_image
from fedvox.data.settings import DataSettings
from fedvox.data.site.quarantine import quarantined, write_quarantine
from fedvox.data.site.site_data import job_cases, listed_cases, open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import ConfigError, DataError
from fedvox.phantoms.writer import describe_phantoms, write_phantom_site


@pytest.fixture
def root(brats_site, tmp_path):
    return shutil.copytree(brats_site, tmp_path / "site")


@pytest.fixture
def opened(open_brats, lenient_job, root):
    def open_it(*modalities, **more):
        return open_brats(modalities or ("t1", "t2", "flair"), root, lenient_job, **more)

    return open_it


def image(root, number, kind):
    name = f"BraTS2021_0000{number}"
    return root / name / f"{name}_{kind}.nii.gz"


def test_a_case_trains_without_a_channel_which_is_0_and_known_as_missing(opened, root):
    whole = opened()
    image(root, 1, "t2").unlink()
    site = opened()
    assert [len(site.train), len(site.val), len(site.test)] == [2, 1, 1] and site.skipped == {}
    assert site.modalities == ["t1+flair", "t1+t2+flair"]
    (lacking,) = (case for case in site.train if case.modality == "t1+flair")
    assert lacking.present == (True, False, True)
    found, before = lacking.tensor("image"), whole.train[1].tensor("image")
    assert not found[1].any() and torch.equal(found[[0, 2]], before[[0, 2]])


def test_the_site_file_alone_decides_what_is_read(opened, root):
    for number in range(4):
        image(root, number, "t2").write_bytes(b"damaged, and nobody's business")
    site = opened("flair", "t1")
    assert site.modalities == ["t1+flair"] and site.skipped == {}
    assert {case.present for case in site.cases} == {(True, False, True)}


def test_a_case_without_any_channel_is_left_out_with_its_reason(opened, root):
    for kind in ("t1", "t2", "flair"):
        image(root, 1, kind).unlink()
    (reason,) = opened(max_bad_fraction=0.5).skipped.values()
    assert "no image of t1, t2, flair, the job needs at least one of t1+t2+flair" in reason
    with pytest.raises(DataError, match="1 of 4 cases are unusable"):
        opened()


def test_a_site_of_none_of_the_modalities_is_refused_with_the_remedy(opened):
    with pytest.raises(ConfigError, match=r"lists t1ce, the job uses t1, t2, flair.*'modalities'"):
        opened("t1ce")


def test_a_case_that_gains_a_channel_is_prepared_again(opened, root, tmp_path):
    kept = image(root, 1, "t2").rename(tmp_path / "t2.nii.gz")
    cache = str(tmp_path / "cache")
    before = opened(cache=cache)
    kept.rename(image(root, 1, "t2"))
    after = opened(cache=cache)
    assert before.modalities != after.modalities == ["t1+t2+flair"]
    assert {case.path for case in before.val} == {case.path for case in after.val}


def test_a_copy_that_lacks_channels_is_still_a_leak(opened, root):
    """Test case 3 is training case 0 with one image left."""
    for kind in ("t1", "t2"):
        image(root, 3, kind).unlink()
    for kind in ("flair", "seg"):
        shutil.copy(image(root, 0, kind), image(root, 3, kind))
    site = opened(max_bad_fraction=0.5)
    (reason,) = site.skipped.values()
    assert reason == (
        "its voxels are those of a case under 'train', it stands under 'test'; keep one"
    )
    assert len(site.train) == 2 and not site.test


def test_a_refused_copy_blames_no_third_case(opened, root):
    """Case 1 shares an image with case 0, and another with case 2: the latter is sound."""
    shutil.copy(image(root, 0, "t1"), image(root, 1, "t1"))
    shutil.copy(image(root, 2, "t2"), image(root, 1, "t2"))
    site = opened(max_bad_fraction=0.5)
    assert [len(site.train), len(site.val), len(site.test)] == [1, 1, 1]


def test_codes_are_hmacs_of_the_voxels_of_all_images_and_marks_of_each(opened, root, tmp_path):
    cache = tmp_path / "cache"
    case, alone = opened(cache=str(cache)).train[0], opened("flair", cache=str(cache)).train[0]
    key = (cache / "site_key").read_bytes()

    def code(*kinds: str) -> str:
        digest = hmac.new(key, digestmod=hashlib.sha256)
        for kind in kinds:
            digest.update(np.ascontiguousarray(load_image(image(root, 0, kind)).data).data)
        return digest.hexdigest()[:16]

    assert case.code == code("t1", "t2", "flair")
    assert case.marks == (code("t1"), code("t2"), code("flair"))
    assert (alone.code, alone.marks) == (code("flair"), (code("flair"),))


def test_quarantine_holds_in_every_order_of_the_images(brats_site, lenient_job, root, tmp_path):
    """Checked without a job, in the site file's order and with a name that has no file."""
    image(root, 1, "t1ce").unlink()
    cache = str(tmp_path / "cache")
    order = ("flair", "t1ce", "t1", "t2")
    site = SiteSettings("brats", str(root), order, cache=cache)
    job = replace(
        lenient_job.data, channels=("t1", "t1ce", "t2", "flair"), modalities=order, patch=(8, 8, 8)
    )
    plain = DataSettings(("tumour_oedema",), modalities=("flair",))
    listed = job_cases(replace(site, modalities=("flair",)), plain)
    unarranged, arranged = listed_cases(site), job_cases(site, job)
    assert tuple(unarranged[1].images) == order
    assert tuple(arranged[1].images) == ("t1", "t2", "flair")
    write_quarantine(site, [(unarranged[1], "damaged")])
    assert list(quarantined(site, arranged)) == ["BraTS2021_00001"]
    assert quarantined(site, listed) == {}  # one image of several: looked at again
    image(root, 1, "t2").unlink()
    assert quarantined(site, job_cases(site, job)) == {}


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_unpaired_sites_of_one_modality_each_take_part_in_one_job(tmp_path, modality):
    write_phantom_site(
        tmp_path / "data", modality, {"train": 1, "test": 1}, 0, 1, size_mm=96, spacing_mm=12
    )
    described = describe_phantoms(tmp_path / "data", modality)
    described["modalities"] = tuple(described["modalities"])
    job = DataSettings(
        ("liver", "spleen"),
        channels=("ct", "mr"),
        missing_channels=True,
        spacing=(12.0, 12.0, 12.0),
        patch=(8, 8, 8),
    )
    site = open_site("site-1", SiteSettings(**described), job, tmp_path / "state")
    assert site.modalities == [modality]
    assert {case.present for case in site.cases} == {(modality == "ct", modality == "mr")}
