"""Weights as CKKS ciphertexts: sealed and opened at sites, averaged at the server, by TenSEAL.

All tensors of a model are one row of numbers, cut into parts that fill a ciphertext each. So a
sealed model is two arrays whatever its network, and bytes and files are handled as others are.

Reference:
    Cheon et al., "Homomorphic Encryption for Arithmetic of Approximate Numbers", ASIACRYPT 2017;
    Benaissa et al., "TenSEAL", ICLR 2021 DPML workshop, arXiv:2104.03152.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fedvox.errors import ModelError

Arrays = Mapping[str, np.ndarray]
SEALED, SIZES = "sealed", "sealed_sizes"
"""Names of a sealed model's arrays: the ciphertexts' bytes, and how many each has."""
SLOTS = 4096
"""Numbers in a ciphertext, half of FLARE's ``poly_modulus_degree``."""
LARGEST = 65504.0
"""As screening allows: beyond it a model cannot be used in half precision."""


def is_sealed(arrays: object) -> bool:
    """Whether these are a sealed model's arrays."""
    return isinstance(arrays, Mapping) and set(arrays) == {SEALED, SIZES}


def seal(arrays: Arrays, context: Any) -> dict[str, np.ndarray]:
    """Encrypts weights.

    Args:
        arrays: tensors of real numbers, none above :data:`LARGEST`.
        context: TenSEAL's, with the secret key.
    """
    import tenseal

    values = np.concatenate([arrays[name].ravel().astype(np.float64) for name in sorted(arrays)])
    parts = (values[start : start + SLOTS] for start in range(0, values.size, SLOTS))
    return _packed([tenseal.ckks_vector(context, part).serialize() for part in parts])


def unseal(sealed: Arrays, like: Arrays, context: Any) -> dict[str, np.ndarray]:
    """Decrypts a weighted mean of weights.

    Args:
        sealed: from :func:`sealed_mean`.
        like: tensors of the names, shapes and types that it holds.
        context: TenSEAL's, with the secret key.

    Raises:
        ModelError: it holds another number of values, or none that can be weights: it was sealed
            with other keys, or a site sent something else.
    """
    import tenseal

    try:
        parts = [tenseal.ckks_vector_from(context, part).decrypt() for part in _parts(sealed)]
    except ValueError as error:
        raise ModelError(f"the encrypted model cannot be opened: {error}") from None
    values = np.concatenate([np.asarray(part, np.float64) for part in parts]) / _gain(context)
    count = sum(array.size for array in like.values())
    if values.size != count:
        raise ModelError(f"the encrypted model holds {values.size} numbers, the job's has {count}")
    if not (np.abs(values) <= 1.001 * LARGEST).all():
        raise ModelError(
            "the encrypted model opens to no weights: the sites' kits hold different keys, so they "
            "come from different provisions, or a site sent something else. Compare the kits' "
            "client_context.tenseal, and submit the job afresh, without the site that was wrong"
        )
    opened, start = {}, 0
    for name in sorted(like):
        shape, size = like[name].shape, like[name].size
        opened[name] = values[start : start + size].reshape(shape).astype(like[name].dtype)
        start += size
    return opened


def _gain(context: Any) -> float:
    """What one weighing multiplies by besides: TenSEAL divides by a prime near its scale and goes
    on as if it were that, 7e-7 too much in every round.

    Measured, and rounded to such a prime, which is 1 more than a multiple of twice the degree: all
    sites get the same number.
    """
    import tenseal

    step = 2 * context.seal_context().data.first_context_data().parms().poly_modulus_degree()
    measured = float(np.mean((tenseal.ckks_vector(context, [1.0] * SLOTS) * 1.0).decrypt()))
    prime = 1 + step * round((context.global_scale / measured - 1) / step)
    return float(context.global_scale / prime)


def check_sealed(sealed: object, count: int, context: Any) -> None:
    """Refuses what cannot be averaged; what the numbers are nobody can tell here.

    Args:
        sealed: what a site sent, untrusted.
        count: numbers that it has to hold.
        context: TenSEAL's, without the secret key.

    Raises:
        ValueError: with the reason.
    """
    import tenseal

    if not isinstance(sealed, Mapping) or not is_sealed(sealed):
        raise ValueError("not an encrypted model")
    found = 0
    for part in _parts(sealed):
        vector = tenseal.ckks_vector_from(context, part)
        wanted = min(SLOTS, count - found)
        if wanted < 1 or not vector.serialize().startswith(_size_field(wanted)):
            raise ValueError(f"not the {count} numbers of the job's model")
        texts = vector.ciphertext()
        if len(texts) != 1 or texts[0].size() != 2 or texts[0].scale != context.global_scale:
            raise ValueError("not one fresh ciphertext of the job's keys")
        _ = vector * 0.5  # a ciphertext that was multiplied before cannot be once more
        found += wanted
    if found != count:
        raise ValueError(f"{found} numbers, the job's model has {count}")


def _size_field(count: int) -> bytes:
    """How TenSEAL's message of a vector of one ciphertext begins: its list of sizes, one of them.

    A list of several would have TenSEAL look for as many ciphertexts in the other sites' vectors.
    """
    number = count.to_bytes(1) if count < 128 else bytes([count & 127 | 128, count >> 7])
    return bytes([10, len(number)]) + number


def sealed_mean(
    read: Callable[[str], Arrays], weights: Mapping[str, float], context: Any
) -> dict[str, np.ndarray]:
    """The weighted mean of sealed models, in the order of site names.

    Args:
        read: site -> its sealed model, checked; asked for one site after the other.
        weights: site -> positive weight.
        context: TenSEAL's, without the secret key.

    Raises:
        ValueError: a share is too small for TenSEAL, below about 1e-12, or the sum is.
    """
    import tenseal

    total, sums = sum(weights[site] for site in sorted(weights)), list[Any]()
    for site in sorted(weights):
        share = weights[site] / total
        own = [tenseal.ckks_vector_from(context, part) * share for part in _parts(read(site))]
        sums = [one + other for one, other in zip(sums, own, strict=True)] if sums else own
    return _packed([vector.serialize() for vector in sums])


def _packed(parts: list[bytes]) -> dict[str, np.ndarray]:
    return {
        SEALED: np.frombuffer(b"".join(parts), np.uint8),
        SIZES: np.array([len(part) for part in parts], np.int64),
    }


def _parts(sealed: Arrays) -> Iterator[bytes]:
    """The ciphertexts.

    Raises:
        ValueError: the arrays are of another form.
    """
    whole, sizes = sealed[SEALED], sealed[SIZES]
    for array, kind in ((whole, np.uint8), (sizes, np.int64)):
        if not isinstance(array, np.ndarray) or array.dtype != kind or array.ndim != 1:
            raise ValueError("not an encrypted model's arrays")
    if (sizes < 1).any() or (sizes > whole.size).any() or int(sizes.sum()) != whole.size:
        raise ValueError("an encrypted model whose sizes do not add up")
    start = 0
    for size in map(int, sizes):
        yield whole[start : start + size].tobytes()
        start += size
