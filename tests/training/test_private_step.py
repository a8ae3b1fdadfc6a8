"""DP-SGD: what one case can change of a step is bounded, noise is what the accountant counts."""

import dataclasses
import json
import math

import pytest
import torch

from fedvox.errors import ConfigError
from fedvox.job.model import initial_model
from fedvox.privacy.accountant import round_spend, spent
from fedvox.privacy.ledger import LEDGER, Total
from fedvox.privacy.noise_settings import NoiseSettings
from fedvox.tensors import weights_hash
from fedvox.training.in_process import run_in_process
from fedvox.training.local_round import train_round
from fedvox.training.noise import CasePrivacy, check_run
from fedvox.training.private_step import DrawnCases, PrivateStep, draw_cases
from fedvox.training.step import build_step

ADDRESS = (0, "site-1", 0, 0)
CLIP = 0.05
"""Below the norm of any gradient here."""
SPENT = Total(1.0, 1e-5, "case")
QUIET = CasePrivacy(NoiseSettings(unit="case", clip=CLIP, noise=1e-6), 7, SPENT)
LOUD = CasePrivacy(NoiseSettings(unit="case", clip=CLIP, noise=3.0), 7, SPENT)


@pytest.fixture
def everybody(sites, job) -> DrawnCases:
    """Every case of a site that has at least three."""
    whole = dataclasses.replace(job, training=dataclasses.replace(job.training, batch=64))
    drawn = draw_cases(sites[0].train, whole, QUIET, 0)
    assert len(drawn.samples) == len(sites[0].train) >= 2
    return drawn


def summed(job, privacy, drawn, monkeypatch, spoil=lambda place, gradients: None, address=ADDRESS):
    """The gradient that a step hands to its optimiser, times the mean number of cases."""
    step = build_step(job, initial_model(job), torch.device("cpu"))
    taken = []

    def note(closure=None):
        parts = [p.grad.flatten() for p in step.model.parameters()]
        taken.append(torch.cat(parts).double() * job.training.batch)

    monkeypatch.setattr(step.optimizer, "step", note)
    one, seen = step.differentiate, iter(drawn.samples)

    def differentiate(batch, address, parts):
        loss = one(batch, address, parts)
        spoil(next(seen), [p.grad for p in step.model.parameters()])
        return loss

    object.__setattr__(step, "differentiate", differentiate)
    PrivateStep(step, privacy, job.training.batch)(drawn, address, 1e-3)
    (gradient,) = taken
    return gradient


def only(drawn, *places):
    return DrawnCases({place: drawn.samples[place] for place in places})


def test_a_step_sums_what_each_case_alone_gives_and_none_gives_more_than_the_clip(
    job, everybody, monkeypatch
):
    alone = [summed(job, QUIET, only(everybody, p), monkeypatch) for p in everybody.samples]
    assert [float(own.norm()) for own in alone] == pytest.approx([CLIP] * len(alone), rel=1e-3)
    together = summed(job, QUIET, everybody, monkeypatch)
    assert torch.allclose(together, sum(alone), atol=1e-6)


def test_with_and_without_a_case_a_step_differs_by_a_clip_at_most(job, everybody, monkeypatch):
    rest = list(everybody.samples)[1:]
    gone = summed(job, QUIET, only(everybody, *rest), monkeypatch)
    there = summed(job, QUIET, everybody, monkeypatch)
    assert 0.9 * CLIP < float((there - gone).norm()) <= CLIP * (1 + 1e-3)


def test_noise_is_that_of_the_accountant_also_where_nobody_takes_part(job, monkeypatch):
    noise = summed(job, LOUD, DrawnCases({}), monkeypatch)
    assert float(noise.std()) == pytest.approx(LOUD.settings.noise * CLIP, rel=0.1)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.02)
    again = summed(job, dataclasses.replace(LOUD, seed=8), DrawnCases({}), monkeypatch)
    assert abs(float(torch.corrcoef(torch.stack([noise, again]))[0, 1])) < 0.1


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_counts_for_nothing_and_spares_the_others(
    job, everybody, monkeypatch, caplog, number
):
    first, *rest = everybody.samples

    def spoil(place, gradients):
        if place == first:
            gradients[0].fill_(number)

    spoilt = summed(job, QUIET, everybody, monkeypatch, spoil)
    assert torch.allclose(
        spoilt, summed(job, QUIET, only(everybody, *rest), monkeypatch), atol=1e-6
    )
    assert "counts for nothing" in caplog.text


def test_each_case_takes_part_with_the_rate_by_itself_and_by_a_secret(sites, make_job):
    job, cases = make_job(training={"batch": 1}), sites[0].train
    for privacy in (QUIET, dataclasses.replace(QUIET, seed=8)):
        drawn = [set(draw_cases(cases, job, privacy, i).samples) for i in range(300)]
        counts = [sum(place in own for own in drawn) for place in range(len(cases))]
        wanted = 300 / len(cases)
        assert all(abs(count - wanted) < 5 * math.sqrt(wanted) for count in counts)
        assert {len(own) for own in drawn} > {0, 1, 2}  # nobody knows how many took part
    other = [set(draw_cases(cases, job, QUIET, i).samples) for i in range(300)]
    assert other != drawn
    reseeded = dataclasses.replace(job, training=dataclasses.replace(job.training, seed=99))
    assert [set(draw_cases(cases, reseeded, QUIET, i).samples) for i in range(300)] == other


