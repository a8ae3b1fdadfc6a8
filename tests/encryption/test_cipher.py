"""Sealed models: what sites get out of them, and what a server refuses to average."""

import numpy as np
import pytest
import tenseal
from sealing import make_keys

from fedvox.encryption import cipher
from fedvox.encryption.cipher import (
    SEALED,
    SIZES,
    SLOTS,
    check_sealed,
    is_sealed,
    seal,
    sealed_mean,
    unseal,
)
from fedvox.errors import ModelError

COUNT = SLOTS + 7


SITE, SERVER = make_keys()


def model(seed, scale=1.0):
    source = np.random.default_rng(seed)
    return {
        "b": (scale * source.normal(size=7)).astype(np.float32),
        "a": (scale * source.normal(size=(2, SLOTS // 2))).astype(np.float32),
    }


def test_a_mean_that_nobody_could_read_is_the_mean():
    own = {site: model(seed) for seed, site in enumerate("abc")}
    hidden = {site: seal(arrays, SITE) for site, arrays in own.items()}
    weights = {"a": 10.0, "b": 30.0, "c": 60.0}
    found = unseal(sealed_mean(hidden.__getitem__, weights, SERVER), own["a"], SITE)
    for name, array in found.items():
        expected = sum(weights[site] / 100 * own[site][name].astype(np.float64) for site in own)
        assert array.dtype == np.float32 and array.shape == expected.shape
        assert np.abs(array - expected).max() < 2e-6


def test_all_sites_open_the_same_numbers():
    mean = sealed_mean(lambda site: seal(model(0), SITE), {"a": 1.0}, SERVER)
    first, second = (unseal(mean, model(0), SITE) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_many_rounds_do_not_drift():
    """What weighing multiplies by besides, 7e-7 in TenSEAL, would add up."""
    arrays = {"a": np.full(COUNT, 3.0, np.float64)}
    for _ in range(30):
        hidden = seal(arrays, SITE)
        check_sealed(hidden, COUNT, SERVER)
        arrays = unseal(sealed_mean(lambda site, own=hidden: own, {"a": 1.0}, SERVER), arrays, SITE)
    assert abs(arrays["a"].mean() - 3.0) < 1e-7
    assert np.abs(arrays["a"] - 3.0).max() < 1e-6


def test_the_server_has_no_key_and_its_bytes_tell_nothing():
    hidden = seal(model(0), SITE)
    assert is_sealed(hidden) and not is_sealed(model(0)) and not is_sealed(None)
    assert not SERVER.is_private()
    with pytest.raises(ModelError, match="secret_key"):
        unseal(hidden, model(0), SERVER)
    again = seal(model(0), SITE)
    assert not np.array_equal(hidden[SEALED][-1000:], again[SEALED][-1000:])


def test_a_model_under_other_keys_is_no_model():
    other, _ = make_keys()
    with pytest.raises(ModelError, match="different keys"):
        unseal(seal(model(0), SITE), model(0), other)


def test_a_model_of_another_network_is_refused():
    with pytest.raises(ModelError, match=f"holds {COUNT} numbers, the job's has 7"):
        unseal(seal(model(0), SITE), {"b": model(0)["b"]}, SITE)


@pytest.mark.parametrize("value", [1e6, np.inf, np.nan])
def test_a_model_that_ran_away_is_refused_at_the_site(value):
    arrays = model(0)
    arrays["b"][0] = value
    with pytest.raises((ModelError, ValueError)):
        unseal(seal(arrays, SITE), model(0), SITE)


def changed(**arrays):
    return {**seal(model(0), SITE), **arrays}


def multiplied():
    parts = [tenseal.ckks_vector_from(SERVER, p) * 0.5 for p in cipher._parts(seal(model(0), SITE))]
    return cipher._packed([part.serialize() for part in parts])


def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def spliced(sizes, texts):
    """TenSEAL's message with other sizes, and its ciphertext so many times."""
    first, second = cipher._parts(seal(model(0), SITE))
    start = len(cipher._size_field(SLOTS))
    assert first.startswith(cipher._size_field(SLOTS)) and first[start] == 18  # its second field
    width = 0
    while first[start + 1 + width] & 128:
        width += 1
    length = sum((first[start + 1 + i] & 127) << (7 * i) for i in range(width + 1))
    text = first[start : start + 2 + width + length]
    packed = b"".join(map(varint, sizes))
    rest = first[start + len(text) :]
    return cipher._packed([b"\n" + varint(len(packed)) + packed + text * texts + rest, second])


def squared():
    first, second = cipher._parts(seal(model(0), SITE))
    square = tenseal.ckks_vector_from(SITE, first)
    raw = [tenseal.ckks_vector_from(SITE, first) for _ in range(2)]
    context = tenseal.context_from(SITE.serialize(save_secret_key=True))
    context.auto_relin = context.auto_rescale = False
    square = tenseal.ckks_vector_from(context, first) * raw[0]
    assert square.ciphertext()[0].size() == 3
    return cipher._packed([square.serialize(), second])


BAD = {
    "nothing": lambda: {},
    "no mapping": lambda: [1, 2],
    "plain weights": lambda: model(0),
    "another name more": lambda: changed(more=np.zeros(1)),
    "no bytes": lambda: changed(**{SEALED: np.zeros(5, np.float32)}),
    "text": lambda: changed(**{SEALED: "abc"}),
    "sizes as numbers with points": lambda: changed(**{SIZES: np.array([1.0])}),
    "a negative size": lambda: changed(**{SIZES: np.array([-1, 10], np.int64)}),
    "a huge size": lambda: changed(**{SIZES: np.array([2**62, 2**62], np.int64)}),
    "sizes of fewer bytes": lambda: changed(**{SIZES: np.array([5], np.int64)}),
    "cut": lambda: cipher._packed([p[:100] for p in cipher._parts(seal(model(0), SITE))]),
    "zeros": lambda: cipher._packed([bytes(100)] * 2),
    "another network": lambda: seal({"b": model(0)["b"]}, SITE),
    "one ciphertext more": lambda: seal({**model(0), "c": np.zeros(SLOTS)}, SITE),
    "a part of it": lambda: cipher._packed([*cipher._parts(seal(model(0), SITE))][:1]),
    "another scale": lambda: seal(model(0), make_keys(2.0**30).site),
    "multiplied before": multiplied,
    "two ciphertexts in a vector": lambda: spliced([COUNT - 8, 1], 2),
    "a long list of empty vectors": lambda: spliced([0] * 100_000 + [SLOTS], 1),
    "a ciphertext of three polynomials": squared,
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_averaged_is_refused_with_a_reason(kind):
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        check_sealed(BAD[kind](), COUNT, SERVER)


def test_flipped_bytes_never_end_the_process():
    """They are refused, or they are a ciphertext of noise, which sites refuse to open."""
    whole, source = seal(model(0), SITE), np.random.default_rng(0)
    for _ in range(60):
        spoilt = {SEALED: whole[SEALED].copy(), SIZES: whole[SIZES]}
        for place in source.integers(0, spoilt[SEALED].size, 3):
            spoilt[SEALED][place] ^= np.uint8(source.integers(1, 256))
        try:
            check_sealed(spoilt, COUNT, SERVER)
        except (ValueError, TypeError, RuntimeError):
            continue
        mean = sealed_mean(lambda site, own=spoilt: own, {"a": 1.0}, SERVER)
        with pytest.raises(ModelError):
            unseal(mean, model(0), SITE)
