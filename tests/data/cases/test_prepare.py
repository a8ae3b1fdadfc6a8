import dataclasses
import hashlib
import hmac
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch

from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.cases.prepare import draw_places, prepare_case
from fedvox.data.cases.prepared import FORMAT, find_prepared
from fedvox.data.images.nifti import load_image
from fedvox.data.settings import DataSettings
from fedvox.errors import DataError

KEY = b"secret of the site"
SPACING = (3.0, 3.0, 4.0)  # as the volumes of make_plain_site are stored
SETTINGS = DataSettings(organs=("spleen", "liver"), spacing=SPACING, patch=(8, 8, 8))


def test_organs_take_the_values_of_the_job(case, cache, stored_label):
    result = prepare_case(case, SETTINGS, cache, KEY)
    # liver 1, spleen 2 there; spleen 1, liver 2 here
    expected = np.select([stored_label == 1, stored_label == 2], [2, 1], 0)
    assert np.array_equal(result.tensor("label").numpy(), expected)
    assert np.array_equal(result.tensor("stored_label").numpy(), expected)
    assert result.counts == (int((stored_label == 2).sum()), int((stored_label == 1).sum()))
    assert result.annotated == {"liver", "spleen"}
    assert result.modality == "ct" and result.stored_spacing == SPACING


def test_image_is_the_windowed_volume(case, cache):
    result = prepare_case(case, SETTINGS, cache, KEY)
    hu = load_image(case.images["ct"]).data
    image = result.tensor("image")
    assert image.shape == (1, 10, 11, 12) and image.dtype == torch.float32
    # float32 rounds values around 1 to 6e-8.
    assert np.allclose(image[0].numpy(), np.clip((hu + 160) / 400, 0, 1), atol=2e-7)


def test_organ_that_the_table_lacks_is_not_annotated(case, cache):
    settings = dataclasses.replace(SETTINGS, organs=("spleen", "pancreas", "liver"))
    result = prepare_case(case, settings, cache, KEY)
    assert result.annotated == {"spleen", "liver"}
    assert result.counts[1] == 0 and result.tensor("places.1").shape == (0, 3)


@pytest.fixture
def second(case, tmp_path, write_nifti):
    """Another image of the case, on the same grid."""
    first = load_image(case.images["ct"])
    return write_nifti(tmp_path / "second.nii.gz", first.data + 1, first.affine)


def test_two_modalities_become_two_channels_on_one_grid(case, second, cache, tmp_path, write_nifti):
    both = {"t1": case.images["ct"], "flair": second}
    names = tuple(both)
    settings = dataclasses.replace(SETTINGS, modalities=names, channels=names)
    result = prepare_case(dataclasses.replace(case, images=both), settings, cache, KEY)
    assert result.modality == "t1+flair" and result.tensor("image").shape == (2, 10, 11, 12)
    shifted = nib.load(case.images["ct"]).affine.copy()
    shifted[0, 3] += 20
    other = write_nifti(tmp_path / "b.nii.gz", load_image(case.images["ct"]).data, shifted)
    both["flair"] = other
    with pytest.raises(DataError, match=r"20\.0 mm"):
        prepare_case(dataclasses.replace(case, images=both), settings, cache, KEY)
    with pytest.raises(DataError, match="the case has no image of flair"):
        prepare_case(dataclasses.replace(case, images={"t1": other}), settings, cache, KEY)


def test_code_is_an_hmac_of_the_voxels_and_not_of_the_name(case, cache, tmp_path):
    voxels = load_image(case.images["ct"]).data
    expected = hmac.new(KEY, voxels.tobytes(), hashlib.sha256).hexdigest()[:16]
    assert prepare_case(case, SETTINGS, cache, KEY).code == expected
    copy = shutil.copy(case.images["ct"], tmp_path / "other_name.nii.gz")
    renamed = dataclasses.replace(case, id="b", patient="b", images={"ct": copy})
    assert prepare_case(renamed, SETTINGS, cache, KEY).code == expected
    assert prepare_case(case, SETTINGS, cache, b"another site").code != expected


def test_places_are_voxels_of_their_organ_and_few(tmp_path, cache, write_nifti):
    label = np.zeros((20, 20, 20), np.uint8)
    label[2:14, 3:15, 4:16] = 1  # 1728 voxels
    label[17, 17, 17] = 2
    image = np.random.default_rng(0).normal(0, 1, label.shape)
    paths = [write_nifti(tmp_path / f"{i}.nii", a) for i, a in enumerate((image, label))]
    values = {1: "spleen", 2: "liver"}
    case = Case("a", "a", {"mr": paths[0]}, (LabelFile(paths[1], values),))
    result = prepare_case(case, SETTINGS, cache, KEY)
    spleen = result.tensor("places.0").long()
    assert len(spleen) == len(spleen.unique(dim=0)) == 500
    assert (result.tensor("label")[tuple(spleen.T)] == 1).all()
    assert result.tensor("places.1").tolist() == [[17, 17, 17]]


