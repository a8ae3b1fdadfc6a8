"""Each subset of a case's modalities is scored as if the case had no other."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedvox.config import to_mapping
from fedvox.data.settings import subsets
from fedvox.inference.evaluate import score_cases
from fedvox.inference.evaluate_site import evaluate_model
from fedvox.inference.model_files.model_file import describe_model, read_model, write_model
from fedvox.inference.site_rows import site_rows
from fedvox.inference.subsets import keep_channels, subset_images
from fedvox.job.model import initial_model
from fedvox.job.settings import job_from
from fedvox.job.weights import weights_of

CHANNELS = ("t1", "t2", "flair")
SEVEN = list(subsets(CHANNELS))


@pytest.fixture
def model(subset_job):
    return initial_model(subset_job)


@pytest.fixture
def site(open_brats, subset_job):
    return open_brats(job=subset_job, share="cases")


def numbers(rows, *modalities):
    """Structure and scores, as text: NaN equals NaN."""
    return [str((r.organ, r.scores, r.gt_voxels)) for r in rows if r.modality in modalities]


@given(kept=st.sets(st.sampled_from(CHANNELS)), seed=st.integers(0, 99))
def test_other_channels_are_exactly_0_and_kept_ones_as_they_were(kept, seed):
    image = torch.rand(3, 2, 3, 2, generator=torch.Generator().manual_seed(seed))
    before = image.clone()
    found = keep_channels(image, CHANNELS, kept)
    for place, name in enumerate(CHANNELS):
        expected = before[place] if name in kept else torch.zeros(2, 3, 2)
        assert torch.equal(found[place], expected)
    assert torch.equal(image, before)


def test_a_case_is_given_on_each_subset_of_what_it_has_and_on_no_other(
    site, open_brats, subset_job
):
    names = [name for name, _ in subset_images(site.test[0], CHANNELS)]
    assert names == SEVEN
    two = open_brats(("flair", "t1"), job=subset_job).test[0]
    images = dict(subset_images(two, CHANNELS))
    assert list(images) == ["t1+flair", "t1", "flair"]
    assert all(not image[1].any() for image in images.values())
    ((only, image),) = subset_images(two, ())
    assert only == two.modality == "t1+flair" and torch.equal(image, two.tensor("image"))


@pytest.mark.parametrize("network", ["unet", "mixmodal"])
def test_a_dropped_modality_scores_as_one_that_the_site_never_had(
    open_brats, subset_job, cpu, network
):
    job = job_from(to_mapping(subset_job) | {"network": {"name": network, "channels": [4, 8]}})
    model, site = initial_model(job), open_brats(job=job)
    rows = score_cases(model, "m", site.test, job, "site-1", "test", cpu, subsets=True)
    for held in (["t1", "flair"], ["t2"]):
        without = open_brats(held, job=job).test
        (name,) = {case.modality for case in without}
        alone = score_cases(model, "m", without, job, "site-1", "test", cpu)
        assert numbers(rows, name) == numbers(alone, name) and numbers(alone, name)
    assert numbers(rows, "t1") != numbers(rows, "t2")


def test_test_cases_alone_are_scored_on_subsets_and_first_on_all_that_they_have(
    site, subset_job, model, cpu
):
    def rows(split="test", job=subset_job, **more):
        return site_rows(model, "m", site, job, split, cpu, **more)

    whole = rows(subsets=False)
    plain = replace(subset_job, evaluation=replace(subset_job.evaluation, subsets=False))
    assert {row.modality for row in whole} == {"t1+t2+flair"}
    assert str(rows(job=plain)) == str(whole)
    found = rows()
    assert str(found[: len(whole)]) == str(whole) and len(found) == 7 * len(whole)
    assert list(dict.fromkeys(row.modality for row in found)) == SEVEN
    assert {row.modality for row in rows("val")} == {"t1+t2+flair"}


def test_an_image_that_a_site_lists_twice_is_told_once_per_subset(site, subset_job, model, cpu):
    twice = replace(site, test=[*site.test, site.test[0]])
    one, two = (site_rows(model, "m", own, subset_job, "test", cpu) for own in (site, twice))
    assert str(one) == str(two)


def test_a_model_is_evaluated_on_the_subsets_that_its_job_asks_for(
    site, subset_job, channel_job, model, tmp_path
):
    for name, job, expected in (("a", subset_job, set(SEVEN)), ("b", channel_job, {SEVEN[0]})):
        weights = weights_of(model)
        description = describe_model(job, weights, 1, True, ["t1+t2+flair"])
        trained = read_model(write_model(tmp_path / name, weights, description))
        assert {row.modality for row in evaluate_model(trained, site)} == expected
        assert {row.modality for row in evaluate_model(trained, site, "val")} == {SEVEN[0]}
