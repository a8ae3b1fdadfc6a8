"""Cases of several images: from two site files in different order to the same numbers."""

from fedvox.inference.evaluate import score_cases
from fedvox.job.model import initial_model
from fedvox.job.weights import load_weights
from fedvox.tensors import weights_hash
from fedvox.training.in_process import run_in_process

SITE_KEY = bytes(range(32))


def trained(open_brats, channel_job, tmp_path, cpu, modalities):
    """Hash of the last model, and its scores on the test case."""
    folder = tmp_path / "-".join(modalities)
    folder.mkdir()
    (folder / "site_key").write_bytes(SITE_KEY)
    site = open_brats(modalities)
    result = run_in_process([site], channel_job, folder)
    model = initial_model(channel_job)
    load_weights(model, result.last)
    rows = score_cases(model, "global_last", site.test, channel_job, site.name, "test", cpu)
    return weights_hash(result.last), rows, result.rounds


def test_the_order_in_the_site_file_changes_no_number(open_brats, channel_job, tmp_path, cpu):
    first, rows, rounds = trained(open_brats, channel_job, tmp_path, cpu, ("t1", "t2", "flair"))
    other, again, _ = trained(open_brats, channel_job, tmp_path, cpu, ("flair", "t1", "t2"))
    assert first == other and rows == again
    assert {row.modality for row in rows} == {"t1+t2+flair"}
    assert {row.organ for row in rows} >= {"tumour_whole", "tumour_core", "tumour_enhancing"}
    assert rounds[0]["contributors"][0]["modality"] == "t1+t2+flair"
    assert set(rounds[0]["validation"]) == {"t1+t2+flair"}
