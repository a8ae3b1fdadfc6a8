from dataclasses import replace

import pytest

from fedvox.inference.evaluate import score_cases
from fedvox.inference.site_rows import site_rows
from fedvox.job.model import initial_model


@pytest.fixture
def rows_of(job, cpu):
    model = initial_model(job)
    return lambda site, split="test": site_rows(model, "m", site, job, split, cpu)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_codes_of_phantoms_are_marked_and_nothing_else_is_changed(sites, job, cpu, rows_of, split):
    site = sites[0]
    scored = score_cases(initial_model(job), "m", getattr(site, split), job, site.name, split, cpu)
    marked = [replace(row, case=f"phantom-{row.case}") for row in scored]
    assert str(rows_of(site, split)) == str(marked)  # NaN equals NaN as text
    assert str(rows_of(replace(site, phantom=False), split)) == str(scored)


def test_an_image_that_a_site_lists_twice_is_scored_once(sites, rows_of):
    twice = replace(sites[0], test=[*sites[0].test, sites[0].test[0]])
    assert str(rows_of(twice)) == str(rows_of(sites[0]))
