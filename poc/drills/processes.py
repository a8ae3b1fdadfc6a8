"""Processes that are killed or stopped."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from drills.stage import SITES, Ended, Stage
from fedvox.flare.loopback.submission import DONE

PAUSE = 5.0
"""Seconds until what was killed whole is started again, as a machine after a reboot."""


@dataclass(frozen=True)
class Kill:
    """A process, or a whole participant, that is killed.

    Attributes:
        who: ``site`` or ``server``.
        whole: with parent and watchdog, and started again after :data:`PAUSE`; else only the
            process of the job.
    """

    who: str
    whole: bool

    def play(self, stage: Stage, job_id: str, source: random.Random) -> str:
        """Kills and, where it was all, starts again."""
        name = stage.server if self.who == "server" else source.choice(SITES)
        stage.kill(name, None if self.whole else job_id)
        if self.whole:
            time.sleep(PAUSE)
            stage.federation.start(name)
        return name


KILLS = {
    "kill_site_job": (Kill("site", False),),
    "kill_site": (Kill("site", True),),
    "kill_server_job": (Kill("server", False),),
    "kill_server": (Kill("server", True),),
    "kill_two": (),
}
"""Drill -> what is killed; ``kill_two`` draws two."""
_ALL = tuple(own[0] for own in KILLS.values() if own)


def play_kills(
    name: str, stage: Stage, seed: int, plain: Ended, tell: Callable[[str], None] = print
) -> dict[str, object]:
    """Submits the job, kills at a random moment, waits for the end and compares.

    Args:
        name: of the drill.
        stage: the running federation.
        seed: of the moment and of who is killed.
        plain: the undisturbed run.
        tell: hears what happens.

    Returns:
        The drill's figures.
    """
    source = random.Random(f"{name} {seed}")
    kills = KILLS[name] or tuple(source.choice(_ALL) for _ in range(2))
    moments = sorted(source.uniform(0.0, 1.1) * plain.trained for _ in kills)
    began = time.monotonic()
    job_id = stage.submit()
    stage.await_start(job_id)
    told, ready = [], time.monotonic()
    for kill, moment in zip(kills, moments):
        time.sleep(max(0.0, ready + moment - time.monotonic()))
        version = stage.version(job_id)
        who = kill.play(stage, job_id, source)
        told.append(f"{who}{' whole' if kill.whole else ''} in round {version + 1}")
        tell(f"  {told[-1]}")
    end = stage.await_end(job_id, began)
    full = end.rounds == plain.rounds
    return {
        "what": "; ".join(told),
        "status": end.status,
        "seconds": round(end.seconds, 1),
        "lost_seconds": round(end.seconds - plain.seconds, 1),
        "all_contributed": full,
        "same_weights": end.weights == plain.weights,
        "restarts": end.restarts,
        "passed": end.status == DONE and (end.weights == plain.weights or not full),
    }
