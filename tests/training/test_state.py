from pathlib import Path

import pytest
import torch
from torch import nn

from fedvox.training.state import load_optimizer, save_optimizer, state_hash


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.01)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()


def bits(model: nn.Module) -> list[bytes]:
    return [parameter.detach().numpy().tobytes() for parameter in model.parameters()]


def saved(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_trajectory_continues_bit_for_bit_after_save_and_load(tmp_path):
    whole = small_model()
    train(whole, adamw(whole), range(6))

    parted = small_model()
    first = adamw(parted)
    train(parted, first, range(3))
    save_optimizer(first, tmp_path, 0)
    second = adamw(parted)
    assert load_optimizer(second, tmp_path, 1)
    train(parted, second, range(3, 6))
    assert bits(parted) == bits(whole)


def test_trajectory_differs_without_the_state():
    whole, parted = small_model(), small_model()
    train(whole, adamw(whole), range(6))
    train(parted, adamw(parted), range(3))
    train(parted, adamw(parted), range(3, 6))
    assert bits(parted) != bits(whole)


def test_first_round_has_no_state(tmp_path):
    model = small_model()
    optimizer = adamw(model)
    assert not load_optimizer(optimizer, tmp_path / "nowhere", 0)
    assert optimizer.state_dict()["state"] == {}


def test_nobody_else_reads_the_state(tmp_path):
    model = small_model()
    optimizer = adamw(model)
    train(model, optimizer, range(2))
    save_optimizer(optimizer, tmp_path / "run/site-1", 0)
    (path,) = (tmp_path / "run/site-1").iterdir()
    modes = [entry.stat().st_mode & 0o777 for entry in (path, path.parent, path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


def test_round_is_never_started_from_its_own_or_a_later_state(tmp_path):
    model = small_model()
    optimizer = adamw(model)
    steps = []
    for index in range(2):
        train(model, optimizer, range(5))
        save_optimizer(optimizer, tmp_path, index)
    for index in range(3):
        fresh = adamw(small_model())
        load_optimizer(fresh, tmp_path, index)
        state = fresh.state_dict()["state"]
        steps.append(int(state[0]["step"]) if state else 0)
    assert steps == [0, 5, 10]


def test_state_and_the_one_before_are_kept_and_older_ones_dropped(tmp_path):
    model = small_model()
    optimizer = adamw(model)
    train(model, optimizer, range(1))
    for index in (0, 3, 4, 7):
        save_optimizer(optimizer, tmp_path, index)
    assert saved(tmp_path) == ["optimizer_00004.safetensors", "optimizer_00007.safetensors"]


def test_round_that_is_trained_again_drops_the_states_that_came_after_it(tmp_path):
    model = small_model()
    optimizer = adamw(model)
    train(model, optimizer, range(1))
    for index in (4, 5, 3):
        save_optimizer(optimizer, tmp_path, index)
    assert saved(tmp_path) == ["optimizer_00003.safetensors"]
    assert load_optimizer(adamw(small_model()), tmp_path, 4)


def test_learning_rate_is_the_job_s_and_not_the_state_s(tmp_path):
    model = small_model()
    optimizer = adamw(model)
    train(model, optimizer, range(1))
    save_optimizer(optimizer, tmp_path, 0)
    other = torch.optim.AdamW(model.parameters(), lr=0.5)
    load_optimizer(other, tmp_path, 1)
    assert other.param_groups[0]["lr"] == 0.5


def test_state_hash_tells_states_apart_and_is_empty_without_one(tmp_path):
    assert state_hash(tmp_path) == ""
    model = small_model()
    optimizer = adamw(model)
    hashes = []
    for index in range(2):
        train(model, optimizer, range(1))
        save_optimizer(optimizer, tmp_path, index)
        hashes.append(state_hash(tmp_path))
    assert len({"", *hashes}) == 3


@pytest.mark.parametrize("name", ["optimizer_1.safetensors.tmp", ".writing-optimizer.safetensors"])
def test_files_of_other_names_are_not_states(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    assert state_hash(tmp_path) == ""
