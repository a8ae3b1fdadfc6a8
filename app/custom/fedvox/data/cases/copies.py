"""One image under two names of a case: an export that wrote the same series twice."""

import hashlib

import numpy as np

from fedvox.errors import DataError


class Copies:
    """The images of one case, looked at one after the other.

    Args:
        number: how many there are; of one alone nothing is worked out.
    """

    def __init__(self, number: int) -> None:
        self._several = number > 1
        self._seen: dict[bytes, str] = {}

    def refuse(self, modality: str, data: np.ndarray) -> None:
        """Refuses an image that holds the voxels of an earlier one: two contrasts never do.

        Args:
            modality: of the image.
            data: its voxels, ``(X, Y, Z)``.

        Raises:
            DataError: names the other modality.
        """
        if not self._several:
            return
        mark = hashlib.blake2b(digest_size=16)
        for number in range(data.shape[2]):  # one after the other: no second volume in memory
            mark.update(np.ascontiguousarray(data[:, :, number]).data)
        other = self._seen.setdefault(mark.digest(), modality)
        if other != modality:
            raise DataError(
                f"it holds the voxels of the {other} image; export both again; where the job "
                "allows missing channels, take the copy away"
            )
