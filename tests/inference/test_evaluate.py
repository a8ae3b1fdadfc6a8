import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from fedvox.data.organs import IGNORED
from fedvox.inference import evaluate
from fedvox.inference.evaluate import (
    Validation,
    coarse_cases,
    mean_dice,
    predict_labels,
    score_cases,
    validate,
)


class Background(nn.Module):
    """Calls every voxel background."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(x), 3, *x.shape[2:])
        logits[:, 0] = 1
        return logits


@pytest.fixture
def all_seeing(monkeypatch, sites):
    """Makes prediction return the reference of the case whose image it is given."""
    cases = [case for site in sites for case in site.cases]

    def scores(model, image, job, device):
        (case,) = [case for case in cases if torch.equal(case.tensor("image"), image)]
        return nn.functional.one_hot(case.tensor("label").long(), 3).movedim(-1, 0).float()

    monkeypatch.setattr(evaluate, "predict_scores", scores)
    monkeypatch.setattr(evaluate, "predict_slabs", lambda *arguments: [scores(*arguments)])


def test_right_prediction_has_dice_one_per_modality(all_seeing, sites, job, cpu):
    cases = [*sites[1].val, *sites[0].val, *sites[0].test]
    found = validate(Background(), cases, job, cpu)
    assert found == {"ct": Validation(1.0, 3), "mr": Validation(1.0, 1)}
    assert list(found) == ["ct", "mr"]


def test_empty_prediction_has_dice_zero(sites, job, cpu):
    assert validate(Background(), sites[0].val, job, cpu) == {"ct": Validation(0.0, 1)}


def test_site_without_validation_cases_reports_nothing(job, cpu):
    assert validate(Background(), [], job, cpu) == {}


def test_mean_dice_is_the_mean_over_organs_that_are_present(sites, job):
    case = sites[0].val[0]
    prediction = case.tensor("label").clone()
    prediction[prediction == 2] = 0
    assert mean_dice(prediction, case, job.data.organs) == 0.5
    absent = dataclasses.replace(case, counts=(case.counts[0], 0))
    assert mean_dice(prediction, absent, job.data.organs) == 1.0


def test_organ_that_the_case_does_not_annotate_does_not_count(sites, job):
    case = dataclasses.replace(sites[0].val[0], annotated=frozenset({"spleen"}))
    prediction = (case.tensor("label") == 2).to(torch.uint8) * 2
    assert mean_dice(prediction, case, job.data.organs) == 1.0


def test_case_without_evidence_has_no_dice_and_is_left_out(sites, job, cpu):
    case = dataclasses.replace(sites[0].val[0], annotated=frozenset())
    assert math.isnan(mean_dice(case.tensor("label"), case, job.data.organs))
    assert validate(Background(), [case], job, cpu) == {}


def test_rows_name_model_site_split_case_and_every_organ(sites, job, cpu):
    site = sites[0]
    rows = score_cases(Background(), "global_last", site.test, job, site.name, "test", cpu)
    assert {(row.model, row.site, row.split, row.modality) for row in rows} == {
        ("global_last", "site-1", "test", "ct")
    }
    assert [(row.case, row.organ) for row in rows] == [
        (case.code, organ) for case in site.test for organ in job.data.organs
    ]
    assert all(row.dice == 0.0 and row.gt_voxels > 0 for row in rows)


def test_scores_refer_to_the_labels_on_the_scanner_s_grid(all_seeing, sites, job, cpu):
    site = sites[0]
    rows = score_cases(Background(), "m", site.test, job, site.name, "test", cpu)
    stored = [case.tensor("stored_label") for case in site.test]
    assert [row.gt_voxels for row in rows] == [
        int((label == value).sum()) for label in stored for value in (1, 2)
    ]
    # the way over the 12 mm grid costs the surface voxels of organs about 12 voxels wide
    assert all(row.dice > 0.75 for row in rows if row.organ == "liver")


def test_predicted_labels_have_the_shape_of_the_scan(sites, job, cpu):
    case = sites[1].test[0]
    labels = predict_labels(Background(), case, job, cpu)
    assert labels.shape == tuple(case.tensor("stored_label").shape)
    assert labels.dtype == "uint8"
    assert not labels.any()


def test_part_that_a_case_does_not_tell_apart_counts_as_its_organ(sites):
    case = dataclasses.replace(sites[0].val[0], annotated=frozenset({"liver"}))
    label = case.tensor("label")
    prediction = torch.where(label > 0, 2, 0)  # all of the liver called a tumour
    assert mean_dice(prediction, case, ("liver", "liver_tumour")) == 1.0
    assert mean_dice(prediction, case, ("liver", "spleen")) == 0.0


def test_regions_do_not_count_in_the_mean(sites):
    organs = ("tumour_necrotic", "tumour_enhancing")
    case = dataclasses.replace(sites[0].val[0], annotated=frozenset(organs))
    label = case.tensor("label")
    prediction = torch.where(label == 1, 2, torch.where(label == 2, 1, 0))
    assert mean_dice(prediction, case, organs) == 0.0  # the core as a whole would score 1


class Partly:
    """A case of which everything left of a plane of the grid is not annotated."""

    ignores = True

    def __init__(self, case, plane):
        self._case, self._plane = case, plane
        label = self.tensor("label")
        self.counts = tuple(int((label == value).sum()) for value in (1, 2))

    def __getattr__(self, name):
        return getattr(self._case, name)

    def tensor(self, name):
        tensor = self._case.tensor(name)
        if name == "image":
            return tensor
        tensor = tensor.clone()
        tensor[: self._plane * len(tensor) // len(self._case.tensor("label"))] = IGNORED
        return tensor


def test_what_nobody_annotated_has_no_say_in_the_choice_of_the_model(sites, job):
    case = sites[0].val[0]
    whole = case.tensor("label")
    plane = int(torch.nonzero(whole)[:, 0].float().median())
    partly = Partly(case, plane)
    prediction = whole.clone()
    prediction[:plane] = 1  # wrong, where nobody can know
    assert mean_dice(prediction, partly, job.data.organs) == 1
    assert mean_dice(prediction, case, job.data.organs) < 1


def test_scores_count_annotated_voxels_only(all_seeing, sites, job, cpu):
    case = sites[0].test[0]
    plane = int(torch.nonzero(case.tensor("label"))[:, 0].float().median())
    rows = score_cases(Background(), "m", [Partly(case, plane)], job, "s", "test", cpu)
    whole = score_cases(Background(), "m", [case], job, "s", "test", cpu)
    assert sum(row.gt_voxels for row in rows) < sum(row.gt_voxels for row in whole)
    assert all(row.gt_voxels == 0 or row.dice > 0.5 for row in rows)


def test_cases_are_coarse_where_every_voxel_edge_exceeds_the_tolerance():
    cases = [SimpleNamespace(stored_spacing=s) for s in ((4.0, 4.0, 5.0), (1.0, 1.0, 5.0))]
    assert coarse_cases(cases, 3.0) == 1
