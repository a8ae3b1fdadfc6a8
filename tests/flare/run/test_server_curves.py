"""What the server found of a site is a curve in the site's events file, and goes nowhere else."""

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.event_type import EventType
from nvflare.app_common.abstract.model import make_model_learnable
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_opt.tracking.tb.tb_receiver import TBAnalyticsReceiver
from nvflare.widgets.fed_event import ServerFedEventRunner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fedvox.flare.aggregator import FedVoxAggregator
from fedvox.flare.run.messages import META
from fedvox.flare.run.server_curves import server_values
from fedvox.flare.run.site_events import METRICS_EVENT

SITES = ("site-1", "site-2", "site-3")
PLAIN = {"server/weight", "server/update_norm", "server/bytes_up", "server/bytes_down"}
TERMS = {"server/quality", "server/dice", "server/divergence", "server/norm", "server/cosine"}


@pytest.fixture
def server(party, tiny):
    """A server that weighs adaptively, with FLARE's own receiver and messenger of events."""
    tiny["training"]["client_weight"] = {"name": "adaptive", "divergence": 1.0}
    made = party("server", job=tiny)
    made.engine.register_aux_message_handler = lambda **kwargs: None
    for part in (TBAnalyticsReceiver("fedvox/tb", [METRICS_EVENT]), ServerFedEventRunner()):
        part.handle_event(EventType.START_RUN, made.context())
        made.engine.listeners.append(part.handle_event)
    made.run().registered = {site: {"ct": 2} for site in SITES}
    made.run().validation = {site: {"ct": 1} for site in SITES}
    return made


@pytest.fixture
def run_round(server, peer):
    """A function that runs a round in which each site sends another update."""
    aggregator = FedVoxAggregator()

    def run(index: int) -> None:
        model = make_model_learnable({"w": np.zeros(4, np.float32)}, {})
        props = {AppConstants.CURRENT_ROUND: index, AppConstants.GLOBAL_MODEL: model}
        for number, site in enumerate(SITES):
            claims = {"round": index, "cases": 2, "steps": 1, "quality": 0.5}
            claims["validation"] = {"ct": [0.1 * number, 1]}
            update = {"w": np.array([1, number, index, 1], np.float32)}
            result = DXO(DataKind.WEIGHTS, data=update, meta={META: claims}).to_shareable()
            result.add_cookie(AppConstants.CONTRIBUTION_ROUND, index)
            assert aggregator.accept(result, server.context(peer=peer(site), **props))
        aggregator.aggregate(server.context(**props))
        aggregator.reset(server.context())

    return run


def test_weights_terms_and_bytes_of_each_site_are_curves_with_the_round_as_step(server, run_round):
    for index in range(2):
        run_round(index)
    for listener in server.engine.listeners:
        listener(EventType.END_RUN, server.context())
    folder = server.run().results / "tb"
    assert {path.name for path in folder.iterdir()} == set(SITES)
    records = [server_values(record) for record in server.run().state.rounds()]
    for site in SITES:
        events = EventAccumulator(str(folder / site))
        events.Reload()
        tags = set(events.Tags()["scalars"])
        assert tags == set(records[0][site]) and tags >= PLAIN | TERMS
        for tag in tags:
            points = [(point.step, point.value) for point in events.Scalars(tag)]
            expected = [pytest.approx(record[site][tag], rel=1e-6) for record in records]
            assert points == list(enumerate(expected)), (site, tag)
    shares = [own["server/weight"] for own in records[1].values()]
    assert sum(shares) == pytest.approx(1) and len(set(shares)) == 3
    assert {own["server/quality"] for own in records[0].values()} == {0.5}


def test_a_round_without_contributors_has_no_curve():
    assert server_values({"round": 0, "contributors": []}) == {}


def test_a_rule_without_terms_has_share_norm_and_bytes():
    own = {"site": "a", "weight": 1.0, "update_norm": 2.0, "bytes_up": 8, "bytes_down": 9}
    values = server_values({"round": 0, "contributors": [own | {"reason": "2 training cases"}]})
    assert set(values["a"]) == PLAIN
