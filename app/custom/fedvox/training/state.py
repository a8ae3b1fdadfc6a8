"""A site's optimiser state between rounds, on disk, so that no process has to live.

The state after round r lies in its own file. Training round r again starts from the state after the
last round before r, so a task that is sent twice gives the same numbers twice.
"""

import hashlib
import re
from pathlib import Path

import torch

from fedvox.files import PRIVATE
from fedvox.tensors import write_tensors

KEEP = 2
_NAME = re.compile(r"optimizer_(\d+)\.safetensors$")


def save_optimizer(optimizer: torch.optim.Optimizer, folder: Path, round_index: int) -> None:
    """Writes the state after ``round_index`` atomically; keeps it and the one before it.

    States of later rounds belong to a course that the server gave up, and are dropped too.
    """
    tensors = {
        f"{parameter}.{key}": value
        for parameter, entries in optimizer.state_dict()["state"].items()
        for key, value in entries.items()
        if isinstance(value, torch.Tensor)
    }
    write_tensors(folder / f"optimizer_{round_index:05d}.safetensors", tensors, mode=PRIVATE)
    saved = _saved(folder)
    kept = sorted(index for index in saved if index <= round_index)[-KEEP:]
    for index in set(saved) - set(kept):
        saved[index].unlink()


def load_optimizer(optimizer: torch.optim.Optimizer, folder: Path, round_index: int) -> bool:
    """Loads the newest state from before ``round_index``.

    Returns:
        False when there is none: the site trains for the first time.
    """
    earlier = {index: path for index, path in _saved(folder).items() if index < round_index}
    if not earlier:
        return False
    from safetensors.torch import load_file

    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in load_file(str(earlier[max(earlier)])).items():
        parameter, key = name.split(".", 1)
        state.setdefault(int(parameter), {})[key] = tensor
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    return True


def state_hash(folder: Path) -> str:
    """Fingerprint of the newest saved state, empty when there is none."""
    saved = _saved(folder)
    if not saved:
        return ""
    return hashlib.sha256(saved[max(saved)].read_bytes()).hexdigest()[:16]


def _saved(folder: Path) -> dict[int, Path]:
    found = ((_NAME.match(path.name), path) for path in folder.glob("optimizer_*.safetensors"))
    return {int(match.group(1)): path for match, path in found if match}
