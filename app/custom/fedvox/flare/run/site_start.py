"""How a site begins a run, whatever it is asked for afterwards."""

from typing import Any

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext

from fedvox.admission.registration import Registration
from fedvox.data.site.site_names import check_site_name
from fedvox.flare.jobs.carried import check_carried
from fedvox.flare.outgoing import check_policy
from fedvox.flare.run.happened import publish_start
from fedvox.flare.run.messages import REGISTRATION
from fedvox.flare.run.places import custom_dir, load_job
from fedvox.flare.run.senders import publish_token
from fedvox.job.settings import JobSettings


def checked_job(fl_ctx: FLContext) -> JobSettings:
    """The job, once the site's name, its policy and the code that came along are as they must be.

    Raises:
        ConfigError: one of them is not, or the job's settings are wrong.
    """
    check_site_name(str(fl_ctx.get_identity_name()))
    check_policy(fl_ctx)
    job = load_job(fl_ctx)
    check_carried(custom_dir(fl_ctx))
    return job


def ask_again_in_time(fl_ctx: FLContext) -> None:
    """A site asks anew when a request for a task got no reply within the job's
    ``get_task_timeout``, as when the server's job process was killed with the request in its hands.

    FLARE waits for the longer of that and the kit's ``communication_timeout``, which is 300 s where
    the kit says nothing; results, which may be long under way, are still given that time.

    Args:
        fl_ctx: a context of the site at the start of a run.
    """
    runner: Any = fl_ctx.get_prop(FLContextKey.RUNNER)
    if runner is None or not runner.get_task_timeout:
        return
    engine: Any = fl_ctx.get_engine()
    communicator = engine.client.communicator
    runner.submit_task_result_timeout = runner.submit_task_result_timeout or communicator.timeout
    communicator.timeout = min(communicator.timeout, runner.get_task_timeout)


def publish_registration(registration: Registration, fl_ctx: FLContext) -> None:
    """Puts it where the server reads it at the first request, with what proves whose it is."""
    fl_ctx.set_prop(REGISTRATION, registration.to_dict(), private=False, sticky=True)
    publish_start(fl_ctx)
    publish_token(fl_ctx)
