"""How a site begins a run, whatever it is asked for afterwards."""

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


def publish_registration(registration: Registration, fl_ctx: FLContext) -> None:
    """Puts it where the server reads it at the first request, with what proves whose it is."""
    fl_ctx.set_prop(REGISTRATION, registration.to_dict(), private=False, sticky=True)
    publish_start(fl_ctx)
    publish_token(fl_ctx)
