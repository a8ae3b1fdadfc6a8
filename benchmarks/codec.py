"""Speed and memory of the codec against `torch.topk` and a naive pack, and hostile messages.

62 million float32 entries in 20 tensors with heavy tails. Ours: the largest entries, 4 bits each,
coded, and decoded to dense tensors. The rival, in turn with ours: `torch.topk` of the magnitudes,
places as int32 and values as float16, as bytes, and back to a dense tensor; without quantisation,
entropy code or check sum. Medians, at a share of 0.01 and of 0.1, on one thread and on two; the
speed-up is the least of the four. Peak memory is what a process of its own takes beside the update
from `compress` to `decode`, dense result included, over the size of the update. Hostile messages
are sound ones with bits, numbers and lengths changed, cut, repeated or replaced by bombs, half of
them with a check sum that is right: each must be refused, or stand for finite tensors.

Example:
    python benchmarks/codec.py
    python benchmarks/codec.py --quick
"""

import argparse
import json
import platform
import statistics
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fedvox.compression.codec import HEADER, decode, encode
from fedvox.compression.compress import compress
from fedvox.compression.positions import entropy
from fedvox.compression.schema import Schema
from fedvox.compression.settings import Coding
from fedvox.errors import CodecError

SHARES, THREADS = (0.01, 0.1), (1, 2)
BITS, BLOCK = 4, 512
PARTS = ("memory", "hostile")
MIB = 2**20


