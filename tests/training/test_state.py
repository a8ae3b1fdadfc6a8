from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fedvox.training.state import (
    drop_personal,
    load_optimizer,
    load_personal,
    save_optimizer,
    save_personal,
    state_hash,
)


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.named_parameters(), lr=0.1, weight_decay=0.01)


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


def test_a_part_that_a_site_has_gained_begins_anew_and_the_others_go_on_bit_for_bit(tmp_path):
    """Whatever its place among the parameters; a part that the site lost is forgotten."""

    def parts(*names: str) -> nn.ModuleDict:
        return nn.ModuleDict({name: small_model() for name in names})

    def train_all(model: nn.ModuleDict, optimizer: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            sum(part(x).square().sum() for part in model.values()).backward()
            optimizer.step()

    whole, new = parts("t1"), parts("t2")
    train_all(whole, adamw(whole), range(6))
    train_all(new, adamw(new), range(3, 6))

    before = parts("lost", "t1")
    optimizer = adamw(before)
    train_all(before, optimizer, range(3))
    save_optimizer(optimizer, tmp_path, 0)
    after = parts("t2", "t1")
    after["t1"].load_state_dict(before["t1"].state_dict())
    optimizer = adamw(after)
    assert load_optimizer(optimizer, tmp_path, 1)
    train_all(after, optimizer, range(3, 6))
    assert bits(after["t1"]) == bits(whole) and bits(after["t2"]) == bits(new)


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
    other = torch.optim.AdamW(model.named_parameters(), lr=0.5)
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


OWN = {"norm.weight": np.float32([1, 2])}


def own_after(index: int) -> dict[str, np.ndarray]:
    return {name: array + index for name, array in OWN.items()}


def finish(folder: Path, index: int) -> None:
    """What a site writes after a round."""
    save_personal(own_after(index), folder, index)
    save_optimizer(adamw(small_model()), folder, index)


@pytest.mark.parametrize(("before", "after"), [(None, 3), (4, 3), (3, 2), (1, 0), (0, None)])
def test_personal_tensors_are_those_that_belong_to_a_version_of_the_model(tmp_path, before, after):
    for index in range(4):
        finish(tmp_path, index)
    found = load_personal(tmp_path, before)
    assert {n: a.tolist() for n, a in found.items()} == (
        {} if after is None else {n: a.tolist() for n, a in own_after(after).items()}
    )


def test_site_that_never_trained_has_no_personal_tensors(tmp_path):
    assert load_personal(tmp_path / "nowhere") == {}


def test_personal_tensors_of_a_round_that_was_not_finished_do_not_count(tmp_path):
    finish(tmp_path, 0)
    save_personal(own_after(1), tmp_path, 1)  # killed before the optimiser's state is written
    assert load_personal(tmp_path)["norm.weight"].tolist() == [1, 2]
    finish(tmp_path, 1)
    assert load_personal(tmp_path)["norm.weight"].tolist() == [2, 3]


def test_round_that_is_trained_again_drops_the_personal_tensors_that_came_after_it(tmp_path):
    for index in (0, 1, 2, 1):
        finish(tmp_path, index)
    assert sorted(tmp_path.glob("personal_*"))[-1].name == "personal_00001.safetensors"


def test_personal_tensors_of_versions_that_may_still_win_are_kept(tmp_path):
    for index in range(9):
        finish(tmp_path, index)
    drop_personal(tmp_path, [2, 5, 9])
    names = [path.name for path in sorted(tmp_path.glob("personal_*"))]
    assert names == [f"personal_{i:05d}.safetensors" for i in (1, 4, 7, 8)]
    for version in (2, 5, 9):
        own = own_after(version - 1)["norm.weight"]
        assert load_personal(tmp_path, version)["norm.weight"].tolist() == own.tolist()


def test_state_hash_tells_personal_tensors_apart(tmp_path):
    finish(tmp_path, 0)
    first = state_hash(tmp_path)
    save_personal(own_after(7), tmp_path, 0)
    assert state_hash(tmp_path) != first


def test_nobody_else_reads_the_personal_tensors(tmp_path):
    finish(tmp_path / "site-1", 0)
    (path,) = (tmp_path / "site-1").glob("personal_*")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_site_that_came_after_a_version_is_scored_with_its_first_personal_tensors(tmp_path):
    for index in range(4, 9):
        finish(tmp_path, index)
    drop_personal(tmp_path, [2, 9])
    assert load_personal(tmp_path, 2) == {}
    found = load_personal(tmp_path, 2, or_later=True)
    assert found["norm.weight"].tolist() == own_after(4)["norm.weight"].tolist()
    assert load_personal(tmp_path / "nowhere", 2, or_later=True) == {}
