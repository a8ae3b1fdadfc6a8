"""Memory, disk and GPU against what a job takes here, with stand-ins for the machine."""

import shutil
from collections import namedtuple
from pathlib import Path

import psutil
import pytest
import torch

from fedvox.doctor import host
from fedvox.doctor.host import (
    GIB,
    Requirements,
    check_disk,
    check_gpu,
    check_python,
    check_ram,
    size,
)
from fedvox.doctor.run_check import run_check
from fedvox.job.device import choose_device

CARD = "NVIDIA H100"


@pytest.fixture
def card(monkeypatch):
    """A function that makes torch see GPUs; tells on which devices it was asked for memory."""
    asked = []

    def make(free: float, total: float = 80.0, count: int = 1, reserved: float = 0.0) -> list:
        def mem_get_info(device):
            asked.append(device)
            return int(free * GIB), int(total * GIB)

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: int(reserved * GIB))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: CARD)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(host, "use_gpu", asked.append)
        return asked

    return make


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_enough_gpu_memory_passes_with_figures(card, wanted):
    card(free=70.0)
    finding = check_gpu(wanted, Requirements())
    assert (finding.check, finding.status, finding.remedy) == ("gpu", "PASS", "")
    assert finding.message == (
        "NVIDIA H100: 70.0 of 80.0 GiB free, 8 GiB asked for, as no round was measured"
    )


def test_a_gpu_in_use_by_others_is_a_warning_with_a_remedy(card):
    card(free=7.9)
    finding = check_gpu("auto", Requirements())
    assert finding.status == "WARN"
    assert "7.9 of 80.0 GiB free" in finding.message
    assert finding.remedy.startswith("end the other programs on it or ask for a job")


@pytest.mark.parametrize(("free", "status"), [(2.4, "WARN"), (2.6, "PASS")])
def test_a_measured_round_decides_about_gpu_memory(card, free, status):
    card(free=free)
    finding = check_gpu("cuda", Requirements(gpu=2 * GIB))
    assert finding.status == status
    assert "training needs about 2.5 GiB" in finding.message


def test_memory_that_the_doctor_itself_holds_counts_as_free(card):
    card(free=1.0, reserved=2.0)
    assert check_gpu("cuda", Requirements(gpu=2 * GIB)).status == "PASS"


def test_of_several_gpus_the_one_that_training_takes_is_looked_at(card):
    asked = card(free=3.0, count=4)
    finding = check_gpu("auto", Requirements())
    assert asked == [choose_device("auto")] * 2 == [torch.device("cuda")] * 2
    assert "GPU 0, the only one of 4 that training uses" in finding.message
    assert "CUDA_VISIBLE_DEVICES" in finding.remedy


def test_a_driver_that_fails_at_first_use_is_one_line_of_failure(card, monkeypatch):
    card(free=70.0)

    def broken(device):
        raise RuntimeError("CUDA driver version is insufficient\nfor /data/MUELLER")

    monkeypatch.setattr(host, "use_gpu", broken)
    finding = run_check("gpu", lambda: check_gpu("auto", Requirements()))
    assert finding.status == "FAIL"
    assert "RuntimeError" in finding.message and finding.remedy
    assert "\n" not in finding.message and "MUELLER" not in finding.message


def test_the_first_use_computes_on_the_device():
    host.use_gpu(torch.device("cpu"))
    with pytest.raises(RuntimeError, match="meta"):
        host.use_gpu(torch.device("meta"))


