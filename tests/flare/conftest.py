"""Stand-ins for FLARE's engine and contexts: real workspaces and contexts, no processes."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from nvflare.apis.client import Client
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FilterKey, FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext, FLContextManager
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.workspace import Workspace
from nvflare.app_common.app_constant import AppConstants
from nvflare.private.privacy_manager import Scope
from nvflare.widgets.fed_event import FED_EVENT_TOPIC

from fedvox.flare.jobs.versions import installed_versions
from fedvox.flare.outgoing import OutgoingFilter
from fedvox.flare.received import ReceivedModel
from fedvox.flare.run.senders import TOKEN
from fedvox.flare.run.server_run import ServerRun, server_run
from fedvox.job.model import initial_model
from fedvox.job.settings import job_from
from fedvox.job.weights import weights_of

TINY = {
    "name": "tiny",
    "data": {"organs": ["liver", "spleen"], "spacing": [12.0] * 3, "patch": [16, 16, 16]},
    "phantom": {"train": 2, "val": 1, "test": 1, "spacing_mm": 12.0},
    "network": {"channels": [4, 8], "residual_units": 0},
    "training": {"rounds": 2, "steps": 1, "batch": 1, "threads": 1, "device": "cpu"},
    "evaluation": {"resamples": 20, "overlays": 1},
    "waiting": {"handshake": 0.0},
}
JOB_ID = "11111111-aaaa-bbbb-cccc-222222222222"


class FakeEngine:
    """What FedVox uses of a FLARE engine; keeps the events that components fire."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace = workspace
        self.client = Client(name, f"token-{name}")
        self.clients: list[str] = []
        self.components: dict[str, object] = {}
        self.events: list[tuple[str, Any]] = []
        self.listeners: list[Callable[[str, FLContext], None]] = []
        self.site_events: list[Shareable] = []
        self.run_manager = SimpleNamespace(aux_runner=SimpleNamespace(topic_table={}))
        self.run_manager.aux_runner.topic_table[FED_EVENT_TOPIC] = self._take_event

    def _take_event(self, topic: str, request: Shareable, fl_ctx: FLContext) -> Shareable:
        """Where FLARE queues what sites send; it would fire whatever it is."""
        self.site_events.append(request)
        return make_reply(ReturnCode.OK)

    def get_workspace(self) -> Workspace:
        return self.workspace

    def get_clients(self) -> list[Client]:
        return [Client(name, f"token-{name}") for name in self.clients]

    def get_component(self, component_id: str) -> object | None:
        return self.components.get(component_id)

    def fire_event(self, event_type: str, fl_ctx: FLContext) -> None:
        self.events.append((event_type, fl_ctx.get_prop(FLContextKey.EVENT_DATA)))
        for listener in self.listeners:
            listener(event_type, fl_ctx)

    def sync_clients_from_main_process(self) -> None:
        """Nobody registers anew."""

    def persist_components(self, fl_ctx: FLContext, completed: bool) -> None:
        """FLARE's snapshots are gone."""

    @property
    def panics(self) -> list[str]:
        """Reasons for which components stopped the run."""
        return [data for event, data in self.events if event == EventType.FATAL_SYSTEM_ERROR]


class Party:
    """A server or a site: workspace, engine, contexts."""

    def __init__(self, root: Path, name: str, job_id: str, job: dict[str, Any] | None) -> None:
        for folder in ("startup", "local"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        self.root = root
        self.workspace = Workspace(str(root), name)
        self.engine = FakeEngine(self.workspace, name)
        self.manager = FLContextManager(self.engine, name, job_id)
        self.engine.new_context = self.manager.new_context
        self.run_dir = Path(self.workspace.get_run_dir(job_id))
        self.config = Path(self.workspace.get_app_config_dir(job_id))
        self.config.mkdir(parents=True, exist_ok=True)
        if job is not None:
            (self.config / "training.json").write_text(json.dumps(job))
            (self.config / "versions.json").write_text(json.dumps(installed_versions()))
        self.scope = Scope()
        self.scope.add_task_data_filter(ReceivedModel(), FilterKey.IN)
        self.scope.add_task_result_filter(OutgoingFilter(), FilterKey.OUT)

    def context(self, peer: FLContext | None = None, **props: object) -> FLContext:
        """A fresh context; ``props`` are private and not sticky."""
        fl_ctx = self.manager.new_context()
        if peer is not None:
            fl_ctx.set_peer_context(peer)
        for key, value in {FLContextKey.SCOPE_OBJECT: self.scope, **props}.items():
            fl_ctx.set_prop(key, value, private=True, sticky=False)
        return fl_ctx

    def run(self) -> ServerRun:
        return server_run(self.context())


@pytest.fixture(autouse=True)
def no_site_variable(monkeypatch):
    monkeypatch.delenv("FEDVOX_SITE", raising=False)


@pytest.fixture
def tiny() -> dict[str, Any]:
    return json.loads(json.dumps(TINY))


@pytest.fixture
def party(tmp_path, tiny) -> Callable[..., Party]:
    """A function that makes a server or a site."""

    def make(name: str, job_id: str = JOB_ID, job: dict[str, Any] | None = tiny) -> Party:
        return Party(tmp_path / name, name, job_id, job)

    return make


@pytest.fixture
def site(party: Callable[..., Party], phantom_site: Callable[..., Path]) -> Party:
    """A production site with a site file: three CT cases for training."""
    made = party("site-1")
    content = {
        "dataset": "phantom",
        "root": str(phantom_site("ct")),
        "modalities": ["ct"],
        "split": "dataset",
        "share": "cases",
    }
    (made.root / "local" / "fedvox_site.json").write_text(json.dumps(content))
    return made


@pytest.fixture
def server(party) -> Party:
    return party("server")


@pytest.fixture
def peer() -> Callable[..., FLContext]:
    """A function from a site's name to the context that its requests carry."""

    def make(site: str, **public: object) -> FLContext:
        fl_ctx = FLContextManager(None, site, JOB_ID).new_context()
        fl_ctx.set_prop(TOKEN, f"token-{site}", private=False, sticky=False)
        for key, value in public.items():
            fl_ctx.set_prop(key, value, private=False, sticky=False)
        return fl_ctx

    return make


@pytest.fixture
def weights(tiny) -> dict[str, np.ndarray]:
    """The initial weights of the tiny job."""
    return weights_of(initial_model(job_from(tiny)))


@pytest.fixture
def train_task() -> Callable[..., Shareable]:
    """A function from weights to the training task that ScatterAndGather sends."""

    def make(weights: dict[str, np.ndarray], index: int = 0) -> Shareable:
        task = DXO(DataKind.WEIGHTS, data=weights).to_shareable()
        task.set_header(AppConstants.CURRENT_ROUND, index)
        return task

    return make
