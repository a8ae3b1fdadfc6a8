"""What a site tells of its cases: sums over the voxels of each class, enough cases behind each."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fedvox.aggregation.prototypes import CASES, MODALITY, SUMS, VOXELS, check
from fedvox.data.cases.patches import draw_batch
from fedvox.data.organs import MODALITIES
from fedvox.inference.normalise import normalise
from fedvox.job.model import initial_model
from fedvox.networks.mixmodal_network import Encoded
from fedvox.seeding import generator
from fedvox.training.prototypes import PATCHES, Tally, gather_prototypes

CHANNELS = ("t1", "t2", "flair")
WIDTH = 8  # of the second level


@pytest.fixture
def cases(modal_sites):
    """One case of all modalities and one without t2."""
    return modal_sites[0].train


@pytest.fixture
def gather(modal_job, cases, cpu):
    def told(model=None, site="site-1", index=0, of=cases, **network):
        job = replace(modal_job, network=replace(modal_job.network, **network))
        return gather_prototypes(model or initial_model(job), of, job, site, index, cpu)

    return told


def rows(arrays, name: str) -> dict[str, np.ndarray]:
    """Modality -> its row of an array."""
    return {MODALITIES[place]: arrays[name][row] for row, place in enumerate(arrays[MODALITY])}


def plain_encode(there=CHANNELS, air=False):
    """Features that can be checked by hand: the image's mean, and ones."""

    def encode(image: torch.Tensor) -> Encoded:
        present = (image.flatten(2).amax(2) > image.flatten(2).amin(2))[..., None, None, None, None]
        present = present | air
        masks = {m: present[:, i].float() * (m in there) for i, m in enumerate(CHANNELS)}
        means = {m: F.avg_pool3d(image[:, i : i + 1], 4) for i, m in enumerate(CHANNELS)}
        tailored = {m: [own, own.expand(-1, WIDTH, -1, -1, -1)] for m, own in means.items()}
        shared = {m: [own, torch.ones_like(tailored[m][1])] for m, own in means.items()}
        return Encoded(tailored, shared, masks)

    return encode


def test_sums_are_those_of_features_over_the_voxels_of_each_class(gather, cases, modal_job):
    model = initial_model(modal_job)
    model.encode = plain_encode()
    told = gather(model)
    voxels, sums = np.zeros((3, 4)), np.zeros((3, 4))
    for number, case in enumerate(cases):
        source = generator(modal_job.training.seed, "site-1", 0, number, "prototypes")
        batch = draw_batch([case], modal_job.data, PATCHES, source)
        image = normalise(batch.image)
        coarse = F.interpolate(F.avg_pool3d(image, 4), scale_factor=4)  # nearest
        for place in range(3):
            for value in range(4):
                inside = (batch.label == value) * case.present[place]
                voxels[place, value] += float(inside.sum())
                sums[place, value] += float((coarse[:, place] * inside).double().sum())
    assert sorted(rows(told, SUMS)) == sorted(CHANNELS) and voxels.sum() > 0
    for place, name in enumerate(CHANNELS):
        np.testing.assert_allclose(rows(told, VOXELS)[name], voxels[place])
        own = rows(told, SUMS)[name]
        np.testing.assert_allclose(own[:, 0], sums[place], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(own[:, WIDTH:], np.repeat(voxels[place][:, None], WIDTH, 1))


@pytest.mark.parametrize("air", [False, True])
def test_of_a_case_without_an_image_nothing_is_told_in_its_modality(gather, cases, modal_job, air):
    """Nor of its patches of air, which have all modalities."""
    assert [case.present for case in cases] == [(True, True, True), (True, False, True)]
    model = initial_model(modal_job)
    model.encode = plain_encode(air=air)
    told = rows(gather(model), CASES)
    assert told["t1"].max() == told["flair"].max() == 2 and told["t2"].max() == 1


def test_a_patch_in_which_an_image_shows_nothing_is_not_counted(gather, modal_job):
    model = initial_model(modal_job)
    model.encode = plain_encode(there=("t1", "flair"))
    told = gather(model)
    assert not rows(told, VOXELS)["t2"].any() and not rows(told, SUMS)["t2"].any()
    assert rows(told, VOXELS)["t1"].any()


def test_what_too_few_cases_hold_stays_at_the_site(gather):
    told = gather(fewest_cases=2)
    check(told, 2)
    assert not rows(told, SUMS)["t2"].any() and rows(told, SUMS)["t1"].any()
    everything = gather()
    enough = told[CASES] >= 2
    np.testing.assert_array_equal(told[SUMS][enough], everything[SUMS][enough])
    assert gather(fewest_cases=3) == {}


def test_an_organ_that_a_case_does_not_annotate_is_none_of_its_classes(gather, cases):
    """Nor is the background, which may hold it."""
    partly = [replace(case, annotated=case.annotated - {"tumour_oedema"}) for case in cases]
    told = rows(gather(of=partly), CASES)["t1"].tolist()
    assert told[0] == told[2] == 0 and max(told) == 2


def test_a_modality_whose_encoder_the_site_lacks_is_not_told(gather, modal_job):
    assert list(rows(gather(initial_model(modal_job, ["t1+t2"])), SUMS)) == ["t1", "t2"]


def test_patches_are_drawn_by_seed_site_and_round(gather):
    first, again = gather(), gather()
    before = torch.get_rng_state()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first[SUMS], gather(index=1)[SUMS])
    assert not np.array_equal(first[SUMS], gather(site="site-2")[SUMS])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_tally_adds_cases_by_modality_and_counts_those_that_hold_a_class():
    tally = Tally(2, 1)
    tally.add("flair", np.array([[1.0], [0.0]]), np.array([2.0, 0.0]))
    tally.add("t1", np.array([[5.0], [6.0]]), np.array([1.0, 1.0]))
    tally.add("flair", np.array([[3.0], [4.0]]), np.array([1.0, 8.0]))
    assert [MODALITIES[place] for place in tally.arrays[MODALITY]] == ["flair", "t1"]
    assert tally.arrays[SUMS][..., 0].tolist() == [[4, 4], [5, 6]]
    assert tally.arrays[VOXELS].tolist() == [[3, 8], [1, 1]]
    assert tally.arrays[CASES].tolist() == [[2, 1], [1, 1]]
