"""What a job takes of the machine is measured with the site's own cases."""

import json
import time
from pathlib import Path

import psutil
import pytest
import torch

from fedvox.data.site.quarantine import write_quarantine
from fedvox.data.site.site_data import count_prepared, open_site
from fedvox.data.site.site_file import read_site_file
from fedvox.doctor.data import list_cases, take_sample
from fedvox.doctor.measure import PeakMemory, measure_round
from fedvox.doctor.run_check import run_check
from fedvox.errors import MemoryFull
from fedvox.flare.jobs.folder import job_settings
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of


@pytest.fixture
def job(place):
    return job_settings(place.job)


@pytest.fixture
def site(place):
    return read_site_file(place.local / "fedvox_site.json")


def test_a_round_tells_time_and_state(site, job, tmp_path):
    measured = measure_round(take_sample(site, job, tmp_path), job)
    weights = sum(array.nbytes for array in weights_of(initial_model(job)).values())
    assert measured.seconds > 0
    assert measured.gpu == 0
    assert 2 * weights <= measured.state < 4 * weights + 2**16  # weights and momentum, headers


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "the GPU's memory"),
        (MemoryFull("doctor: this machine's memory is too small"), "this machine's memory"),
    ],
)
def test_a_round_without_room_is_a_failure_with_a_remedy(
    site, job, tmp_path, monkeypatch, error, memory
):
    def full(*args):
        raise error

    monkeypatch.setattr("fedvox.doctor.measure.train_round", full)
    sample = take_sample(site, job, tmp_path)
    finding = run_check("waiting", lambda: measure_round(sample, job))
    assert finding.status == "FAIL"
    assert finding.message == f"a local round does not fit into {memory}"
    assert "training.batch" in finding.remedy


def test_cases_to_write_are_as_large_as_those_of_the_sample(site, job, tmp_path):
    sample = take_sample(site, job, tmp_path)
    written = [path.stat().st_size for path in tmp_path.glob("*.safetensors")]
    assert len(written) == len(sample.ready) > 0
    assert sample.to_prepare == sample.listed
    assert sample.bytes_to_write == pytest.approx(sum(written) / len(written) * sample.listed)


def test_cases_to_prepare_take_as_long_as_those_of_the_sample(site, job, tmp_path):
    sample = take_sample(site, job, tmp_path)
    assert sample.seconds > 0
    looked = len(sample.ready) + len(sample.problems)
    expected = sample.seconds / looked * sample.listed
    assert sample.seconds_to_prepare == pytest.approx(expected)


def test_what_is_in_quarantine_is_not_sampled(site, job, tmp_path):
    cases = list_cases(site)
    next(iter(cases[0].images.values())).write_bytes(b"")
    assert len(take_sample(site, job, tmp_path / "first").problems) == 1
    write_quarantine(site, [(cases[0], "it is empty")])
    sample = take_sample(site, job, tmp_path / "again")
    assert sample.problems == [] and sample.listed == len(cases) - 1


def test_peak_memory_is_that_of_the_block():
    with PeakMemory() as idle:
        pass
    with PeakMemory() as busy:
        block = bytearray(200 * 2**20)
        block[::4096] = b"x" * len(block[::4096])
        at_least = psutil.Process().memory_info().rss
        deadline = time.monotonic() + 120
        while busy.bytes < at_least and time.monotonic() < deadline:
            time.sleep(0.02)  # until it has looked: the block may be filled between two looks
        del block
    assert idle.bytes > 10 * 2**20
    assert busy.bytes > idle.bytes + 100 * 2**20
    assert at_least > idle.bytes


def test_cases_that_lie_prepared_need_no_more_space(site, job, tmp_path):
    settings, cases = job.data, list_cases(site)
    assert count_prepared(site, settings, cases) == 0
    assert not Path(site.cache).exists()
    open_site("site-1", site, settings, tmp_path / "state")
    assert count_prepared(site, settings, cases) == len(cases)
    sample = take_sample(site, job, tmp_path / "sample")
    assert (sample.bytes_to_write, sample.seconds_to_prepare) == (0, 0)
    Path(next(iter(cases[0].images.values()))).unlink()
    assert count_prepared(site, settings, cases) == len(cases) - 1


def test_a_site_of_patients_counts_with_its_own_key(place, job, tmp_path):
    content = json.loads((place.local / "fedvox_site.json").read_text())
    site_file = place.local / "fedvox_site.json"
    site_file.write_text(json.dumps(content | {"dataset": "plain", "split": "hash"}))
    site = read_site_file(site_file)
    cases = list_cases(site)
    settings = job.data
    assert count_prepared(site, settings, cases) == 0
    open_site("site-1", site, settings, tmp_path / "state")
    assert count_prepared(site, settings, cases) == len(cases)
    (Path(site.cache) / "site_key").write_bytes(b"x" * 32)
    assert count_prepared(site, settings, cases) == 0
