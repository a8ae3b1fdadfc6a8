from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fedvox.data.grid.to_grid import geometry_of, prepare_image, restore_labels
from fedvox.data.images.nifti import load_image
from fedvox.errors import ConfigError, DataError, ModelError
from fedvox.inference.model_files.model_file import TrainedModel
from fedvox.inference.predict import Options, Predictor, thinning
from fedvox.inference.sliding import predict_scores
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of


@pytest.fixture
def trained(job) -> TrainedModel:
    return TrainedModel(job, weights_of(initial_model(job)), {})


@pytest.fixture
def scan(phantom_site: Callable[[str], Path]) -> Path:
    return sorted((phantom_site("ct") / "images").iterdir())[0]


def test_labels_are_those_of_the_whole_score_volume(trained, scan, job, cpu):
    volume = load_image(scan)
    geometry = geometry_of(volume, job.data.spacing)
    image = prepare_image(volume, "ct", geometry, job.data)
    scores = predict_scores(initial_model(job), image[None], job, cpu)
    found = Predictor(trained).predict({"ct": scan})
    assert np.array_equal(found.labels.data, restore_labels(scores, geometry))
    assert found.labels.data.any()


def test_voxels_are_counted_per_organ(trained, scan):
    found = Predictor(trained).predict({"ct": scan})
    assert found.voxels == {
        "liver": int((found.labels.data == 1).sum()),
        "spleen": int((found.labels.data == 2).sum()),
    }
    assert found.voxel_ml == pytest.approx(np.prod(load_image(scan).spacing) / 1000)


def test_a_predictor_segments_one_scan_after_the_other(trained, scan):
    predictor = Predictor(trained)
    first, second = (predictor.predict({"auto": scan}).labels.data for _ in range(2))
    assert np.array_equal(first, second)


def test_picture_is_kept_only_when_it_is_wanted(trained, scan):
    predictor = Predictor(trained)
    assert predictor.predict({"ct": scan}).picture is None
    picture = predictor.predict({"ct": scan}, Options(picture=True)).picture
    assert np.array_equal(picture, load_image(scan).data)


def test_large_scans_are_thinned_for_pictures():
    every = [step.step for step in thinning((512, 300, 40))]
    assert every == [2, 1, 1]
    assert len(np.zeros(700)[thinning((700,))]) < 400


def test_progress_counts_to_the_end(trained, scan):
    told: list[str] = []
    Predictor(trained).predict({"ct": scan}, progress=told.append)
    assert told[0] == "reading the scan"
    assert told[1] == "segmenting on the CPU"
    assert told[-1] == "segmenting on the CPU: 100%"


def test_unknown_modality_is_refused_before_the_scan_is_read(trained, tmp_path):
    with pytest.raises(ConfigError, match="--modality pet: the model was trained for ct, mr"):
        Predictor(trained).predict({"pet": tmp_path / "none.nii"})


def test_contradicting_modality_is_refused(trained, scan):
    with pytest.raises(DataError, match="its modality is ct"):
        Predictor(trained).predict({"mr": scan})


def test_full_gpu_memory_is_named(trained, scan):
    class Full(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    predictor = Predictor(trained)
    predictor._model = Full()
    with pytest.raises(ConfigError, match="the GPU has too little free memory for windows of 16x1"):
        predictor.predict({"ct": scan})


def test_scores_that_are_no_numbers_are_refused_and_not_called_background(job, scan):
    weights = {
        name: array * np.float32(1e30) for name, array in weights_of(initial_model(job)).items()
    }
    with pytest.raises(ModelError, match="scores are NaN or infinite"):
        Predictor(TrainedModel(job, weights, {})).predict({"ct": scan})
