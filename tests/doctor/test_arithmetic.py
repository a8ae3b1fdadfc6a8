"""The doctor's look at 3D convolutions: right ones pass, wrong ones and known releases are told."""

import pytest
import torch
import torch.nn.functional as F

from fedvox.doctor import arithmetic
from fedvox.doctor.arithmetic import (
    ERRORS,
    check_arithmetic,
    convolution_error,
    cudnn_version,
    known_faults,
    precisions,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_this_machine_convolves_right():
    finding = check_arithmetic("auto")
    assert (finding.check, finding.status) == ("arithmetic", "PASS"), finding.message
    assert "float32" in finding.message


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_rounding_alone_stays_below_the_limit_of_each_precision(precision):
    error = convolution_error(precision, CPU)
    assert 0 < error < ERRORS[precision]


@pytest.mark.parametrize("fault", ["one voxel", "nan", "gradient"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_wrong_kernel_fails_and_is_named(monkeypatch, fault, precision):
    right = F.conv3d

    def wrong(image, weight, padding):
        result = right(image, weight, padding=padding)
        if image.dtype == torch.float64:
            return result
        if fault == "gradient":
            return result.detach() + 1.1 * (result - result.detach())
        spoilt = torch.zeros_like(result)
        spoilt[0, 3, 1, 2, 3] = float("nan") if fault == "nan" else 0.2 * result.detach().max()
        return result + spoilt

    monkeypatch.setattr(F, "conv3d", wrong)
    monkeypatch.setattr(arithmetic, "precisions", lambda device: (precision,))
    finding = check_arithmetic("cpu")
    assert finding.status == "FAIL" and precision in finding.message
    assert "requirements" in finding.remedy


@pytest.mark.parametrize(
    ("pytorch", "cudnn", "told"),
    [
        ((2, 13, 0), (9, 20, 0), []),
        ((2, 8, 0), (9, 8, 0), ["bfloat16"]),
        ((2, 9, 1), (9, 10, 2), ["bfloat16", "TF32", "4 times"]),
        ((2, 10, 0), (9, 15, 1), ["TF32"]),
        ((2, 7, 1), None, []),
    ],
)
def test_releases_with_known_faults_are_named(pytorch, cudnn, told):
    faults = known_faults(pytorch, cudnn, GPU)
    assert len(faults) == len(told)
    assert all(word in fault for word, fault in zip(told, faults))
    assert known_faults(pytorch, cudnn, CPU) == ()


def test_a_known_release_is_a_warning_with_a_remedy(monkeypatch):
    told = ("cuDNN 9.10.2: wrong",)
    monkeypatch.setattr(arithmetic, "known_faults", lambda *given: told)
    finding = check_arithmetic("cpu")
    assert (finding.status, finding.message) == ("WARN", told[0])
    assert "requirements-gpu.lock" in finding.remedy


@pytest.mark.parametrize(
    ("number", "version"), [(91002, (9, 10, 2)), (8907, (8, 9, 7)), (None, None)]
)
def test_cudnn_tells_its_version_in_one_number(monkeypatch, number, version):
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: number)
    assert cudnn_version() == version


def test_a_gpu_is_tried_in_all_that_training_uses_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert precisions(GPU) == ("float32", "TF32", "float16")
    assert precisions(CPU) == ("float32",)
