import json

import nibabel as nib
import numpy as np
import pytest

from fedvox.errors import ConfigError
from fedvox.phantoms import writer
from fedvox.phantoms.abdomen import BODY
from fedvox.phantoms.abdomen.tissue import ORGANS
from fedvox.phantoms.grid import oriented_grid, site_grid
from fedvox.phantoms.scan import scan
from fedvox.phantoms.writer import write_phantom_site

COUNTS = {"train": 1, "val": 1, "test": 1}


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantoms")
    write_phantom_site(out / "a", "ct", {"train": 2}, seed=0, site=1)
    write_phantom_site(out / "again", "ct", {"test": 1}, seed=0, site=1)
    write_phantom_site(out / "b", "mr", COUNTS, seed=0, site=2)
    write_phantom_site(out / "other", "ct", {"train": 1}, seed=1, site=1)
    return out


def voxels(site, part="images", case="phantom_0001"):
    return np.asarray(nib.load(site / part / f"{case}.nii.gz").dataobj)


def test_layout_and_listing(sites):
    listing = json.loads((sites / "b" / "phantom.json").read_text())
    assert listing["phantom"] is True and listing["modality"] == "mr"
    assert listing["note"] == "phantom: a test instrument, not evidence about patients"
    assert [case["split"] for case in listing["cases"]] == ["train", "val", "test"]
    assert [case["contrast"] for case in listing["cases"]] == ["mr_t1", "mr_t2", "mr_t1"]
    for case in listing["cases"]:
        assert (sites / "b" / "images" / f"{case['id']}.nii.gz").is_file()
        assert (sites / "b" / "labels" / f"{case['id']}.nii.gz").is_file()
    values = json.loads((sites / "b" / "labels.json").read_text())
    assert values == {organ: number for number, organ in enumerate(ORGANS, start=1)}


def test_same_seed_gives_equal_voxels(sites):
    for part in ("images", "labels"):
        first, second = voxels(sites / "a", part), voxels(sites / "again", part)
        assert first.tobytes() == second.tobytes()


def test_other_seeds_other_sites_and_other_cases_are_other_patients(sites):
    def organ_volumes(site, case="phantom_0001"):
        image = nib.load(sites / site / "labels" / f"{case}.nii.gz")
        voxel = np.prod(image.header.get_zooms())
        return np.bincount(np.asarray(image.dataobj).ravel())[1:] * voxel

    reference = organ_volumes("a")
    for other in (organ_volumes("b"), organ_volumes("other"), organ_volumes("a", "phantom_0002")):
        assert np.abs(other / reference - 1).max() > 0.05


def test_sites_differ_in_orientation_spacing_and_size(sites):
    first, second = (nib.load(sites / site / "images/phantom_0001.nii.gz") for site in "ab")
    assert nib.aff2axcodes(first.affine) == ("L", "P", "S")
    assert nib.aff2axcodes(second.affine) == ("P", "I", "R")
    assert not np.allclose(sorted(first.header.get_zooms()), sorted(second.header.get_zooms()))
    assert first.shape != second.shape


def test_sform_and_qform_are_set_and_agree_between_image_and_labels(sites):
    for site in ("a", "b"):
        image = nib.load(sites / site / "images/phantom_0001.nii.gz")
        labels = nib.load(sites / site / "labels/phantom_0001.nii.gz")
        for form in ("sform", "qform"):
            assert int(image.header[f"{form}_code"]) == 1
            assert np.allclose(getattr(image, f"get_{form}")(), image.affine, atol=1e-3)
        assert np.array_equal(image.affine, labels.affine) and image.shape == labels.shape
        assert labels.get_data_dtype() == np.uint8 and image.get_data_dtype() == np.int16


def test_every_organ_is_present_in_every_case(sites):
    for path in sites.glob("*/labels/*.nii.gz"):
        counts = np.bincount(np.asarray(nib.load(path).dataobj).ravel(), minlength=7)
        assert counts[1:].min() >= 40


def test_kidneys_lie_on_the_right_side_in_world_coordinates(sites):
    for path in sites.glob("*/labels/*.nii.gz"):
        image = nib.load(path)
        data = np.asarray(image.dataobj)
        right, left = (
            nib.affines.apply_affine(image.affine, np.argwhere(data == value)).mean(axis=0)[0]
            for value in (3, 4)
        )
        # The field of view moves, the patient does not.
        assert right > 20 and left < -20


def test_labels_in_ras_do_not_depend_on_the_stored_orientation():
    lengths, spacing, centre = (30, 34, 32), (9.0, 8.5, 9.5), (3.0, -2.0, 1.0)
    reference = oriented_grid(lengths, spacing, centre, "RAS")
    _, expected = scan(BODY, 7, ["ct"], reference)
    for axes in ("LPS", "PIR", "ASL"):
        grid = oriented_grid(lengths, spacing, centre, axes)
        _, labels = scan(BODY, 7, ["ct"], grid)
        back = nib.as_closest_canonical(nib.Nifti1Image(labels, grid.affine))
        assert nib.aff2axcodes(grid.affine) == tuple(axes)
        assert np.allclose(back.affine, reference.affine)
        assert np.array_equal(np.asarray(back.dataobj), expected)


def test_finer_grid_keeps_the_field_of_view():
    grid = site_grid(3, 1, 288.0, 6.0)
    fine = grid.finer(2)
    # Corners of the first voxel: half a voxel before the first centre.
    corner = nib.affines.apply_affine(grid.affine, (-0.5, -0.5, -0.5))
    assert np.allclose(nib.affines.apply_affine(fine.affine, (-0.5, -0.5, -0.5)), corner)


def test_unknown_modality_names_the_allowed_ones(tmp_path):
    with pytest.raises(ConfigError, match="ct, mr, mr_t1, mr_t2"):
        write_phantom_site(tmp_path / "s", "pet", COUNTS, seed=0, site=1)


@pytest.mark.parametrize(
    ("counts", "options", "words"),
    [
        ({"train": -1}, {}, "'train' is -1"),
        ({"holdout": 1}, {}, "allowed: train, val, test"),
        (COUNTS, {"spacing_mm": 0.0}, "spacing is 0.0 mm"),
        (COUNTS, {"size_mm": 12.0}, "size is 12.0 mm"),
    ],
)
def test_values_out_of_range_are_refused_by_name(tmp_path, counts, options, words):
    with pytest.raises(ConfigError, match=words):
        write_phantom_site(tmp_path / "s", "ct", counts, seed=0, site=1, **options)
    assert list(tmp_path.iterdir()) == []


def test_folder_with_files_is_refused(sites):
    with pytest.raises(ConfigError, match="exists already"):
        write_phantom_site(sites / "a", "ct", COUNTS, seed=0, site=1)


def test_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    calls = []

    def fail_at_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError("disk full")
        return scan(*args)

    monkeypatch.setattr(writer, "scan", fail_at_second)
    with pytest.raises(OSError, match="disk full"):
        write_phantom_site(tmp_path / "s", "ct", COUNTS, seed=0, site=1, spacing_mm=12.0)
    assert list(tmp_path.iterdir()) == []
