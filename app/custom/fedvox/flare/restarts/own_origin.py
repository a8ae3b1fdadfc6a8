"""A job cannot say of itself which job it is a clone of, or what its id is."""

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey

GIVEN = (JobMetaKey.JOB_ID.value, JobMetaKey.CLONED_FROM.value)
"""Keys of a job's ``meta.json`` that FLARE gives, and keeps where a submitted one has them. By them
the state of a run is found, and with it the model of whoever trained it."""


def refuse_given_origin(fl_ctx: FLContext) -> None:
    """At the server: blocks a submitted job whose ``meta.json`` holds :data:`GIVEN`."""
    meta = fl_ctx.get_prop(FLContextKey.JOB_META)
    given = [key for key in GIVEN if isinstance(meta, dict) and meta.get(key)]
    if given:
        reason = (
            f"the job's meta.json holds {' and '.join(given)}, which the server gives; take it "
            "out. 'nvflare job clone' makes a clone"
        )
        fl_ctx.set_prop(FLContextKey.JOB_BLOCK_REASON, reason, sticky=False)
