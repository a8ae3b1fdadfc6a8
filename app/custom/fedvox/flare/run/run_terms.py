"""What a run was begun with, whether a job may go on with it, and that only one job does."""

import fcntl
import time
from collections.abc import Mapping
from typing import Any

from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey

from fedvox.aggregation.events_file import read_events
from fedvox.config import flattened, read_json, to_mapping
from fedvox.errors import ConfigError
from fedvox.files import PRIVATE, private_folder, write_json
from fedvox.flare.run.places import cloned_from, is_simulator, job_meta
from fedvox.flare.run.server_run import ServerRun
from fedvox.job.settings import JobSettings, job_from

TERMS = "run.json"
"""In the server's state of a run: the settings that it was begun with and who submitted it."""
LOCK = "lock"
FREE = (
    "name",
    "training.rounds",
    "training.continues",
    "training.minutes",
    "training.device",
    "training.precision",
    "waiting",
    "evaluation",
)
"""What a job that goes on may change; anything else would make it another run."""
MOST_NAMED = 5


def check_terms(run: ServerRun, fl_ctx: FLContext) -> None:
    """Notes what a new run is begun with; holds a job that goes on against the note.

    Raises:
        ConfigError: ``training.continues`` names a run that this job cannot go on with, or the run
            has more rounds behind it than the job asks for.
    """
    earlier = run.job.training.continues
    done, wanted = run.state.version, run.job.training.rounds
    if done > wanted:
        raise ConfigError(
            f"'training.rounds' is {wanted}, and {done} of the run that this job goes on with are "
            "done; ask for more"
        )
    if earlier and is_simulator(fl_ctx):
        raise ConfigError(
            "'training.continues' names a job, and the simulator empties its workspace at each "
            "run, so there is none to go on with; give training.rounds in one run"
        )
    path = run.state.folder / TERMS
    submitter = str(job_meta(fl_ctx).get(JobMetaKey.SUBMITTER_NAME.value) or "")
    if not earlier:
        if not path.is_file():
            terms = {"submitter": submitter, "settings": to_mapping(run.job)}
            write_json(path, terms, PRIVATE)
        return
    if not done or not path.is_file():
        raise ConfigError(
            f"'training.continues' is {earlier}, and this server has no finished round of such a "
            "job; take the id from 'nvflare job list', or submit without it"
        )
    begun = read_json(path, TERMS)
    # whoever may clone may do so with a job that goes on too; the server's policy has decided
    if begun["submitter"] != submitter and not cloned_from(fl_ctx):
        raise ConfigError(
            f"'training.continues' is {earlier}, which somebody else submitted; its lead can go on"
        )
    if found := _differences(job_from(begun["settings"], TERMS), run.job):
        raise ConfigError(
            f"this is not the job that 'training.continues' names: {'; '.join(found[:MOST_NAMED])}"
            "; take these settings as they were, or submit without it"
        )
    # a job, or its clone, that was killed in the evaluation has no round left to train
    begins = not cloned_from(fl_ctx) and all(
        event.get("job") != run.job_id for event in read_events(run.state.folder)
    )
    if wanted == done and begins:
        raise ConfigError(
            f"'training.rounds' is {wanted}, and the run that 'training.continues' names has done "
            "so many; ask for more"
        )


def claim_run(run: ServerRun, patience: float = 120.0) -> None:
    """Takes the run for this process; the system gives it back when the process ends.

    A job that is started again may find its old process still ending.

    Args:
        run: the run; holds the claim.
        patience: seconds to wait for another process.

    Raises:
        ConfigError: another process works on it.
    """
    if run.claim is not None:  # by an earlier workflow of the job
        return
    private_folder(run.state.folder)
    stream = (run.state.folder / LOCK).open("w")
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                stream.close()
                raise ConfigError(
                    "another job works on this run at this moment; wait for its end or abort it, "
                    "then submit or clone again"
                ) from None
            time.sleep(min(1.0, patience / 10))
            continue
        except OSError as error:  # some network file systems have no locks
            reason = error.strerror or type(error).__name__
            run.note(f"nothing keeps a second job off this run: no locks there ({reason})")
        run.claim = stream
        return


def _differences(before: JobSettings, job: JobSettings) -> list[str]:
    """Settings that are not as they were, in words, without those that may change."""
    old, new = flattened(before), flattened(job)
    return [
        f"'{name}' is {_shown(new, name)}, it was {_shown(old, name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
        and not any(name == free or name.startswith(f"{free}.") for free in FREE)
    ]


def _shown(values: Mapping[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "not there"
