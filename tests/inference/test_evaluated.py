"""A global model that is the best and the last one is scored once."""

import shutil
from dataclasses import replace

import pytest

from fedvox.inference import evaluated
from fedvox.inference.evaluated import EVALUATED, scored_once
from fedvox.inference.evaluation_report import evaluation_report
from fedvox.job.model import initial_model


@pytest.fixture
def scored(job, open_phantom, cpu, tmp_path, monkeypatch):
    """A function that asks for a model's answer, and the names under which one was worked out."""
    site, names = open_phantom("ct", "site-1", "cases"), []

    def counted(model, name, *rest):
        names.append(name)
        return evaluation_report(model, name, *rest)

    monkeypatch.setattr(evaluated, "evaluation_report", counted)
    return lambda model, name: scored_once(model, name, site, job, cpu, tmp_path), names, site


def test_the_same_weights_under_two_names_are_scored_once(scored, job, cpu):
    ask, names, site = scored
    model = initial_model(job)
    ask(model, "global_last")
    found = ask(model, "global_best")
    assert names == ["global_last"]
    assert found == evaluation_report(model, "global_best", site, job, cpu)


def test_other_weights_and_a_sites_own_model_are_scored(scored, job):
    ask, names, _ = scored
    model = initial_model(job)
    ask(model, "global_last")
    ask(model, "site-1")
    next(model.parameters()).data.add_(1)
    ask(model, "global_best")
    assert names == ["global_last", "site-1", "global_best"]


def test_a_site_whose_cases_changed_is_scored_anew(scored, job, cpu, tmp_path):
    ask, names, site = scored
    model = initial_model(job)
    ask(model, "global_last")
    fewer = replace(site, test=site.test[1:])
    found = scored_once(model, "global_best", fewer, job, cpu, tmp_path)
    assert names == ["global_last", "global_best"]
    assert len(found["rows"]) < len(ask(model, "global_best")["rows"])


def test_an_answer_that_was_cut_off_is_worked_out_again(scored, job, tmp_path):
    ask, names, _ = scored
    model = initial_model(job)
    ask(model, "global_last")
    path = tmp_path / EVALUATED
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(path.read_text()[:50])
    ask(model, "global_best")
    assert names == ["global_last", "global_best"]


def test_a_site_that_corrected_a_label_or_moved_a_case_is_scored_anew(scored, job, cpu, tmp_path):
    ask, names, site = scored
    model = initial_model(job)
    ask(model, "global_last")
    first, *others = site.test
    prepared = tmp_path / "of-the-new-labels.safetensors"  # the name depends on the labels
    shutil.copy(first.path, prepared)
    corrected = replace(site, test=(replace(first, path=prepared), *others))
    moved = replace(site, val=(*site.val, first), test=tuple(others))
    for other in (corrected, moved):
        scored_once(model, "global_best", other, job, cpu, tmp_path)
    assert names == ["global_last", "global_best", "global_best"]


def test_a_folder_that_cannot_be_written_costs_no_answer(scored, job, monkeypatch):
    ask, names, _ = scored

    def full(*rest):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluated, "write_json", full)
    assert ask(initial_model(job), "global_last")["rows"]
    assert names == ["global_last"]
