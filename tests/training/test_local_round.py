import dataclasses
import itertools
import math

import pytest
import torch
from safetensors.numpy import load_file

from fedvox.data.cases.patches import Batch
from fedvox.job.model import initial_model
from fedvox.job.weights import load_weights, weights_of
from fedvox.tensors import weights_hash, write_arrays
from fedvox.training import local_round
from fedvox.training.local_round import Waits, train_round
from fedvox.training.schedule import learning_rate
from fedvox.training.step import build_step


def train(model, site, job, index, state, **options):
    return train_round(
        model, site.train, job, site.name, index, state, torch.device("cpu"), **options
    )


def test_restart_between_rounds_changes_no_bit(open_phantom, sites, job, state, tmp_path):
    model = initial_model(job)
    for index in range(2):
        train(model, sites[0], job, index, state)

    restarted = tmp_path / "restarted"
    first = initial_model(job)
    train(first, open_phantom("ct", "site-1"), job, 0, restarted)
    write_arrays(tmp_path / "between.safetensors", weights_of(first))
    del first
    torch.manual_seed(987)
    second = initial_model(job)
    load_weights(second, load_file(tmp_path / "between.safetensors"))
    train(second, open_phantom("ct", "site-1"), job, 1, restarted)

    assert weights_hash(weights_of(second)) == weights_hash(weights_of(model))


def test_round_trained_twice_gives_the_same_weights(sites, job, state):
    model = initial_model(job)
    train(model, sites[0], job, 0, state)
    received = weights_of(model)
    hashes = []
    for _ in range(2):
        load_weights(model, received)
        train(model, sites[0], job, 1, state)
        hashes.append(weights_hash(weights_of(model)))
    assert hashes[0] == hashes[1] != weights_hash(received)


def test_rounds_draw_different_patches(sites, job, state):
    hashes = []
    for index in (0, 1):
        model = initial_model(job)
        train(model, sites[0], job, index, state / str(index))
        hashes.append(weights_hash(weights_of(model)))
    assert hashes[0] != hashes[1]


def test_result_tells_loss_steps_and_time(sites, job, state):
    result = train(initial_model(job), sites[0], job, 0, state)
    assert result.steps == job.training.steps
    assert result.seconds > 0
    # Dice loss is at most 1, cross-entropy of an untrained network about log(3)
    assert 0 < result.loss < 3


@pytest.mark.parametrize("steps_before_stop", [0, 1])
def test_stopped_round_has_no_result_and_writes_no_state(sites, job, state, steps_before_stop):
    answers = iter([False] * steps_before_stop + [True])
    stopped = train(initial_model(job), sites[0], job, 0, state, stop=lambda: next(answers))
    assert stopped is None
    assert not state.exists()


def test_stop_is_asked_before_every_step(sites, job, state):
    asked = []
    train(initial_model(job), sites[0], job, 0, state, stop=lambda: asked.append(1))
    assert len(asked) == job.training.steps


@pytest.mark.parametrize(("organs", "wanted"), [({"liver", "spleen"}, False), ({"liver"}, True)])
def test_only_where_an_organ_is_left_out_the_received_model_is_kept(
    sites, job, state, monkeypatch, organs, wanted
):
    kept = []

    def noting(*args):
        kept.append(args[3])
        return build_step(*args)

    monkeypatch.setattr(local_round, "build_step", noting)
    cases = [dataclasses.replace(case, annotated=frozenset(organs)) for case in sites[0].train]
    site = dataclasses.replace(sites[0], train=cases)
    train(initial_model(job), site, job, 0, state)
    assert kept == [wanted]


@pytest.fixture
def recorded(monkeypatch):
    """Notes what each step is given, instead of training."""
    steps = []

    class Recorder:
        def __init__(self, job, model, device, partly) -> None:
            self.optimizer = torch.optim.AdamW(model.named_parameters())

        def __call__(self, batch, address, rate) -> torch.Tensor:
            steps.append((batch.image, address, rate))
            return torch.tensor(0.5)

    monkeypatch.setattr(local_round, "build_step", Recorder)
    monkeypatch.setattr(local_round, "save_optimizer", lambda *args: None)
    return steps


