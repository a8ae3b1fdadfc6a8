import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.images.slabs import VOXELS, slabs, thinned


@given(st.tuples(st.integers(2, 900), st.integers(2, 900), st.integers(2, 90)))
def test_slabs_cover_the_last_axis_once_in_pieces_of_bounded_size(shape):
    parts = list(slabs(shape))
    covered = [index for part in parts for index in range(*part.indices(shape[2]))]
    assert covered == list(range(shape[2]))
    most = max(len(range(*part.indices(shape[2]))) for part in parts)
    assert most == 1 or most * shape[0] * shape[1] <= VOXELS


@pytest.mark.parametrize("shape", [(10, 11, 12), (100, 90, 80), (512, 512, 7)])
def test_thinned_volumes_hold_at_most_the_wanted_voxels(shape):
    sample = np.broadcast_to(np.float32(0), shape)[thinned(shape, 5000)]
    assert 5000 / 8 <= sample.size <= 5000 or sample.size == np.prod(shape) <= 5000
