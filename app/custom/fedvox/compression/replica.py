"""What a site holds of the global model: its name, and the step to the next version."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np

Arrays = Mapping[str, np.ndarray]
_DIGEST_LETTERS = 16


def tensor_digest(name: str, array: np.ndarray) -> str:
    """A tensor's fingerprint: of its name, shape, type and bytes."""
    digest = hashlib.sha256(f"{name}{array.shape}{array.dtype.str}".encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:_DIGEST_LETTERS]


def replica_name(version: int, digests: Mapping[str, str]) -> str:
    """How a site and the server name what a site holds: the version, and a hash of its tensors."""
    text = " ".join(f"{name}={digests[name]}" for name in sorted(digests))
    return f"{version}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def replica_of(version: int, arrays: Arrays) -> str:
    """The name of a version of some tensors."""
    digests = {name: tensor_digest(name, array) for name, array in arrays.items()}
    return replica_name(version, digests)


def moved(held: Arrays, step: Arrays) -> dict[str, np.ndarray]:
    """The tensors after a decoded step; the same numbers at the server and at every site."""
    return {name: step_from(array, step.get(name)) for name, array in held.items()}


def step_from(array: np.ndarray, step: np.ndarray | None) -> np.ndarray:
    """A tensor after its part of a step, in float32 and then its own type; None leaves it."""
    if step is None:
        return np.asarray(array)
    stepped = np.asarray(array.astype(np.float32, copy=False) + step)
    return stepped.astype(array.dtype, copy=False)


def difference(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """``new - old`` in float32."""
    return np.asarray(new.astype(np.float32, copy=False) - old.astype(np.float32, copy=False))


def member_bits(names: Sequence[str], members: Collection[str]) -> bytes:
    """Which of some names belong to a message, one bit each."""
    return np.packbits([name in set(members) for name in names]).tobytes()


def members(names: Sequence[str], bits: bytes) -> list[str]:
    """The names that :func:`member_bits` marked.

    Raises:
        ValueError: the bits are of another number of names.
    """
    flags = np.unpackbits(np.frombuffer(bits, np.uint8))
    if len(flags) != -(-len(names) // 8) * 8 or flags[len(names) :].any():
        raise ValueError("marks names that are not there")
    return [name for name, flag in zip(names, flags, strict=False) if flag]
