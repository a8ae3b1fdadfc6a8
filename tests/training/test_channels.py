"""Cases of several images: from two site files in different order to the same numbers."""

from dataclasses import replace

import torch

from fedvox.augment import build_intensity
from fedvox.augment.geometric import apply_geometric, draw_geometric
from fedvox.data.cases.patches import draw_batch
from fedvox.inference.evaluate import score_cases
from fedvox.job.model import initial_model
from fedvox.job.weights import load_weights
from fedvox.seeding import generator
from fedvox.tensors import weights_hash
from fedvox.training.in_process import run_in_process
from fedvox.training.step import build_step

SITE_KEY = bytes(range(32))
ADDRESS = (0, "site-1", 0, 0)


def trained(open_brats, channel_job, tmp_path, cpu, modalities):
    """Hash of the last model, and its scores on the test case."""
    folder = tmp_path / "-".join(modalities)
    folder.mkdir()
    (folder / "site_key").write_bytes(SITE_KEY)
    site = open_brats(modalities)
    result = run_in_process([site], channel_job, folder)
    model = initial_model(channel_job)
    load_weights(model, result.last)
    rows = score_cases(model, "global_last", site.test, channel_job, site.name, "test", cpu)
    return weights_hash(result.last), rows, result.rounds


def test_the_order_in_the_site_file_changes_no_number(open_brats, channel_job, tmp_path, cpu):
    first, rows, rounds = trained(open_brats, channel_job, tmp_path, cpu, ("t1", "t2", "flair"))
    other, again, _ = trained(open_brats, channel_job, tmp_path, cpu, ("flair", "t1", "t2"))
    assert first == other and rows == again
    assert {row.modality for row in rows} == {"t1+t2+flair"}
    assert {row.organ for row in rows} >= {"tumour_whole", "tumour_core", "tumour_enhancing"}
    assert rounds[0]["contributors"][0]["modality"] == "t1+t2+flair"
    assert set(rounds[0]["validation"]) == {"t1+t2+flair"}


def test_what_augmentation_does_to_several_channels(open_brats, channel_job, cpu):
    """One deformation for all; GIN draws one network over them; each keeps mean and spread."""
    batch = draw_batch(open_brats().train, channel_job.data, 2, generator(0, "batch"))
    assert batch.image.shape == (2, 3, 16, 16, 16) and batch.present.all()
    same = replace(batch, image=batch.image[:, :1].expand(-1, 3, -1, -1, -1).contiguous())
    step = build_step(channel_job, initial_model(channel_job), cpu)
    settings = channel_job.augmentation.geometric
    draw = draw_geometric(settings, 2, channel_job.data.patch, generator(*ADDRESS, "geometric"))
    moved, _ = apply_geometric(same.image, same.label, draw)
    assert torch.equal(moved[:, 0], moved[:, 1]) and torch.equal(moved[:, 0], moved[:, 2])
    mixed = build_intensity(channel_job.augmentation)(batch.image, generator(1))
    alone = build_intensity(channel_job.augmentation)(same.image, generator(1))
    assert not torch.allclose(mixed[:, 0], alone[:, 0])  # channel 0 hears of the others
    image, _, _ = step.augmented(batch, ADDRESS)
    assert image.shape == batch.image.shape and torch.isfinite(image).all()


def test_a_missing_channel_stays_zero_through_augmentation(open_brats, channel_job, cpu):
    """GIN mixes the others into it, and it has neither mean nor spread to be given back."""
    batch = draw_batch(open_brats().train, channel_job.data, 2, generator(0, "batch"))
    batch.image[0, 1] = 0
    batch.present[0, 1] = False
    step = build_step(channel_job, initial_model(channel_job), cpu)
    mixed = build_intensity(channel_job.augmentation)(batch.image, generator(*ADDRESS, "intensity"))
    assert mixed[0, 1].any()
    image, _, _ = step.augmented(batch, ADDRESS)
    assert not image[0, 1].any() and image[0, 0].any() and image[1, 1].any()
