"""Several cases at a time: the order of the list, the same files, each error its own."""

import os

import pytest
import torch

from fedvox.data.cases import prepare_all
from fedvox.data.cases.prepare import prepare_case
from fedvox.data.cases.prepare_all import MEMORY_PER_CASE, count_workers, prepare_cases
from fedvox.data.readers import READERS
from fedvox.data.settings import DataSettings
from fedvox.errors import DataError

SETTINGS = DataSettings(organs=("liver", "spleen"), spacing=(6.0, 6.0, 6.0), patch=(8, 8, 8))
NAMES = [f"case_{number}" for number in range(6)]


@pytest.fixture
def cases(tmp_path, make_plain_site):
    return READERS["plain"](make_plain_site(tmp_path / "scans", NAMES), ("ct",))


def prepared(cases, cache, workers):
    return list(prepare_cases(cases, SETTINGS, cache, b"key", workers))


def test_four_at_a_time_write_what_one_writes(cases, tmp_path):
    results = {
        count: [f.result() for f in prepared(cases, tmp_path / str(count), count)]
        for count in (1, 4)
    }
    assert [case.code for case in results[1]] == [case.code for case in results[4]]
    for one, four in zip(results[1], results[4]):
        assert one.path.read_bytes() == four.path.read_bytes()


def test_a_damaged_case_fails_alone(cases, tmp_path):
    os.truncate(cases[2].images["ct"], 100)
    futures = prepared(cases, tmp_path, 3)
    assert [future.exception() is None for future in futures] == [True] * 2 + [False] + [True] * 3
    with pytest.raises(DataError, match="damaged or truncated"):
        futures[2].result()


def test_what_is_prepared_is_found_without_preparing(cases, tmp_path, monkeypatch):
    first = [f.result() for f in prepared(cases[:3], tmp_path, 2)]
    made = []

    def record(case, *rest):
        made.append(case.id)
        return prepare_case(case, *rest)

    monkeypatch.setattr(prepare_all, "prepare_case", record)
    cases[1].images["ct"].unlink()
    futures = prepared(cases, tmp_path, 2)
    assert sorted(made) == NAMES[3:]
    assert [futures[0].result(), futures[2].result()] == [first[0], first[2]]
    with pytest.raises(DataError, match="missing"):
        futures[1].result()


def test_the_number_of_threads_of_this_process_stays(cases, tmp_path):
    before = torch.get_num_threads()
    prepared(cases, tmp_path, 2)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("wanted", "free", "workers"),
    [
        (0, 0.0, 1),
        (0, 1.5 * MEMORY_PER_CASE, 1),
        (0, 1e6 * MEMORY_PER_CASE, len(os.sched_getaffinity(0))),
        (7, 0.0, 7),
    ],
)
def test_cores_and_memory_decide_unless_the_site_does(monkeypatch, wanted, free, workers):
    monkeypatch.setattr(prepare_all, "free_memory", lambda: free)
    assert count_workers(wanted) == workers