def test_learning_rate_follows_the_schedule_over_all_rounds(sites, job, state, recorded):
    for index in range(job.training.rounds):
        train(initial_model(job), sites[0], job, index, state)
    expected = [learning_rate(job.training, step) for step in range(4)]
    assert [rate for _, _, rate in recorded] == expected
    assert len(set(expected)) == 4


def test_every_step_of_every_round_and_site_draws_its_own_patches(sites, job, state, recorded):
    for name in ("site-1", "site-2"):
        site = dataclasses.replace(sites[0], name=name)
        for index in range(2):
            train(initial_model(job), site, job, index, state / name)
    assert len({image.numpy().tobytes() for image, _, _ in recorded}) == 8
    assert [address for _, address, _ in recorded] == [
        (job.training.seed, name, index, step)
        for name in ("site-1", "site-2")
        for index in range(2)
        for step in range(2)
    ]


def test_loss_of_the_round_is_the_mean_over_its_steps(sites, job, state, recorded):
    assert train(initial_model(job), sites[0], job, 0, state).loss == 0.5


def test_waiting_is_what_passes_until_the_next_batch_is_there(monkeypatch):
    now = iter([0.0, 2.0, 10.0, 13.0, 20.0, 21.0])  # waits of 2, 3 and, to the end, 1 s
    monkeypatch.setattr(local_round.time, "monotonic", lambda: next(now))
    batch = Batch(torch.zeros(1), torch.ones(1), *[torch.ones(1, dtype=torch.bool)] * 2)
    waits = Waits()
    taken = list(waits.over(iter([batch, batch]), torch.device("cpu")))
    assert waits.seconds == 6.0
    assert [torch.equal(b.label, batch.label) for b in taken] == [True, True]


def test_result_tells_the_share_of_waiting(sites, job, state):
    assert 0 < train(initial_model(job), sites[0], job, 0, state).data_wait < 1


def test_batches_read_ahead_are_those_read_in_turn(sites, job):
    plan = (sites[0].train, job, "site-1", 0)
    in_turn = list(local_round._batches(*plan, torch.device("cpu")))
    ahead = list(local_round._batches(*plan, torch.device("meta")))
    assert len(in_turn) == len(ahead) == job.training.steps
    for one, other in zip(in_turn, ahead):
        assert torch.equal(one.image, other.image) and torch.equal(one.label, other.label)


def test_a_round_ends_when_its_minutes_are_over(make_job, sites, state, cpu, monkeypatch):
    job = make_job(training={"steps": 50, "minutes": 0.5})
    clock = itertools.count(0.0, 10.0)  # each look at the clock takes ten seconds
    monkeypatch.setattr("fedvox.training.local_round.time.monotonic", lambda: next(clock))
    result = train_round(initial_model(job), sites[0].train, job, "site-1", 0, state, cpu)
    assert result is not None and 1 <= result.steps <= 3
    assert math.isfinite(result.loss) and result.loss > 0.01


def test_a_round_has_a_step_at_least(make_job, sites, state, cpu):
    job = make_job(training={"steps": 50, "minutes": 1e-9})
    result = train_round(initial_model(job), sites[0].train, job, "site-1", 0, state, cpu)
    assert result is not None and result.steps == 1


def test_the_teacher_is_the_received_model_also_where_training_starts_elsewhere(
    sites, job, state, monkeypatch
):
    kept = []

    def keeping(job, model, device, partly):
        kept.append(build_step(job, model, device, partly=True))
        return kept[0]

    monkeypatch.setattr(local_round, "build_step", keeping)
    model = initial_model(job)
    received = weights_of(model)
    start = {name: array + 1 for name, array in received.items()}
    train(model, sites[0], job, 0, state, start=start)
    assert weights_hash(weights_of(kept[0].received)) == weights_hash(received)
    assert all((abs(weights_of(model)[n] - a) < 0.5).all() for n, a in start.items())
