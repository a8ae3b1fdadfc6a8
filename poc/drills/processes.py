"""Processes that are killed or stopped."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import psutil

from drills.stage import LINKED, SITES, Ended, Stage
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


KILLS = (Kill("site", False), Kill("site", True), Kill("server", False), Kill("server", True))
Drill = Callable[[Stage, int, Ended], dict[str, object]]
"""From the running federation, a seed of what is random and the undisturbed run to figures, of
which ``passed`` decides."""


def play_kills(
    which: tuple[Kill, ...], count: int, stage: Stage, seed: int, plain: Ended
) -> dict[str, object]:
    """Submits the job, kills at random moments, waits for the end and compares.

    Args:
        which: what may be killed.
        count: kills in one run.
        stage: the running federation.
        seed: of the moments and of who is killed.
        plain: the undisturbed run.
    """
    source = random.Random(f"{which} {count} {seed}")
    kills = [source.choice(which) for _ in range(count)]
    moments = sorted(source.uniform(0.0, 1.1) * plain.trained for _ in kills)
    began = time.monotonic()
    job_id = stage.submit()
    stage.await_start(job_id)
    killed, told, before, ready = [], [], [], time.monotonic()
    for kill, moment in zip(kills, moments):
        time.sleep(max(0.0, ready + moment - time.monotonic()))
        before.append(stage.records(job_id))
        who = kill.play(stage, job_id, source)
        killed.append((kill.who, who, len(before[-1])))
        told.append(f"{who}{' whole' if kill.whole else ''} in round {len(before[-1]) + 1}")
    end = stage.await_end(job_id, began)
    after = stage.records(job_id)
    full = end.rounds == plain.rounds
    kept = all(after[: len(records)] == records for records in before)
    back = all(
        contributes_again(name, done, end.rounds) for who, name, done in killed if who == "site"
    )
    missing, unevaluated = stage.check_download(job_id)
    return {
        "what": "; ".join(told),
        "killed": [who for who, *_ in killed],
        "status": end.status,
        "seconds": round(end.seconds, 1),
        "lost_seconds": round(end.seconds - plain.seconds, 1),
        "all_contributed": full,
        "same_weights": end.weights == plain.weights,
        "finished_rounds_kept": kept,
        "contributes_again": back,
        "not_downloaded": missing,
        "unevaluated": unevaluated,
        "restarts": end.restarts,
        "passed": end.status == DONE
        and (end.weights == plain.weights or not full)
        and kept
        and back
        and not missing,
    }


def contributes_again(name: str, done: int, rounds: Sequence[Sequence[str]]) -> bool:
    """Is a site in the round in which it was killed, or in one of the two after it?

    Args:
        name: of the site.
        done: rounds that were finished when it was killed.
        rounds: contributors of each round of the run.
    """
    near = rounds[done : done + 3]
    return not near or any(name in contributors for contributors in near)


WAIT = 15
"""Seconds that the job of :func:`stop_site` waits for a site."""
SLACK = 10
"""Seconds that a round may take longer."""


def stop_site(stage: Stage, seed: int, plain: Ended) -> dict[str, object]:
    """Stops all processes of a site (SIGSTOP) after the first round, for three rounds."""
    job = stage.variant("stopped", "waiting.sites=2", f"waiting.round={WAIT}")
    name, began = random.Random(seed).choice(SITES), time.monotonic()
    job_id = stage.submit(job)
    stage.await_round(job_id, 1)
    stopped = stage.processes(name)
    for process in stopped:
        process.suspend()
    try:
        stage.await_round(job_id, 4)
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()
    end = stage.await_end(job_id, began)
    slowest = max(float(record["seconds"]) for record in stage.records(job_id))
    missed = sum(name not in sites for sites in end.rounds)
    return {
        "what": f"{name} stopped after round 1",
        "status": end.status,
        "seconds": round(end.seconds, 1),
        "slowest_round": slowest,
        "missed_rounds": missed,
        "passed": end.status == DONE and missed > 0 and slowest <= WAIT + SLACK,
    }


def cut_link(cut: float, stage: Stage, seed: int, plain: Ended) -> dict[str, object]:
    """Cuts a site's link to the server at a random moment.

    Args:
        cut: seconds until it is there again.
        stage: the running federation.
        seed: of the moment.
        plain: the undisturbed run.
    """
    moment = random.Random(f"{cut} {seed}").uniform(0.0, 1.0) * plain.trained
    began = time.monotonic()
    job_id = stage.submit()
    stage.await_start(job_id)
    time.sleep(moment)
    version = stage.version(job_id)
    stage.link.cut()
    try:
        time.sleep(cut)
    finally:
        stage.link.restore()
    end = stage.await_end(job_id, began)
    missing, unevaluated = stage.check_download(job_id)
    return {
        "what": f"{LINKED} without link for {cut:g} s in round {version + 1}",
        "status": end.status,
        "seconds": round(end.seconds, 1),
        "lost_seconds": round(end.seconds - plain.seconds, 1),
        "same_weights": end.weights == plain.weights,
        "not_downloaded": missing,
        "unevaluated": unevaluated,
        "restarts": end.restarts,
        "passed": end.status == DONE
        and not missing
        and not unevaluated
        and all(len(sites) == len(set(sites)) for sites in end.rounds)
        and (end.weights == plain.weights or end.rounds != plain.rounds),
    }


PROCESSES: dict[str, Drill] = {
    "kill_site_job": partial(play_kills, KILLS[:1], 1),
    "kill_site": partial(play_kills, KILLS[1:2], 1),
    "kill_server_job": partial(play_kills, KILLS[2:3], 1),
    "kill_server": partial(play_kills, KILLS[3:], 1),
    "kill_two": partial(play_kills, KILLS, 2),
    "stop_site": stop_site,
    "cut_link_5": partial(cut_link, 5.0),
    "cut_link_30": partial(cut_link, 30.0),
    "cut_link_120": partial(cut_link, 120.0),
}
"""Drills by name."""
