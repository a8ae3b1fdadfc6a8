"""A server as its components see it: a workspace, contexts and clients, but no processes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.fl_context import FLContext, FLContextManager
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.workspace import Workspace

from fedvox.flare.jobs.versions import installed_versions
from fedvox.flare.run.senders import TOKEN
from fedvox.flare.run.server_run import ServerRun, server_run

JOB_ID = "11111111-aaaa-bbbb-cccc-222222222222"


class Server:
    """One job at the server.

    Args:
        folder: of its workspace.
        job: ``training.json``.
        sites: names of those that are connected.
    """

    def __init__(self, folder: Path, job: Mapping[str, Any], sites: Sequence[str]) -> None:
        for part in ("startup", "local"):
            (folder / part).mkdir(parents=True)
        workspace = Workspace(str(folder), "server")
        config = Path(workspace.get_app_config_dir(JOB_ID))
        config.mkdir(parents=True)
        (config / "training.json").write_text(json.dumps(job))
        (config / "versions.json").write_text(json.dumps(installed_versions()))
        clients = [Client(site, f"token-{site}") for site in sites]
        self.components: dict[str, object] = {}
        self.events: list[str] = []
        engine = SimpleNamespace(
            get_workspace=lambda: workspace,
            get_clients=lambda: clients,
            get_component=self.components.get,
            fire_event=lambda event, fl_ctx: self.events.append(event),
        )
        self.manager = FLContextManager(engine, "server", JOB_ID)
        engine.new_context = self.manager.new_context

    def context(self, site: str, told: Mapping[str, Any] = {}, **props: object) -> FLContext:
        """Of a message that a site sent.

        Args:
            site: the sender.
            told: what its own context says beside its name and token.
            props: of the server's own context.
        """
        peer = FLContextManager(None, site, JOB_ID).new_context()
        for key, value in {TOKEN: f"token-{site}", **told}.items():
            peer.set_prop(key, value, private=False, sticky=False)
        fl_ctx = self.manager.new_context()
        fl_ctx.set_peer_context(peer)
        for key, value in props.items():
            fl_ctx.set_prop(key, value, private=True, sticky=False)
        return fl_ctx

    def run(self) -> ServerRun:
        """What its components share."""
        return server_run(self.manager.new_context())


def taken(topic: str, request: Shareable, fl_ctx: FLContext) -> Shareable:
    """FLARE's place for events of sites."""
    return make_reply("OK")
