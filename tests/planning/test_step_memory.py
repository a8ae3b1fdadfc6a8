"""The worked-out memory of a step against a step that is really taken."""

import dataclasses
import subprocess
import sys

import pytest

from fedvox.job.settings import job_from
from fedvox.planning.step_memory import BACKWARD, kept_bytes, measure_step, weight_bytes
from fedvox.training import terms
from fedvox.training.terms import LOGITS, Term

JOB = job_from(
    {
        "name": "job",
        "data": {"organs": ["liver", "spleen"], "patch": [64, 64, 64]},
        "network": {"channels": [8, 16, 32], "residual_units": 0},
        "training": {"device": "cpu", "threads": 1},
    }
)
EDGE = 80
REAL = f"""
import dataclasses, torch
from fedvox.doctor.measure import PeakMemory
from fedvox.job.model import initial_model
from fedvox.data.cases.patches import Batch
from fedvox.training.step import build_step
from tests.planning.test_step_memory import JOB
import psutil

torch.set_num_threads(1)
step = build_step(JOB, initial_model(JOB), torch.device("cpu"), partly=True)
assert step.received is not None

def take(edge):
    image = torch.rand(1, 1, edge, edge, edge)
    label = torch.randint(0, 2, (1, edge, edge, edge), dtype=torch.uint8)
    flags = torch.tensor([[True, False]]), torch.tensor([[True]])
    step(Batch(image, label, *flags), (0, "site-1", 0, 0), 0.01)

take(16)
before = psutil.Process().memory_info().rss
with PeakMemory() as peak:
    take({EDGE})
print(peak.bytes - before)
"""


def test_a_real_step_takes_no_more_than_worked_out_and_more_than_a_third_of_it():
    """In a process of its own: memory that earlier tests gave back would hide what it takes."""
    run = subprocess.run(
        [sys.executable, "-c", REAL], capture_output=True, text=True, timeout=1800, check=True
    )
    real = float(run.stdout)
    worked_out = measure_step(JOB).bytes(EDGE**3)
    assert worked_out / 3 < real < worked_out


def test_memory_is_a_straight_line_in_the_voxels():
    step = measure_step(JOB)
    for edge in (32, 64, 128):
        kept = BACKWARD * kept_bytes(JOB, (edge, edge, edge))
        assert step.bytes(edge**3) - step.fixed == pytest.approx(kept, rel=0.05)


TRANSFORMERS = {
    "swin_unetr": {"feature_size": 12, "window": 4, "depths": [2, 1, 1, 1]},
    "unetr": {"feature_size": 4, "hidden": 24, "mlp": 48, "heads": 2},
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_network_with_places_or_windows_is_measured_by_the_same_line(name):
    data = {"organs": ["liver", "spleen"], "patch": [64, 64, 64]}
    job = job_from({"name": "job", "data": data, "network": {"name": name, **TRANSFORMERS[name]}})
    step = measure_step(job)
    kept = BACKWARD * kept_bytes(job, (96, 96, 96))
    # Attention over all tokens grows faster than the voxels; padded windows fill up.
    assert step.bytes(96**3) - step.fixed == pytest.approx(kept, rel=0.1)


def test_wider_networks_need_more():
    network = dataclasses.replace(JOB.network, channels=(16, 32, 64))
    wide = dataclasses.replace(JOB, network=network)
    assert measure_step(wide).per_voxel > 1.2 * measure_step(JOB).per_voxel
    assert weight_bytes(wide) > 3 * weight_bytes(JOB)
    assert measure_step(JOB).fixed >= 4 * weight_bytes(JOB)


def test_the_received_model_of_the_distillation_counts_its_weights_and_its_scores():
    plain = dataclasses.replace(JOB, training=dataclasses.replace(JOB.training, distillation=0.0))
    assert measure_step(JOB).fixed - measure_step(plain).fixed >= weight_bytes(JOB)
    logits, edge = 4 * (1 + len(JOB.data.organs)), 32  # float32
    more = kept_bytes(JOB, (edge,) * 3) - kept_bytes(plain, (edge,) * 3)
    assert more >= 2 * logits * edge**3  # the received model's, and what the divergence keeps


def test_a_new_term_counts_without_a_change_here(monkeypatch):
    """As the list of terms is the one that training sums."""

    def squares(job, partly):
        return Term("squares", frozenset({LOGITS}), lambda out, _: out[LOGITS].exp().sum())

    before = kept_bytes(JOB, (32, 32, 32))
    monkeypatch.setattr(terms, "TERMS", (*terms.TERMS, squares))
    logits = 4 * (1 + len(JOB.data.organs)) * 32**3
    assert kept_bytes(JOB, (32, 32, 32)) == before + logits


def test_each_channel_is_kept_for_the_first_layer(make_job):
    names = ["t1", "t2", "flair"]
    data = {"organs": ["tumour_oedema"], "modalities": names, "spacing": [2.0] * 3}
    one, three = make_job(data=data), make_job(data={**data, "channels": names})
    patch = (16, 16, 16)
    # float32; the network's two first layers, one of them a shortcut, share the image.
    assert kept_bytes(three, patch) - kept_bytes(one, patch) == 2 * 16**3 * 4


def test_a_network_that_drops_modalities_itself_is_measured_with_both_answers():
    names = ["t1", "t2", "flair"]
    data = {"organs": ["tumour_oedema"], "modalities": names, "channels": names}
    base = {
        "name": "job",
        "data": data | {"missing_channels": True, "patch": [32, 32, 32]},
        "network": {"name": "mixmodal", "channels": [4, 8]},
    }
    plain, dropping = (job_from({**base, "training": {"modality_dropout": p}}) for p in (0.0, 0.5))
    step = measure_step(dropping)
    kept = BACKWARD * kept_bytes(dropping, (64, 64, 64))
    assert step.bytes(64**3) - step.fixed == pytest.approx(kept, rel=0.05)
    assert step.per_voxel > 1.2 * measure_step(plain).per_voxel
