"""How a workflow begins at the server, whatever it asks the sites for afterwards."""

from nvflare.apis.fl_context import FLContext
from nvflare.apis.signal import Signal

from fedvox.errors import ConfigError
from fedvox.flare.handshake import Handshake
from fedvox.flare.run.client_sync import keep_clients_known
from fedvox.flare.run.happened import record_own_start
from fedvox.flare.run.places import check_workspace
from fedvox.flare.run.run_terms import check_terms, claim_run
from fedvox.flare.run.server_run import ServerRun, server_run
from fedvox.flare.run.site_events import guard_events, outlive_failed_sites
from fedvox.flare.sealed import check_server
from fedvox.privacy.accountant import Spend, check_rounds
from fedvox.privacy.noise_settings import SITE


def open_run(fl_ctx: FLContext) -> ServerRun:
    """The run, from now on guarded against what sites send and against sites that fail.

    Raises:
        ConfigError: FLARE cannot work where the workspace lies, the job's settings are wrong, it
            may not go on with the run that it names, or another job works on that run.
    """
    check_workspace(fl_ctx)
    run = server_run(fl_ctx)
    try:
        claim_run(run)
        check_terms(run, fl_ctx)
    except ConfigError:
        run.disown()
        raise
    privacy = run.job.privacy
    if privacy is not None and privacy.unit == SITE:  # else it depends on a site's cases
        check_rounds(privacy, run.job.training.rounds, Spend(privacy.noise))
    check_server(fl_ctx, run.job)
    record_own_start(run, fl_ctx)
    guard_events(fl_ctx)
    outlive_failed_sites(fl_ctx)
    keep_clients_known(fl_ctx)
    return run


def await_sites(handshake_id: str, fl_ctx: FLContext, abort_signal: Signal) -> Handshake:
    """Waits as :meth:`Handshake.wait` does, of the job's component of that id.

    Raises:
        ConfigError: there is no such component, a site cannot take part, or too few sites came.
    """
    handshake = fl_ctx.get_engine().get_component(handshake_id)
    if not isinstance(handshake, Handshake):
        raise ConfigError(f"component '{handshake_id}' is no Handshake")
    handshake.wait(fl_ctx, abort_signal)
    return handshake
