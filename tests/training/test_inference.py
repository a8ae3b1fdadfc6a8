import pytest
import torch
from torch import nn

from fedvox.training.evaluate import predict_labels
from fedvox.training.inference import predict_scores
from fedvox.training.reference import initial_model


@pytest.fixture
def image(sites) -> torch.Tensor:
    return sites[0].test[0].tensor("image")


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


def test_prediction_keeps_no_gradient(job, image, cpu):
    assert not predict_scores(initial_model(job), image, job, cpu).requires_grad
