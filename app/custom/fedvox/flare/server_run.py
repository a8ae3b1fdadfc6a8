"""What the server's components share during one run."""

from typing import Any

from nvflare.apis.fl_context import FLContext

from fedvox.flare.places import load_job, results_dir, state_dir
from fedvox.flare.server_state import ServerState
from fedvox.training.settings import JobSettings

_PROPERTY = "fedvox_server_run"


class ServerRun:
    """Settings, state and registrations of the running job.

    Attributes:
        job: the job's settings.
        state: the server's memory on disk.
        results: folder that comes back with the job.
        registered: site -> training cases, filled by the handshake.
        phantom: True when any site uses phantom data.
        modalities: modality sets that the sites hold.
        refused: site and reason of each report and model that the evaluation refused.
    """

    def __init__(self, fl_ctx: FLContext) -> None:
        self.job: JobSettings = load_job(fl_ctx)
        self.state = ServerState(state_dir(fl_ctx))
        self.results = results_dir(fl_ctx)
        self.results.mkdir(parents=True, exist_ok=True)
        self.registered: dict[str, int] = {}
        self.phantom = False
        self.modalities: list[str] = []
        self.refused: list[dict[str, str]] = []

    def refuse(self, site: str, reason: str) -> None:
        """Keeps, once, that something of a site was refused in the evaluation, for the results."""
        entry = {"site": site, "reason": reason}
        if entry not in self.refused:
            self.refused.append(entry)


def server_run(fl_ctx: FLContext) -> ServerRun:
    """The one :class:`ServerRun` of this process; made on first use."""
    engine: Any = fl_ctx.get_engine()
    if not isinstance(getattr(engine, _PROPERTY, None), ServerRun):
        setattr(engine, _PROPERTY, ServerRun(fl_ctx))
    run: ServerRun = getattr(engine, _PROPERTY)
    return run
