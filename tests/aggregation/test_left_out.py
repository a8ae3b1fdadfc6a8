"""What a site's message left out counts later as far as the message counted."""

import numpy as np
import pytest

from fedvox.aggregation.downlink import Downlink
from fedvox.aggregation.left_out import LEFT_OUT, counted_share, remember_counted
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.screening_settings import ScreeningSettings
from fedvox.compression.settings import CompressionSettings
from fedvox.errors import UpdateRefused


def test_what_counted_in_full_is_not_spoken_of():
    memory = remember_counted(Memory(), 0, {"a", "b"}, {"a", "b"}, {"a": 1.0})
    assert not memory and counted_share(memory, "a") is None


def test_refused_and_shortened_updates_are_remembered_until_the_site_counts_again():
    memory = remember_counted(Memory(), 3, {"a", "b", "c"}, {"a", "b"}, {"b": 0.7})
    found = {site: counted_share(memory, site) for site in "abc"}
    assert found == {"a": None, "b": (3, 0.7), "c": (3, 0.0)}
    memory = remember_counted(memory, 4, {"b"}, {"b"}, {})
    assert counted_share(memory, "b") is None and counted_share(memory, "c") == (3, 0.0)
    memory = remember_counted(memory, 5, {"c"}, {"c"}, {})
    assert memory.numbers[LEFT_OUT] == {}


def test_a_run_that_went_back_forgets_what_everybody_left_out():
    memory = remember_counted(Memory(), 2, {"a", "b"}, {"b"}, {})
    memory = remember_counted(memory, 3, None, (), {})
    assert counted_share(memory, "a") == counted_share(memory, "late") == (3, 0.0)
    memory = remember_counted(memory, 4, {"a"}, {"a"}, {"a": 0.5})
    assert counted_share(memory, "a") == (4, 0.5) and counted_share(memory, "b") == (3, 0.0)


@pytest.fixture
def compressed():
    return Downlink(CompressionSettings(small=0), rounds=9)


def test_a_round_remembers_whose_update_it_refused_or_shortened(
    open_round, update_of, model, compressed
):
    current = open_round(downlink=compressed, screening=ScreeningSettings())
    for site, step in (("a", 1.0), ("b", 1.0), ("c", 4.0), ("d", 900.0)):
        current.accept(update_of(site, {n: array + np.float32(step) for n, array in model.items()}))
    broken = {name: np.full_like(array, np.nan) for name, array in model.items()}
    with pytest.raises(UpdateRefused):
        current.accept(update_of("e", broken))
    current.close()
    assert counted_share(current.memory, "a") is None
    assert counted_share(current.memory, "c") == (0, pytest.approx(3 / 4))
    assert counted_share(current.memory, "d") == counted_share(current.memory, "e") == (0, 0.0)
