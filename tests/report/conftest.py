import numpy as np
import pytest

from fedvox.data.check.thumbnail import Thumbnail
from fedvox.data.organs import CANONICAL


@pytest.fixture
def measured() -> list[dict]:
    """Records of three rounds and the final one with their bytes; the third lacks MRI."""
    return [
        {"round": 0, "bytes_up": 3e6, "bytes_down": 0, "validation": {"ct": 0.1, "mr": 0.1}},
        {"round": 1, "bytes_up": 1e6, "bytes_down": 2e6, "validation": {"ct": 0.5, "mr": 0.3}},
        {"round": 2, "bytes_up": 1e6, "bytes_down": 1e6, "validation": {"ct": 0.9}},
        {
            "round": 3,
            "final": True,
            "bytes_up": 5e3,
            "bytes_down": 4e7,
            "validation": {"ct": 0.8, "mr": 0.6},
        },
    ]


@pytest.fixture
def small() -> Thumbnail:
    """Bright on the patient's right half; a spleen on the left, towards the back."""
    grey = np.zeros((40, 30), np.uint8)
    grey[20:] = 200
    organs = np.zeros((40, 30), np.uint8)
    organs[4:12, 3:9] = CANONICAL.index("spleen") + 1
    return Thumbnail(grey, organs)
