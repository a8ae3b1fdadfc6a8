import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import nn

from fedvox.data.grid.to_grid import restore_labels
from fedvox.inference.evaluate import predict_labels
from fedvox.inference.normalise import normalise
from fedvox.inference.sliding import predict_scores
from fedvox.job.model import initial_model


@pytest.fixture
def image(sites) -> torch.Tensor:
    return sites[0].test[0].tensor("image")


def monai_scores(model: nn.Module, image: torch.Tensor, job) -> torch.Tensor:
    """The whole score volume as plain MONAI makes it."""
    with torch.inference_mode():
        scores = sliding_window_inference(
            image[None],
            roi_size=job.data.patch,
            sw_batch_size=1,
            predictor=lambda window: torch.softmax(model(normalise(window)), dim=1),
            overlap=job.evaluation.overlap,
            mode="gaussian",
        )
    return torch.as_tensor(scores)[0]


def test_scores_and_labels_are_those_of_plain_monai_to_the_last_bit(job, sites, cpu):
    model = initial_model(job).eval()
    for case in (sites[0].test[0], sites[1].test[0]):
        expected = monai_scores(model, case.tensor("image"), job)
        assert torch.equal(predict_scores(model, case.tensor("image"), job, cpu), expected)
        labels = predict_labels(model, case, job, cpu)
        assert (labels == restore_labels(expected, case.geometry)).all()
        assert labels.any()


def test_probabilities_sum_to_one(job, image, cpu):
    scores = predict_scores(initial_model(job), image, job, cpu)
    assert scores.shape == (3, *image.shape[1:])
    assert scores.dtype == torch.float32
    assert (scores >= 0).all()
    # weighted means of float32 softmax values
    total = scores.sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)


def test_constant_network_gives_its_probabilities_everywhere(job, image, cpu):
    class Constant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = torch.tensor([0.5, 0.25, 0.25]).log()[None, :, None, None, None]
            return logits.expand(len(x), 3, *x.shape[2:])

    scores = predict_scores(Constant(), image, job, cpu)
    expected = torch.tensor([0.5, 0.25, 0.25])[:, None, None, None].expand_as(scores)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-5)


def test_prediction_draws_nothing(job, image, cpu):
    model = initial_model(job)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = predict_scores(model, image, job, cpu)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(predict_scores(model, image, job, cpu), first)


def test_augmentation_is_off_in_prediction(job, sites, cpu, monkeypatch):
    def forbidden(*args):
        raise AssertionError("an augmentation ran in prediction")

    assert job.augmentation.name == "gin"
    monkeypatch.setattr("fedvox.augment.gin.apply_gin", forbidden)
    monkeypatch.setattr("fedvox.augment.gin.draw_gin", forbidden)
    monkeypatch.setattr("fedvox.augment.geometric.apply_geometric", forbidden)
    monkeypatch.setattr("fedvox.training.step.apply_geometric", forbidden)
    case = sites[0].test[0]
    labels = predict_labels(initial_model(job), case, job, cpu)
    assert labels.shape == case.geometry.stored_shape


def test_prediction_does_not_depend_on_the_augmentation_of_the_job(make_job, image, cpu):
    plain, gin = make_job(augmentation={"name": "none"}), make_job(augmentation={"name": "gin"})
    first = predict_scores(initial_model(plain), image, plain, cpu)
    assert torch.equal(predict_scores(initial_model(gin), image, gin, cpu), first)


def test_network_is_in_evaluation_mode(job, image, cpu):
    model = initial_model(job).train()
    predict_scores(model, image, job, cpu)
    assert not model.training


def test_image_smaller_than_the_window_keeps_its_shape(job, cpu):
    scores = predict_scores(initial_model(job), torch.rand(1, 9, 16, 12), job, cpu)
    assert scores.shape == (3, 9, 16, 12)


class Windows(nn.Module):
    """Keeps the windows that it gets and finds background everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.clone())
        return torch.zeros(len(x), 3, *x.shape[2:])


def test_a_small_image_lies_in_air(job, cpu):
    network = Windows()
    predict_scores(network, torch.full((1, 16, 16, 10), 0.75), job, cpu)
    (window,) = network.seen
    assert window[..., 3:13].unique().tolist() == [2.0]  # (0.75 - 0.25) / 0.25
    assert torch.cat([window[..., :3], window[..., 13:]]).unique().tolist() == [-1.0]


def test_an_organ_has_one_value_in_every_window_whatever_else_they_hold(job, cpu):
    image = torch.zeros(1, 40, 16, 16)
    image[:, 10:30, 4:12, 4:12] = 0.6
    network = Windows()
    predict_scores(network, image, job, cpu)
    assert len(network.seen) > 2
    values = {value for window in network.seen for value in window.unique().tolist()}
    assert sorted(values) == pytest.approx([-1.0, 1.4])


def test_prediction_keeps_no_gradient(job, image, cpu):
    assert not predict_scores(initial_model(job), image, job, cpu).requires_grad