def test_no_part_of_the_secret_seed_is_left_out(sites, job, everybody, monkeypatch):
    for seed in (QUIET.seed + 2**32, QUIET.seed + 2**64, QUIET.seed + 2**127):
        other = dataclasses.replace(LOUD, seed=seed)
        drawn = [draw_cases(sites[0].train, job, p, 0).samples for p in (LOUD, other)]
        assert any(
            set(draw_cases(sites[0].train, job, LOUD, i).samples)
            != set(draw_cases(sites[0].train, job, other, i).samples)
            for i in range(20)
        ), drawn
        noise = [summed(job, p, DrawnCases({}), monkeypatch) for p in (LOUD, other)]
        assert abs(float(torch.corrcoef(torch.stack(noise))[0, 1])) < 0.1


def test_what_others_know_of_a_step_says_nothing_of_its_augmentation(
    make_job, everybody, monkeypatch
):
    job = make_job(augmentation={"name": "gin"})
    known = summed(job, QUIET, everybody, monkeypatch)
    reseeded = summed(job, QUIET, everybody, monkeypatch, address=(99, *ADDRESS[1:]))
    assert torch.equal(known, reseeded)  # the job's seed has no say
    secret = summed(job, dataclasses.replace(QUIET, seed=8), everybody, monkeypatch)
    assert not torch.allclose(known, secret, atol=1e-6)


@pytest.mark.parametrize(
    ("sections", "remedy"),
    [
        ({"network": {"norm": "batch"}}, r"'network\.norm' to instance"),
        ({"training": {"minutes": 1.0}}, r"'training\.minutes' to 0"),
    ],
)
def test_what_noise_in_steps_cannot_hide_is_refused(make_job, cpu, sections, remedy):
    job = make_job(**sections)
    step = build_step(job, initial_model(job), cpu)
    with pytest.raises(ConfigError, match=remedy):
        PrivateStep(step, QUIET, 2)


def test_a_round_without_noise_in_its_steps_is_no_start_for_one_with(
    job, sites, state, cpu, tmp_path
):
    plan = (sites[0].train, job, "site-1")
    train_round(initial_model(job), *plan, 0, state, cpu)
    with pytest.raises(ConfigError, match="delete the run's folder state ") as refused:
        train_round(initial_model(job), *plan, 1, state, cpu, privacy=LOUD)
    assert "site-1" not in str(refused.value)
    fresh = tmp_path / "fresh"
    for index in range(2):
        train_round(initial_model(job), *plan, index, fresh, cpu, privacy=LOUD)
    train_round(initial_model(job), *plan, 2, fresh, cpu)
    with pytest.raises(ConfigError, match="had no noise in their steps"):
        train_round(initial_model(job), *plan, 3, fresh, cpu, privacy=LOUD)


def private_job(make_job, **privacy):
    told = {"unit": "case", "clip": 0.5, "noise": 2.0, "epsilon": 1e6, **privacy}
    return make_job(
        privacy=told, evaluation={"site_models": False}, training={"rounds": 2, "steps": 3}
    )


def test_a_run_says_what_its_steps_cost_and_comes_again(make_job, sites, tmp_path):
    job = private_job(make_job)
    result = run_in_process(sites, job, tmp_path / "a")
    for site in sites:
        each = round_spend(job.privacy, len(site.train), job.training.batch, 3)
        told = [
            next(e for e in record["contributors"] if e["site"] == site.name)
            for record in result.rounds
        ]
        assert [own["epsilon"] for own in told] == [
            round(spent([each] * count, 1e-5), 4) for count in (1, 2)
        ]
        assert {own["unit"] for own in told} == {"case"}
        # cases go one after the other: time would tell how many took part
        hidden = ("train_loss", "train_seconds", "data_wait")
        assert all(own[name] is None for own in told for name in hidden)
        ledger = tmp_path / "a" / site.name / LEDGER.format(site=site.name)
        lines = [json.loads(line) for line in ledger.read_text().splitlines()]
        assert [(own["rate"], own["steps"]) for own in lines] == [(each.rate, 3)] * 2
    again = run_in_process(sites, job, tmp_path / "b")
    assert weights_hash(again.last) == weights_hash(result.last)
    plain = run_in_process(sites, dataclasses.replace(job, privacy=None), tmp_path / "c")
    assert weights_hash(plain.last) != weights_hash(result.last)


def test_a_run_beyond_its_budget_is_refused_at_its_start_with_remedies_that_work(
    make_job, sites, tmp_path
):
    job = private_job(make_job, epsilon=1.0)
    cases = min(len(site.train) for site in sites)
    with pytest.raises(ConfigError, match=r"2 rounds with 'privacy\.noise' 2 cost") as refused:
        check_run(job, cases)
    noise = float(str(refused.value).partition("'privacy.noise' to ")[2].split()[0])
    check_run(private_job(make_job, epsilon=1.0, noise=noise), cases)
    with pytest.raises(ConfigError, match="cost an epsilon"):
        run_in_process(sites, job, tmp_path)
