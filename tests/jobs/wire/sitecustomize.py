"""Imported by every Python process of a test run: notes what tensors FLARE's messages hold.

It stands around the functions that turn a message into the bytes that are sent, and back. FLARE
sends the names of a model's tensors in one message and the arrays, as numpy files, in another.
"""

import os
import re
import sys
from pathlib import Path

from nvflare.fuel.f3.cellnet import cell, core_cell, utils

TENSOR = re.compile(
    rb"(?:model|tailored|shared|fusion|decoder)\.[\w.]+\.(?:weight|bias|running_mean|running_var)"
    rb"|memory\.(?:ct|mr|t1ce|t1|t2|flair)|prototypes"
)
ARRAY = b"\x93NUMPY"
SITE = re.compile(r"site-\d+")
encode, decode = utils.encode_payload, utils.decode_payload


def note(way, payload):
    parts = payload if isinstance(payload, list) else [payload]
    content = b"".join(
        bytes(part) for part in parts if isinstance(part, bytes | bytearray | memoryview)
    )
    names = sorted({name.decode() for name in TENSOR.findall(content)})
    if names or ARRAY in content:
        worker = [word for word in sys.orig_argv if "simulator_worker" in word]
        places = SITE.findall(" ".join(sys.orig_argv)) if worker else []
        place = places[-1] if places else "server"
        with (Path(os.environ["WIRE"]) / f"{os.getpid()}.txt").open("a") as file:
            file.write(f"{place} {way} {content.count(ARRAY)} {' '.join(names)}\n")


def encode_payload(message, *args, **kwargs):
    size = encode(message, *args, **kwargs)
    note("sent", message.payload)
    return size


def decode_payload(message, *args, **kwargs):
    note("got", message.payload)
    return decode(message, *args, **kwargs)


for module in (cell, core_cell, utils):
    module.encode_payload = encode_payload
    module.decode_payload = decode_payload
