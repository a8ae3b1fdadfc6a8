"""What a message leaves out is added to the next one, so that nothing is lost for good."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedvox.compression.codec import encode
from fedvox.compression.compress import Compressed, compress
from fedvox.compression.layout import flatten
from fedvox.compression.schema import Schema
from fedvox.compression.settings import Coding
from fedvox.errors import CodecError


@dataclass(frozen=True)
class Sent:
    """A message and what it leaves out.

    Args:
        payload: the bytes.
        residual: float32, of the tensors that do not travel whole.
        compressed: what the payload holds.
    """

    payload: bytes
    residual: dict[str, np.ndarray]
    compressed: Compressed

    @property
    def sent(self) -> dict[str, np.ndarray]:
        """The dense tensors that the receiver gets; made anew each time, as large as the update."""
        return self.compressed.dense()


def send(
    update: Mapping[str, np.ndarray],
    residual: Mapping[str, np.ndarray],
    coding: Coding,
    threads: int = 1,
) -> Sent:
    """``v = update + residual``; sends ``C(v)``; the new residual is ``v - C(v)``.

    Over any number of messages the sum of what was sent, plus the last residual, is the sum of the
    updates, to float32 rounding. In a round without a message the residual stays as it is. Tensors
    that travel whole leave none. Neither argument is changed; memory beside them is that of the
    new residual and of what is sent.

    Args:
        update: floating tensors by name; finite.
        residual: of the message before, empty for none.
        coding: share, bits, runs, blocks and which tensors are small.
        threads: that work at the same time.

    Raises:
        CodecError: a value is not finite; the residual belongs to other tensors.

    Reference:
        Lin et al., "Deep Gradient Compression", ICLR 2018, arXiv 1712.01887, section 3.1, without
        momentum correction: an update is of a whole round, not of a step. Karimireddy et al.,
        "Error Feedback Fixes SignSGD", ICML 2019, arXiv 1901.09847, algorithm 2.

    Example:
        >>> update, coding = {"w": np.array([3.0, 1.0], np.float32)}, Coding(0.5, 32, small=0)
        >>> first = send(update, {}, coding)
        >>> first.sent["w"].tolist(), first.residual["w"].tolist()
        ([3.0, 0.0], [0.0, 1.0])
        >>> send({"w": np.zeros(2, np.float32)}, first.residual, coding).sent["w"].tolist()
        [0.0, 1.0]
    """
    schema = Schema.of(update)
    values = _added(update, residual)
    compressed = compress(values, coding, schema, threads)
    rest = {name: array for name, array in values.items() if name not in compressed.whole}
    flat = flatten(rest)
    for place in compressed.places():
        flat[place.name][place.row][place.positions] -= place.values
    left = {name: array.astype(np.float32, copy=False) for name, array in rest.items()}
    return Sent(encode(compressed, threads), left, compressed)


def check_residual(residual: Mapping[str, np.ndarray], update: Mapping[str, np.ndarray]) -> None:
    """Is the residual one of these tensors?

    Raises:
        CodecError: a tensor is not among them, or of another shape.
    """
    for name, array in residual.items():
        if name not in update or update[name].shape != array.shape:
            raise CodecError(
                f"what compression left out of tensor '{name}' is of shape {array.shape}, the "
                "update is not; delete residual_*.safetensors in the site's state folder of this "
                "run: it goes on, without what they hold"
            )


def _added(
    update: Mapping[str, np.ndarray], residual: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """New contiguous arrays, float32 or wider."""
    check_residual(residual, update)
    values = {}
    for name, array in update.items():
        values[name] = np.array(array, np.result_type(array.dtype, np.float32), order="C")
        if name in residual:
            with np.errstate(over="ignore"):  # an infinite sum is refused like any other
                values[name] += residual[name]
    return values