def heavy_update(entries: int, tensors: int = 20) -> dict[str, np.ndarray]:
    """Tensors of different scales; the kurtosis of each is 12, of a normal law it is 3."""
    generator = np.random.default_rng(0)
    update = {}
    for index in range(tensors):
        array = generator.standard_normal(entries // tensors, np.float32)
        array *= np.abs(array) * np.float32(generator.uniform(1e-4, 1e-3))
        update[f"layer{index:02d}"] = array
    return update


def ours(update: dict[str, np.ndarray], coding: Coding, threads: int) -> int:
    """Encodes and decodes; bytes of the message."""
    data = encode(compress(update, coding, threads=threads), threads)
    decode(data, Schema.of(update), threads)
    return len(data)


def rival(flat: np.ndarray, share: float, threads: int) -> int:
    """The naive pack and back; bytes of the message."""
    import torch

    torch.set_num_threads(threads)
    tensor = torch.from_numpy(flat)
    _, places = torch.topk(tensor.abs(), round(share * len(flat)))
    data = places.numpy().astype(np.int32).tobytes()
    data += tensor[places].numpy().astype(np.float16).tobytes()
    count = len(data) // 6
    dense = np.zeros(len(flat), np.float32)
    dense[np.frombuffer(data, np.int32, count)] = np.frombuffer(data, np.float16, count, 4 * count)
    return len(data)


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(entries: int, repeats: int) -> dict[str, float]:
    """Both in turn for each share and number of threads."""
    update = heavy_update(entries)
    flat = np.concatenate(list(update.values()))
    figures: dict[str, float] = {}
    for share in SHARES:
        coding = Coding(share, BITS, block=BLOCK)
        size, naive = ours(update, coding, 1), rival(flat, share, 1)
        bound = len(flat) * (entropy(share) + BITS * share) / 8
        print(
            f"share {share}: {size} bytes, naive {naive}, H(p) and {BITS} bits a value {bound:.0f}"
        )
        figures |= {f"bytes_{share}": size, f"bound_{share}": round(bound)}
        figures[f"naive_bytes_{share}"] = naive
        for threads in THREADS:
            times = [
                (
                    seconds(lambda c=coding, t=threads: ours(update, c, t)),  # type: ignore[misc]
                    seconds(lambda s=share, t=threads: rival(flat, s, t)),  # type: ignore[misc]
                )
                for _ in range(repeats)
            ]
            mine, other = (statistics.median(column) for column in zip(*times))
            print(f"  {threads} threads: {mine:.2f} s, rival {other:.2f} s", flush=True)
            name = f"{share}_{threads}_threads"
            figures |= {f"seconds_{name}": mine, f"rival_seconds_{name}": other}
            figures[f"speedup_{name}"] = other / mine
    figures["codec_speedup"] = min(v for key, v in figures.items() if key.startswith("speedup"))
    return figures


def spoil(body: bytes, generator: np.random.Generator) -> bytes:
    """A message without its check sum, changed in one of eight ways."""
    spoilt = bytearray(body)
    place, other = sorted(int(n) for n in generator.integers(0, len(body), 2))
    start = HEADER.size
    match generator.integers(8):
        case 0:
            spoilt[place] ^= 1 << int(generator.integers(8))
        case 1:
            spoilt[place : place + 4] = generator.bytes(4)
        case 2:
            del spoilt[place:other]
        case 3:
            spoilt[place:place] = spoilt[place:other]
        case 4:
            spoilt[start:] = generator.bytes(other)
        case 5:  # a number of the header
            at = int(generator.choice([6, 10, 14]))
            spoilt[at : at + 4] = struct.pack("<I", int(generator.choice([0, 1, 2**20, 2**32 - 1])))
        case 6:  # a length or a count somewhere
            spoilt[place : place + 4] = struct.pack("<I", int(generator.choice([0, 1, 2**32 - 1])))
        case 7:  # a stream of zeros, a thousand times as long as its bytes
            spoilt[place : place + 4] = struct.pack("<I", len(BOMB)) + BOMB
    return bytes(spoilt)


BOMB = zlib.compress(bytes(20_000_000), wbits=-15)


def sound(entries: int) -> list[tuple[bytes, Schema]]:
    """Messages without check sum of several codings, of a matrix of so many entries and a bias."""
    generator, messages = np.random.default_rng(1), []
    for coding in (Coding(0.02, 2), Coding(0.2, 4), Coding(0.1, 32), Coding(1.0, 8, 64)):
        sizes = {"bias": 20, "weight": entries}
        update = {name: generator.normal(size=n).astype("float32") for name, n in sizes.items()}
        messages.append((encode(compress(update, coding))[:-4], Schema.of(update)))
    return messages


def hostile(count: int) -> dict[str, float]:
    """Decodes spoilt messages, one in 200 large; what became of them, and the memory it took."""
    small, large = sound(3600), sound(MIB + 1000)
    generator, tally = np.random.default_rng(1), {"refused": 0, "harmless": 0}
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = memory("VmRSS")
    for number in range(count):
        body, schema = (large if number % 200 == 0 else small)[int(generator.integers(4))]
        spoilt = spoil(body, generator)
        sealed = number // 2 % 2 == 0 or spoilt == body
        check = zlib.crc32(spoilt if sealed else body)
        try:
            result = decode(spoilt + struct.pack("<I", check), schema)
        except CodecError:
            tally["refused"] += 1
        else:
            if not sealed or not all(np.isfinite(array).all() for array in result.values()):
                raise AssertionError("a spoilt message was taken for a sound one")
            tally["harmless"] += 1
    return {
        "hostile": count,
        **{f"hostile_{name}": number for name, number in tally.items()},
        "hostile_peak_mib": (memory("VmHWM") - before) / MIB,
    }


def peak_memory(entries: int, share: float, threads: int) -> dict[str, float]:
    """Highest memory beside the update, as a multiple of it."""
    update = heavy_update(entries)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = memory("VmRSS")
    ours(update, Coding(share, BITS, block=BLOCK), threads)
    return {"peak": (memory("VmHWM") - before) / (4 * entries)}


def memory(name: str) -> int:
    """``VmRSS``, memory of this process in bytes, or ``VmHWM``, the most there was."""
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in status if line.startswith(name)).split()[1])


def alone(part: str, entries: int, count: int, share: float) -> dict[str, float]:
    """Runs a part of this benchmark in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--share", str(share)]
    command += ["--entries", str(entries), "--hostile", str(count)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(result.stdout))


def main() -> int:
    """Measures all and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, help="of the update (default 62 million, quick 1)")
    parser.add_argument("--hostile", type=int, help="messages (default 100000, quick 2000)")
    parser.add_argument("--quick", action="store_true", help="smoke run: few entries, once")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)  # how it calls itself
    parser.add_argument("--share", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    entries = args.entries or (1_000_000 if args.quick else 62_000_000)
    count = args.hostile or (2_000 if args.quick else 100_000)
    if args.part:
        part = hostile(count) if args.part == "hostile" else peak_memory(entries, args.share, 2)
        print(json.dumps(part))
        return 0
    print(
        f"{platform.processor() or platform.machine()}, {entries} entries, numpy {np.__version__}"
    )
    figures = compare(entries, 1 if args.quick else 3)
    peaks = [alone("memory", entries, count, share)["peak"] for share in SHARES]
    figures |= {"peak_memory": max(peaks), **alone("hostile", entries, count, 0)}
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
