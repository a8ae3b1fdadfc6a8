import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind

from fedvox.flare.run.tasks import wire_size, with_content


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (DataKind.WEIGHTS, {"w": np.zeros((40, 5), np.float32), "b": np.float64([1, 2])}),
        (DataKind.APP_DEFINED, {"payload": b"\x07" * 5000, "name": "x"}),
        (DataKind.METRICS, {"rows": [[1, 2.5, "liver"]]}),
        (DataKind.WEIGHTS, {"scalar": np.zeros((), np.float32)}),
    ],
)
def test_a_message_weighs_what_flare_packs(serialised, kind, data):
    message = DXO(kind, data=data).to_shareable()
    before = serialised(message)
    assert wire_size(message) == pytest.approx(len(before), abs=4 * len(data))
    assert serialised(message) == before


def test_new_content_leaves_the_old_message_alone(serialised):
    old = DXO(DataKind.WEIGHTS, data={"w": np.zeros(3, np.float32)}).to_shareable()
    old.set_header("round", 4)
    before = serialised(old)
    new = with_content(DXO(DataKind.APP_DEFINED, data={"x": 1}), old)
    assert new.get_header("round") == 4
    new.set_header("round", 5)
    assert serialised(old) == before
