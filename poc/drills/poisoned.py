"""A case on which a site's process dies every time."""

import json
import random
import time
from pathlib import Path

from drills.stage import SITES, Ended, Stage
from fedvox.data.site.fatal import REASON
from fedvox.files import write_json
from fedvox.flare.loopback.submission import DONE
from fedvox.flare.run.places import STATE

WAYS = ("fedvox.data.cases.prepare._prepare", "fedvox.inference.evaluate._score_case")
"""What dies with the case: its preparation, or its scoring."""


def poisoned_case(stage: Stage, seed: int, plain: Ended) -> dict[str, object]:
    """Kills a site's process whenever it prepares one training case, or scores any case.

    Args:
        stage: the running federation.
        seed: even ones die in the preparation, odd ones in the evaluation.
        plain: the undisturbed run.
    """
    source = random.Random(seed)
    name, way = source.choice(SITES), WAYS[seed % 2]
    kit = stage.kits.kit(name)
    listed = json.loads((stage.work / "data" / name / "phantom.json").read_text(encoding="utf-8"))
    case = source.choice([case["id"] for case in listed["cases"] if case["split"] == "train"])
    for path in (stage.work / "cache" / name / "prepared").glob("*.safetensors"):
        path.unlink()  # the next job prepares them anew
    module, _, function = way.rpartition(".")
    plan = {"folder": str(kit), "module": module, "function": function, "error": "SIGKILL"}
    write_json(stage.crash, plan | ({"argument": case} if way == WAYS[0] else {}))
    began = time.monotonic()
    try:
        end = stage.await_end(job_id := stage.submit(), began)
    finally:
        stage.crash.unlink()
    told = REASON in "".join(path.read_text(errors="replace") for path in logs(kit / job_id))
    others = all(set(SITES) - {name} <= set(sites) for sites in end.rounds)
    same = end.weights == plain.weights
    return {
        "what": f"{name} dies in {function.strip('_')}{f' of {case}' if way == WAYS[0] else ''}",
        "status": end.status,
        "seconds": round(end.seconds, 1),
        "lost_seconds": round(end.seconds - plain.seconds, 1),
        "restarts": end.restarts,
        "told": told,
        "same_weights": same,
        "passed": end.status == DONE
        and told
        and others
        and len(end.rounds) == stage.rounds
        and name in end.rounds[-1]
        and (same or way == WAYS[0])
        and (stage.kits.kit(stage.server) / STATE / job_id).is_dir(),
    }


def logs(folder: Path) -> list[Path]:
    """The logs of a job at a site."""
    return sorted(folder.rglob("*log*.txt"))
