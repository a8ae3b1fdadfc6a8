"""Brains on disk, through the reader of the real data set."""

import json

import nibabel as nib
import numpy as np
import pytest

from fedvox.data.cases.splits import split_cases
from fedvox.data.images.volumes import load_image, load_label
from fedvox.data.readers.brats import read
from fedvox.phantoms.find_body import body_named
from fedvox.phantoms.grid import Grid
from fedvox.phantoms.scan import scan
from fedvox.phantoms.writer import describe_phantoms, write_phantom_site
from fedvox.seeding import derive_seed

ALL = ("t1", "t1ce", "t2", "flair")
COUNTS = {"train": 1, "val": 1, "test": 1}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("brains") / "site-2"
    write_phantom_site(folder, "+".join(ALL), COUNTS, 4, 2, spacing_mm=10, body="brain")
    return folder


def test_the_real_reader_finds_every_case_with_all_contrasts(site):
    cases = read(site, ALL)
    assert [case.id for case in cases] == [f"Phantom-BraTS-0000{n}-000" for n in (1, 2, 3)]
    assert len({case.patient for case in cases}) == 3
    for case in cases:
        assert case.modality == "t1+t1ce+t2+flair"
        assert all(path.is_file() for path in case.files)
        assert case.annotated() >= set(body_named("brain").organs)


def test_images_and_mask_share_one_grid_and_hold_what_was_scanned(site):
    case = read(site, ALL)[1]
    label = nib.load(case.labels[0].path)
    grid = Grid(label.shape, label.affine)
    images, labels = scan(body_named("brain"), derive_seed(4, 2, 2, "phantom"), ALL, grid)
    for modality, expected in zip(ALL, images, strict=True):
        image = load_image(case.images[modality])
        assert np.allclose(image.affine, label.affine, atol=1e-4)
        assert np.array_equal(image.data, expected)
    read_back = load_label(case.labels[0].path, load_image(case.images["t1"]))
    assert np.array_equal(read_back.data, labels)
    values = {value for value, organ in case.labels[0].values.items() if organ in ORGANS}
    assert set(np.unique(labels)) == {0, *values}


ORGANS = body_named("brain").organs


def test_the_split_file_deals_the_cases(site):
    described = describe_phantoms(site, "+".join(ALL), "brain")
    assert described["dataset"] == "brats" and described["modalities"] == list(ALL)
    split = split_cases(read(site, ALL), described["split"])
    assert [len(split[part]) for part in ("train", "val", "test")] == [1, 1, 1]
    assert json.loads((site / "phantom.json").read_text())["phantom"] is True


def test_a_site_may_hold_some_contrasts_in_its_own_order(site, tmp_path):
    folder = tmp_path / "some"
    write_phantom_site(folder, "flair+t1", {"train": 1}, 4, 2, spacing_mm=10, body="brain")
    assert describe_phantoms(folder, "flair+t1", "brain")["modalities"] == ["flair", "t1"]
    (case,) = read(folder, ["flair", "t1"])
    assert len(list(folder.rglob("*.nii.gz"))) == 3
    other = read(site, ALL)[0]
    for modality in ("flair", "t1"):
        mine, theirs = load_image(case.images[modality]), load_image(other.images[modality])
        assert np.array_equal(mine.data, theirs.data)


def test_a_brain_of_wrong_labels_is_read_like_any_other(tmp_path):
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for folder, quality in ((right, "good"), (wrong, "wrong_labels")):
        write_phantom_site(
            folder, "flair", {"train": 4}, 4, 2, spacing_mm=10, body="brain", quality=quality
        )
    pairs = list(zip(read(right, ["flair"]), read(wrong, ["flair"]), strict=True))
    same = [
        np.array_equal(*(nib.load(case.labels[0].path).get_fdata() for case in pair))
        for pair in pairs
    ]
    assert sum(same) == 2
