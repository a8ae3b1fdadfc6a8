import contextlib

import numpy as np
import pytest
import torch

from fedvox.errors import ConfigError
from fedvox.job.device import (
    autocast,
    loss_scaler,
    memory_errors,
    prepare_device,
    to_device,
)
from fedvox.job.settings import TrainingSettings

ON_CPU = TrainingSettings(device="cpu", threads=1)


@pytest.fixture(autouse=True)
def process_settings():
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_cpu_computes_with_deterministic_algorithms():
    torch.use_deterministic_algorithms(False)
    assert prepare_device(ON_CPU) == torch.device("cpu")
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.mark.parametrize("threads", [1, 2])
def test_number_of_threads_is_the_job_s(threads):
    prepare_device(TrainingSettings(device="cpu", threads=threads))
    assert torch.get_num_threads() == threads


def test_auto_takes_the_cpu_where_there_is_no_gpu(without_gpu):
    assert prepare_device(TrainingSettings(device="auto")) == torch.device("cpu")


def test_cuda_without_a_gpu_is_an_error_with_a_remedy(without_gpu):
    with pytest.raises(ConfigError, match="no GPU is usable; set it to auto or cpu"):
        prepare_device(TrainingSettings(device="cuda"))


def test_cpu_keeps_full_precision(cpu):
    assert isinstance(autocast(ON_CPU, cpu), contextlib.nullcontext)
    assert not loss_scaler(ON_CPU, cpu).is_enabled()


def test_model_on_the_cpu_is_moved_without_change(cpu):
    model = torch.nn.Conv3d(1, 2, 3)
    assert to_device(model, cpu) is model
    assert model.weight.is_contiguous()


@pytest.mark.parametrize("make", [np.empty, torch.empty])
def test_full_memory_of_the_machine_is_named(make):
    with (
        pytest.raises(ConfigError, match="this machine has too little free memory for the scan"),
        memory_errors((8, 8, 8)),
    ):
        make((2**20, 2**20, 2**10))


def test_full_memory_of_the_gpu_is_named_with_the_window():
    with (
        pytest.raises(ConfigError, match="the GPU has too little free memory for windows of 8x9x7"),
        memory_errors((8, 9, 7)),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_other_errors_pass_as_they_are():
    with pytest.raises(RuntimeError, match="sizes of tensors"), memory_errors((8, 8, 8)):
        raise RuntimeError("sizes of tensors must match")