def test_a_job_for_a_gpu_where_none_is_usable_fails(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    finding = check_gpu("cuda", Requirements())
    assert (finding.status, finding.message) == (
        "FAIL",
        "the job asks for a GPU and none is usable",
    )
    assert "driver" in finding.remedy
    assert check_gpu("auto", Requirements()).status == "PASS"


def test_a_job_for_the_cpu_leaves_the_gpu_alone(card):
    asked = card(free=0.0)
    finding = check_gpu("cpu", Requirements())
    assert finding.status == "PASS" and "not used" in finding.message
    assert asked == []


@pytest.mark.parametrize(("free", "status"), [(3.9, "FAIL"), (4.1, "PASS")])
def test_memory_is_compared_with_the_measured_peak_and_a_margin(free, status):
    finding = check_ram(free * GIB, Requirements(ram=2 * GIB))
    assert finding.status == status
    assert finding.message == f"{free} GiB available, training needs about 4.0 GiB"


@pytest.mark.parametrize(("free", "status"), [(5.9, "FAIL"), (6.1, "PASS")])
def test_without_a_round_a_usual_amount_of_memory_is_asked_for(free, status):
    finding = check_ram(free * GIB, Requirements())
    assert finding.status == status
    assert "6 GiB asked for, as no round was measured" in finding.message


@pytest.fixture
def disk(monkeypatch):
    """A function that sets the free space of every disk, or of one folder's."""
    usage = namedtuple("usage", "total used free")

    def make(free: float, **folders: float) -> None:
        def disk_usage(path):
            return usage(0, 0, int(folders.get(Path(path).name, free) * GIB))

        monkeypatch.setattr(shutil, "disk_usage", disk_usage)

    return make


@pytest.mark.parametrize(("free", "status"), [(9.1, "PASS"), (1.8, "FAIL")])
def test_disk_is_compared_with_what_the_cases_need(disk, tmp_path, free, status):
    disk(free)
    finding = check_disk([tmp_path], tmp_path, Requirements(cases=0.4 * GIB, state=0.2 * GIB))
    assert finding.status == status
    assert finding.message == (
        f"{free} GiB free, prepared cases need about 0.4 GiB, with models, logs and results 1.8 GiB"
    )


def test_cases_that_lie_prepared_are_told(disk, tmp_path):
    disk(1.5)
    finding = check_disk([tmp_path], tmp_path, Requirements(cases=0.0))
    assert (finding.status, finding.message) == (
        "PASS",
        "1.5 GiB free, all cases lie prepared, with models, logs and results 1.0 GiB",
    )


def test_the_folder_that_is_short_is_the_one_that_is_named(disk, tmp_path):
    (tmp_path / "kit").mkdir()
    (tmp_path / "cache").mkdir()
    folders = [tmp_path / "kit", tmp_path / "cache"]
    disk(0, kit=0.9, cache=500)
    finding = check_disk(folders, folders[1], Requirements(cases=30 * GIB))
    assert (finding.status, finding.message) == (
        "FAIL",
        "0.9 GiB free, logs and results need 1.0 GiB",
    )
    disk(0, kit=1.1, cache=30)
    finding = check_disk(folders, folders[1], Requirements(cases=30 * GIB))
    assert finding.status == "FAIL" and "prepared cases need about 33 GiB" in finding.message


@pytest.mark.parametrize(("free", "status"), [(9.9, "FAIL"), (10.1, "PASS")])
def test_without_a_job_a_usual_amount_of_disk_is_asked_for(disk, tmp_path, free, status):
    disk(free)
    finding = check_disk([tmp_path], tmp_path, Requirements())
    assert finding.status == status
    assert "10 GiB asked for, as no job was measured" in finding.message


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 MiB"),
        (1, "1 MiB"),
        (90 * 2**20, "90 MiB"),
        (GIB / 2, "0.5 GiB"),
        (40 * GIB, "40 GiB"),
    ],
)
def test_sizes_are_for_people(count, text):
    assert size(count) == text


def test_needs_are_measured_with_the_site_s_own_cases(doctor, place, disk):
    disk(50)
    _, findings = doctor()
    assert "prepared cases need about" in findings["disk"]["message"]
    assert "training needs about" in findings["ram"]["message"]
    assert "as no" not in findings["ram"]["message"] + findings["disk"]["message"]


def test_with_too_little_memory_no_round_is_tried(doctor, monkeypatch):
    memory = psutil.virtual_memory()._replace(available=GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    _, findings = doctor()
    assert findings["waiting"]["status"] == "WARN"
    assert "6 GiB asked for" in findings["ram"]["message"]


def test_a_python_that_the_tests_do_not_use_is_a_warning_and_no_refusal():
    assert check_python((3, 11, 9)).status == "PASS"
    newer = check_python((3, 13, 1))
    assert newer.status == "WARN" and newer.message == "3.13.1; fedvox is tested with 3.11"
    assert "take Python 3.11, or run one round" in newer.remedy
