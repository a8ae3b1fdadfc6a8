"""What compression adds to a round at real size, in seconds, beside the round's training.

jobs/fedsegnet with the paper's SwinUNETR (feature size 48, window 7): 62 million entries. At a
site, up: the residual is read, added to the update, coded, written again; down: the server's
message is decoded, the model moved, hashed and written. Files lie in the folder for temporary
files. Medians of --rounds rounds after a first one. The update is noise with heavy tails. Beside
it the seconds of one training step of the same network, batch 1, on --threads threads of this CPU.

`share`: what compression adds at a site, over --steps training steps.
`step_seconds_at_2_percent`: a step that takes so long, on a GPU say, makes that 2%. At the server,
while sites wait: `server_read_seconds` for each update, `server_step_seconds` once per round.

Example:
    python benchmarks/compression_time.py
    python benchmarks/compression_time.py --quick
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from fedvox.aggregation.downlink import Downlink, Message, sent_from
from fedvox.aggregation.memory import Memory
from fedvox.compression.codec import decode
from fedvox.compression.replica import moved
from fedvox.compression.schema import Schema
from fedvox.compression.threads import usable_threads
from fedvox.data.cases.patches import Batch
from fedvox.flare.jobs.overrides import apply_overrides
from fedvox.job.device import prepare_device, to_device
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings, job_from
from fedvox.job.weights import weights_of
from fedvox.training.replica import Replica, save_replica
from fedvox.training.step import build_step
from fedvox.training.uplink import compress_update

JOB = Path(__file__).parents[1] / "jobs/fedsegnet/app/config/training.json"
REAL = ["network.feature_size=48", "network.window=7"]
WAYS = ["compression.warmup=0", "training.client_weight=cases", "training.rounds=100"]
LIMIT = 0.02

Weights = dict[str, np.ndarray]
T = TypeVar("T")


def job_of(patch: int, threads: int, quick: bool) -> JobSettings:
    """jobs/fedsegnet at real size, with compression both ways."""
    size = [f"data.patch=[{patch},{patch},{patch}]", f"training.threads={threads}"]
    changes = [*size, *WAYS, *([] if quick else REAL)]
    return job_from(apply_overrides(json.loads(JOB.read_text()), changes))


def trained(received: Mapping[str, np.ndarray], seed: int) -> Weights:
    """Weights after a round: noise with heavy tails, of another scale in each tensor."""
    generator, after = np.random.default_rng(seed), {}
    for name, array in received.items():
        noise = generator.standard_normal(array.shape, np.float32)
        noise *= np.abs(noise) * np.float32(generator.uniform(1e-4, 1e-3))
        after[name] = array + noise
    return after


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What a call gives, and its wall-clock seconds."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def receive(held: Weights, messages: list[Message], version: int, state: Path) -> Weights:
    """The site's next model, as its filter makes, names and keeps it."""
    arrays = dict(held)
    for message in messages:
        own = {name: arrays[name] for name in message.names}
        arrays |= moved(own, decode(message.payload, Schema.of(own), usable_threads()))
    replica = Replica(version, arrays)
    if not replica.name:
        raise AssertionError("a model without a name")
    save_replica(replica, state)
    return arrays


def one_round(
    job: JobSettings, held: Weights, memory: Memory, index: int, state: Path
) -> tuple[Weights, Memory, dict[str, float]]:
    """A site's round and the server's part of it: next model, memory, seconds and bytes."""
    assert job.compression is not None
    server = Downlink(job.compression, job.training.rounds)
    after = trained(held, index)
    sent, up = timed(lambda: compress_update(after, held, job, index, state))
    _, read = timed(lambda: moved(held, decode(sent.payload, Schema.of(held), usable_threads())))
    (model, memory), step = timed(lambda: server.step(index, held, sent.arrays, memory))
    going = sent_from(memory)
    assert going is not None
    messages = list(going.messages)
    following, down = timed(lambda: receive(held, messages, index + 1, state))
    if any(not np.array_equal(following[name], model[name]) for name in model):
        raise AssertionError("the site's model is not the server's")
    row = {"up_seconds": up, "down_seconds": down}
    row |= {"server_read_seconds": read, "server_step_seconds": step}
    row |= {"up_bytes": len(sent.payload), "down_bytes": sum(len(m.payload) for m in messages)}
    return following, memory, row


def round_seconds(job: JobSettings, rounds: int, state: Path) -> dict[str, float]:
    """Medians of a site's two directions and of the server's part, and bytes of the messages."""
    held, memory = weights_of(initial_model(job)), Memory()
    rows = []
    for index in range(rounds + 1):
        held, memory, row = one_round(job, held, memory, index, state)
        print(f"round {index}: " + ", ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
        rows.append(row)
    return {key: statistics.median(row[key] for row in rows[1:]) for key in rows[0]}


def step_seconds(job: JobSettings, patch: int) -> float:
    """Seconds of the second training step; the first one allocates."""
    device = prepare_device(job.training)
    step = build_step(job, to_device(initial_model(job), device).train(), device)
    source = torch.Generator().manual_seed(0)
    shape, organs = (patch, patch, patch), len(job.data.organs)
    batch = Batch(
        torch.rand(1, len(job.data.channels), *shape, generator=source),
        torch.randint(0, organs + 1, (1, *shape), generator=source).to(torch.uint8),
        torch.ones(1, organs, dtype=torch.bool),
        torch.ones(1, len(job.data.channels), dtype=torch.bool),
    )
    _, first = timed(lambda: step(batch, (0, "site", 0, 0), 1e-3))
    loss, second = timed(lambda: float(step(batch, (0, "site", 0, 1), 1e-3)))
    print(f"training step: {first:.2f} s, then {second:.2f} s, loss {loss:.3f}", flush=True)
    return second


def main() -> int:
    """Measures both and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken (3)")
    parser.add_argument("--steps", type=int, default=250, help="training steps of a round (250)")
    parser.add_argument("--threads", type=int, default=2, help="of a training step (2)")
    parser.add_argument("--patch", type=int, default=96, help="edge of a patch in voxels (96)")
    parser.add_argument("--quick", action="store_true", help="smoke run: small network and patch")
    args = parser.parse_args()
    patch, rounds = (64, 1) if args.quick else (args.patch, args.rounds)
    job = job_of(patch, args.threads, args.quick)
    with tempfile.TemporaryDirectory() as folder:
        figures = round_seconds(job, rounds, Path(folder))
    added = figures["up_seconds"] + figures["down_seconds"]
    step = step_seconds(job, patch)
    figures |= {
        "parameters": sum(p.numel() for p in initial_model(job).parameters()),
        "added_seconds_per_round": added,
        "training_step_seconds": step,
        "steps": args.steps,
        "patch": patch,
        "threads": args.threads,
        "share": added / (args.steps * step),
        "step_seconds_at_2_percent": added / LIMIT / args.steps,
    }
    print(json.dumps({name: round(value, 5) for name, value in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