def cube_places(edges, content="a", organ=0) -> torch.Tensor:
    return draw_places(torch.ones(edges).nonzero().to(torch.int16), content, organ)


@pytest.mark.parametrize("edges", [(50, 50, 50), (40, 50, 50), (60, 40, 20), (64, 64, 64)])
def test_places_lie_all_over_an_organ(edges):
    places = cube_places(edges).double()
    for axis, size in enumerate(edges):
        # 500 draws miss a plane of 64 with a chance of 4e-4; two or three of all are possible.
        assert len(places[:, axis].unique()) >= 0.95 * size
        # The mean of 500 even draws has a standard deviation of size / sqrt(12 * 500); six of it.
        assert float(places[:, axis].mean()) == pytest.approx((size - 1) / 2, abs=0.08 * size)


def test_every_voxel_has_the_same_chance_to_be_a_place():
    counts = torch.zeros(1000)
    for index in range(400):
        places = cube_places((10, 10, 10), content=str(index)).long()
        counts[places[:, 0] * 100 + places[:, 1] * 10 + places[:, 2]] += 1
    # 400 times one half: 200 with a standard deviation of 10; five of it.
    assert counts.sum() == 400 * 500 and float((counts - 200).abs().max()) < 50


def test_equal_labels_have_equal_places_at_any_site_and_organs_their_own(case, cache, tmp_path):
    own = prepare_case(case, SETTINGS, cache, KEY)
    other = prepare_case(case, SETTINGS, tmp_path / "other", b"another site")
    for index in range(2):
        assert torch.equal(own.tensor(f"places.{index}"), other.tensor(f"places.{index}"))
    cube = (12, 12, 12)
    assert not torch.equal(cube_places(cube), cube_places(cube, organ=1))
    assert not torch.equal(cube_places(cube), cube_places(cube, content="b"))


def test_a_case_of_older_rules_is_prepared_again(case, cache, monkeypatch):
    monkeypatch.setattr("fedvox.data.cases.prepared.FORMAT", FORMAT - 1)
    older = prepare_case(case, SETTINGS, cache, KEY)
    monkeypatch.undo()
    assert find_prepared(case, SETTINGS, cache, KEY) is None
    assert prepare_case(case, SETTINGS, cache, KEY).path != older.path


def test_series_and_png_are_prepared_like_nifti(dicom_case, cache):
    result = prepare_case(dicom_case, SETTINGS, cache, KEY)
    bright = result.tensor("image")[0] > 0.5  # above 40 HU
    assert torch.equal(bright | (result.tensor("label") == 2), result.tensor("label") == 2)
    assert result.counts == (0, 4 * 8 * 6)


@pytest.mark.parametrize("turn", [[[2, -1], [0, 1], [1, -1]], [[0, -1], [1, 1], [2, 1]]])
def test_labels_and_further_images_may_have_other_axes(case, second, cache, tmp_path, turn):
    both = {"t1": case.images["ct"], "t2": second}
    straight = prepare_case(dataclasses.replace(case, images=both), SETTINGS, cache, KEY)
    paths = {}
    for name, path in (("t2", second), ("label", case.labels[0].path)):
        paths[name] = tmp_path / f"{name}.nii.gz"
        nib.save(nib.load(path).as_reoriented(np.array(turn)), paths[name])
    turned = dataclasses.replace(
        case,
        images={"t1": case.images["ct"], "t2": paths["t2"]},
        labels=(dataclasses.replace(case.labels[0], path=paths["label"]),),
    )
    result = prepare_case(turned, SETTINGS, cache, KEY)
    for name in ("image", "label", "stored_label"):
        assert torch.equal(result.tensor(name), straight.tensor(name)), name


def test_a_ct_that_is_not_in_hu_is_not_prepared(case, cache, tmp_path, write_nifti):
    rng = np.random.default_rng(0)
    scan = (rng.normal(1064, 20, (10, 11, 12))).astype(np.float32)
    scan[:3] = -2000
    path = write_nifti(tmp_path / "lost.nii.gz", scan)
    with pytest.raises(DataError, match="rescale intercept lost: tissue lies around 1024"):
        prepare_case(dataclasses.replace(case, images={"ct": path}), SETTINGS, cache, KEY)
