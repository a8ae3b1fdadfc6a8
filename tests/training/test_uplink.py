"""A site's compressed update: what is left out stays on disk and comes with later rounds."""

import numpy as np
import pytest

from fedvox.aggregation.guard import GUARD
from fedvox.aggregation.run_state import RunState
from fedvox.compression.codec import decode
from fedvox.compression.replica import moved
from fedvox.compression.schema import Schema
from fedvox.errors import CodecError
from fedvox.tensors import weights_hash
from fedvox.training.in_process import run_in_process
from fedvox.training.replica import Replica, drop_replica, load_replica, save_replica
from fedvox.training.state import count_residual, load_residual
from fedvox.training.uplink import compress_update, starting_weights

COMPRESSION = {"up": {"keep": 0.1}, "down": {"keep": 0.1}, "small": 8}


@pytest.fixture(params=["received", "own"])
def compressed(make_job, request):
    return make_job(compression={**COMPRESSION, "start": request.param})


def weights(seed: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = {"w": rng.normal(size=(20, 10)), "b": rng.normal(size=5)}
    return {name: (scale * array).astype(np.float32) for name, array in arrays.items()}


def step(received, compressed, index, folder, seed=1):
    start = starting_weights(received, compressed, index, folder)
    trained = {n: a + weights(seed + index, 0.1)[n] for n, a in start.items()}
    return trained, compress_update(trained, received, compressed, index, folder)


def test_the_payload_holds_what_the_server_reads(compressed, tmp_path):
    received = weights(0)
    trained, sent = step(received, compressed, 0, tmp_path)
    read = moved(received, decode(sent.payload, Schema.of(received)))
    assert weights_hash(read) == weights_hash(sent.arrays)
    assert len(sent.payload) < 0.25 * sum(array.nbytes for array in received.values())
    assert np.array_equal(sent.arrays["b"], received["b"] + (trained["b"] - received["b"]))


def test_sent_and_kept_are_what_was_trained(compressed, tmp_path):
    received = weights(0)
    true = read = 0.0
    for index in range(4):
        start = starting_weights(received, compressed, index, tmp_path)
        trained, sent = step(received, compressed, index, tmp_path)
        true = true + trained["w"].astype(np.float64) - start["w"]
        read = read + sent.arrays["w"].astype(np.float64) - received["w"]
    np.testing.assert_allclose(read + load_residual(tmp_path, 4)["w"], true, atol=1e-5)


def test_a_site_trains_on_from_what_it_has_not_sent_yet_where_the_job_says_so(make_job, tmp_path):
    received, own = weights(0), make_job(compression={**COMPRESSION, "start": "own"})
    trained, sent = step(received, own, 0, tmp_path)
    start = starting_weights(sent.arrays, own, 1, tmp_path)  # as if it were alone
    for name, array in start.items():
        np.testing.assert_allclose(array, trained[name], atol=1e-6)
    for other in (make_job(), make_job(compression=COMPRESSION)):
        assert starting_weights(received, other, 1, tmp_path) is received


def test_a_residual_of_other_tensors_is_refused(compressed, tmp_path):
    step(weights(0), compressed, 0, tmp_path)
    other = {**weights(0), "w": np.zeros((3, 3), np.float32)}
    with pytest.raises(CodecError, match="left out of tensor 'w' is of shape"):
        compress_update(other, other, compressed, 1, tmp_path)


def test_a_round_that_is_trained_again_gives_the_same_bytes(compressed, tmp_path):
    received = weights(0)
    step(received, compressed, 0, tmp_path)
    first = step(received, compressed, 1, tmp_path)[1]
    second = step(received, compressed, 1, tmp_path)[1]
    assert first.payload == second.payload
    later = step(received, compressed, 2, tmp_path)[1]
    assert later.payload != first.payload
    assert step(received, compressed, 2, tmp_path)[1].payload == later.payload


def test_a_skipped_round_leaves_what_was_kept(compressed, tmp_path):
    received = weights(0)
    step(received, compressed, 0, tmp_path)
    kept = load_residual(tmp_path, 1)
    assert np.array_equal(load_residual(tmp_path, 5)["w"], kept["w"])


def test_a_replica_survives_on_disk_and_a_damaged_one_is_the_initial_model(compressed, tmp_path):
    initial = load_replica(compressed, ["model.0.conv.weight"], tmp_path)
    assert initial.version == 0 and set(initial.arrays) == {"model.0.conv.weight"}
    later = Replica(3, weights(0))
    save_replica(later, tmp_path)
    assert load_replica(compressed, later.arrays, tmp_path).name == later.name
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(path.read_bytes()[:50])
    assert load_replica(compressed, initial.arrays, tmp_path).name == initial.name
    drop_replica(tmp_path)
    assert load_replica(compressed, initial.arrays, tmp_path).name == initial.name


def test_a_compressed_run_sends_a_share_and_two_runs_give_the_same_bits(
    compressed, make_job, sites, tmp_path
):
    first, second = (run_in_process(sites, compressed, tmp_path / name) for name in "ab")
    assert weights_hash(first.last) == weights_hash(second.last)
    plain = run_in_process(sites, make_job(), tmp_path / "plain")
    assert weights_hash(plain.last) != weights_hash(first.last)
    for own, full in zip(first.rounds, plain.rounds, strict=True):
        assert 0 < own["bytes_up"] < 0.3 * full["bytes_up"]
    assert [record["bytes_down"] > 0 for record in first.rounds] == [False, True]
    assert set(RunState(tmp_path / "a/server").load_memory().numbers) == {GUARD}


def test_a_run_that_keeps_everything_exactly_is_the_run_without_compression(
    make_job, sites, tmp_path
):
    whole = {"keep": 1.0, "bits": 32}
    short = {"rounds": 1}
    exact = make_job(training=short, compression={"up": whole, "down": whole})
    first = run_in_process(sites, exact, tmp_path / "exact").last
    second = run_in_process(sites, make_job(training=short), tmp_path / "plain").last
    for name, array in second.items():  # a difference and a sum each round once
        np.testing.assert_allclose(first[name], array, atol=2e-6)


@pytest.mark.parametrize(("share", "left"), [(0.0, 0.0), (0.25, 0.25)])
def test_what_did_not_count_in_full_takes_what_it_left_out_along(make_job, tmp_path, share, left):
    received, compressed = weights(0), make_job(compression={**COMPRESSION, "start": "own"})
    step(received, compressed, 0, tmp_path)
    kept = load_residual(tmp_path, 1)["w"]
    count_residual(tmp_path, 0, share)
    start = starting_weights(received, compressed, 1, tmp_path)
    np.testing.assert_allclose(start["w"], received["w"] + left * kept, rtol=1e-6)
    step(received, compressed, 1, tmp_path)
    later = starting_weights(received, compressed, 2, tmp_path)  # of round 1, which counted
    np.testing.assert_array_equal(later["w"], received["w"] + load_residual(tmp_path, 2)["w"])
    assert not np.array_equal(later["w"], received["w"])
