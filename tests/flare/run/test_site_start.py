import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from nvflare.apis.fl_constant import ConfigVarName, FLContextKey
from nvflare.app_common.decomposers.numpy_decomposers import NumpyArrayDecomposer

from fedvox.flare.run.site_start import ask_again_in_time


def waits(site, get_task: float | None, submit: float | None = None) -> tuple[float, float | None]:
    """How long a site waits for the reply to a request and to a result, as FLARE reckons it."""
    runner = SimpleNamespace(get_task_timeout=get_task, submit_task_result_timeout=submit)
    site.engine.client.communicator = communicator = SimpleNamespace(timeout=300.0)
    ask_again_in_time(site.context(**{FLContextKey.RUNNER: runner}))
    kept = communicator.timeout
    return max(get_task or kept, kept), runner.submit_task_result_timeout or kept


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ((60.0,), (60.0, 300.0)),
        ((60.0, 20.0), (60.0, 20.0)),
        ((900.0,), (900.0, 300.0)),
        ((None,), (300.0, 300.0)),
    ],
)
def test_a_request_without_reply_is_made_anew_in_the_time_that_the_job_says(party, told, found):
    assert waits(party("site-1"), *told) == found


def test_in_every_job_what_is_lost_under_way_is_asked_for_again_after_a_minute():
    root = Path(__file__).parents[3]
    tensors = (
        f"{NumpyArrayDecomposer().config_var_prefix}{ConfigVarName.STREAMING_PER_REQUEST_TIMEOUT}"
    )
    for path in (root / "jobs").glob("*/app/config/config_fed_*.json"):
        told = json.loads(path.read_text())
        assert told[tensors] == 60.0
        assert told.get(ConfigVarName.GET_TASK_TIMEOUT, 60.0) == 60.0
        assert (ConfigVarName.GET_TASK_TIMEOUT in told) == ("client" in path.name)
