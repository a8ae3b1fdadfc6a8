import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from fedvox.data.cases.channel_tensor import to_channels
from fedvox.data.cases.channels import checked_volumes
from fedvox.data.cases.patches import draw_batch
from fedvox.data.cases.prepared import read_prepared
from fedvox.data.grid.to_grid import geometry_of, prepare_image
from fedvox.data.images.nifti import Volume
from fedvox.data.settings import DataSettings
from fedvox.errors import DataError
from fedvox.seeding import generator
from fedvox.tensors import write_tensors

CHANNELS = ("t1", "t2", "flair")
SETTINGS = DataSettings(
    ("liver",), modalities=CHANNELS, channels=CHANNELS, spacing=(4.0, 4.0, 4.0), patch=(8, 8, 8)
)


def volume(seed):
    data = np.random.default_rng(seed).uniform(0, 900, (12, 10, 8)).astype(np.float32)
    return Volume(data, np.diag([-2.0, 3.0, 4.0, 1.0]), None)


VOLUMES = {name: volume(seed) for seed, name in enumerate(CHANNELS)}


@pytest.mark.parametrize("order", [CHANNELS, ("flair", "t1", "t2"), ("t2", "flair", "t1")])
def test_channels_stand_in_the_jobs_order_each_scaled_by_itself(order):
    found = to_channels(((name, VOLUMES[name]) for name in order), SETTINGS)
    assert found.image.shape == (3, 6, 8, 8) and found.present == (True, True, True)
    for place, name in enumerate(CHANNELS):
        geometry = geometry_of(VOLUMES[name], SETTINGS.spacing)
        alone = prepare_image(VOLUMES[name], name, geometry, SETTINGS)
        assert torch.equal(found.image[place], alone) and found.geometry == geometry


@pytest.mark.parametrize("missing", CHANNELS)
def test_a_missing_channel_is_zero_and_known_as_missing(missing):
    held = [(name, VOLUMES[name]) for name in CHANNELS if name != missing]
    found, whole = to_channels(held, SETTINGS), to_channels(VOLUMES.items(), SETTINGS)
    assert found.present == tuple(name != missing for name in CHANNELS)
    for place, there in enumerate(found.present):
        expected = whole.image[place] if there else torch.zeros_like(whole.image[place])
        assert torch.equal(found.image[place], expected)


def test_without_channels_there_is_one_whatever_its_modality():
    one = dataclasses.replace(SETTINGS, modalities=("ct", "mr"), channels=())
    found = to_channels([("mr", VOLUMES["t1"])], one)
    assert found.image.shape == (1, 6, 8, 8) and found.present == (True,)
    assert torch.equal(found.image[0], to_channels(VOLUMES.items(), SETTINGS).image[0])


def test_the_stored_grid_comes_back_without_voxels():
    found = to_channels(VOLUMES.items(), SETTINGS)
    assert found.grid.data.shape == (12, 10, 8) and found.grid.data.strides == (0, 0, 0)
    assert np.array_equal(found.grid.affine, VOLUMES["t1"].affine)


def test_no_image_is_refused():
    with pytest.raises(DataError, match="the case has no image"):
        to_channels([], SETTINGS)


def test_an_image_on_another_grid_is_refused(write_nifti, tmp_path):
    paths = {}
    for shift, name in ((0, "t1"), (9, "t2")):
        affine = VOLUMES[name].affine.copy()
        affine[2, 3] += shift
        paths[name] = write_nifti(tmp_path / f"{name}.nii.gz", VOLUMES[name].data, affine)
    with pytest.raises(DataError, match=r"the t2 image lies up to 9\.0 mm off the t1 image"):
        list(checked_volumes(paths))


def test_one_image_under_two_names_is_refused(write_nifti, tmp_path):
    affine = VOLUMES["t1"].affine
    paths = {n: write_nifti(tmp_path / f"{n}.nii.gz", VOLUMES["t1"].data, affine) for n in "ab"}
    with pytest.raises(DataError, match="t2 image: it holds the voxels of the t1 image; export"):
        list(checked_volumes({"t1": paths["a"], "t2": paths["b"]}))


def test_a_batch_tells_which_channels_each_sample_has(open_brats, channel_job, tmp_path):
    """Two cases, one of which lost its second channel; draws take both."""
    whole = open_brats().train[0]
    with safe_open(str(whole.path), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        description = json.loads(file.metadata()["case"]) | {"present": [True, False, True]}
    tensors["image"][1] = 0
    path = tmp_path / "part.safetensors"
    write_tensors(path, tensors, {"case": json.dumps(description)})
    cases = [whole, read_prepared(path)]
    batch = draw_batch(cases, channel_job.data, 16, generator(0, "channels"))
    assert batch.present.shape == (16, 3) and batch.present.dtype == torch.bool
    empty = ~batch.image.flatten(2).any(2)
    assert torch.equal(~batch.present[:, 1], empty[:, 1])
    assert batch.present[:, (0, 2)].all() and 0 < int(batch.present[:, 1].sum()) < 16
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.present, batch.present)
