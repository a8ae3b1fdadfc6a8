"""A site's optimiser and personal tensors between rounds, on disk, so that no process has to live.

The state after round r lies in files of its own. Training round r again starts from the state after
the last round before r, so a task that is sent twice gives the same numbers twice. The personal
tensors are written before the optimiser's state and count only once that is there, so a site that
is killed in between finds the round before whole.
"""

import hashlib
import json
import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from fedvox.aggregation.update import Arrays
from fedvox.errors import ConfigError
from fedvox.files import PRIVATE, private_folder, write_json
from fedvox.tensors import write_arrays, write_tensors

KEEP = 2
OPTIMIZER = "optimizer"
PERSONAL = "personal"
RESIDUAL = "residual"
COUNTED = "residual_counted.json"
NOISE = "noise_in_steps.json"


def note_steps(folder: Path, noise: bool) -> None:
    """Before a round: notes whether its steps get noise, so that none without goes on in one with.

    What such a round leaves here, moments, personal tensors, what compression left out, shows in
    later updates, past what their noise hides.

    Args:
        folder: the site's state folder of this run.
        noise: whether the steps of the coming round get noise.

    Raises:
        ConfigError: they do, and earlier ones here did not.
    """
    note = folder / NOISE
    if not noise:
        note.unlink(missing_ok=True)
        return
    if note.is_file():
        return
    if any(_saved(folder, kind) for kind in (OPTIMIZER, PERSONAL, RESIDUAL)):
        raise ConfigError(
            "earlier rounds of this run had no noise in their steps, and what they left at the "
            f"site would leave with this one; delete the run's folder {folder.name} among the "
            "site's states (its optimiser and own tensors begin anew), or submit the job as a new "
            "one"
        )
    private_folder(folder)
    write_json(note, {"noise": True}, PRIVATE)


def save_optimizer(optimizer: torch.optim.Optimizer, folder: Path, round_index: int) -> None:
    """Writes the state after ``round_index`` atomically; keeps it and the one before it.

    States of later rounds belong to a course that the server gave up, and are dropped too.

    Args:
        optimizer: of named parameters; by their names the state is found again, also by a site
            that has gained parts of the network since.
        folder: the site's state folder of this run.
        round_index: from 0.
    """
    names = _parameter_names(optimizer)
    tensors = {
        f"{names[parameter]}.{key}": value
        for parameter, entries in optimizer.state_dict()["state"].items()
        for key, value in entries.items()
        if isinstance(value, torch.Tensor)
    }
    write_tensors(_path(folder, OPTIMIZER, round_index), tensors, mode=PRIVATE)
    saved = _saved(folder)
    kept = sorted(index for index in saved if index <= round_index)[-KEEP:]
    for index in set(saved) - set(kept):
        saved[index].unlink()


def load_optimizer(optimizer: torch.optim.Optimizer, folder: Path, round_index: int) -> bool:
    """Loads the newest state from before ``round_index``; what a parameter lacks begins anew.

    Returns:
        False when there is none: the site trains for the first time.
    """
    earlier = {index: path for index, path in _saved(folder).items() if index < round_index}
    if not earlier:
        return False
    from safetensors.torch import load_file

    places = {name: place for place, name in enumerate(_parameter_names(optimizer))}
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in load_file(str(earlier[max(earlier)])).items():
        parameter, _, key = name.rpartition(".")
        if parameter in places:
            state.setdefault(places[parameter], {})[key] = tensor
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    return True


def _parameter_names(optimizer: torch.optim.Optimizer) -> list[str]:
    """Names of the parameters in the order of the optimiser's state."""
    return [name for group in optimizer.param_groups for name in group["param_names"]]


def save_personal(arrays: Arrays, folder: Path, round_index: int) -> None:
    """Writes the personal tensors after ``round_index`` atomically, before the optimiser's state.

    Those of later rounds belong to a course that the server gave up, and are dropped.
    """
    for index, path in _saved(folder, PERSONAL).items():
        if index > round_index:
            path.unlink()
    write_arrays(_path(folder, PERSONAL, round_index), arrays, mode=PRIVATE)


def load_personal(
    folder: Path, before: int | None = None, or_later: bool = False
) -> dict[str, np.ndarray]:
    """The site's newest personal tensors, or those that belong to a version of the global model.

    Args:
        folder: the site's state folder of this run.
        before: rounds that the global model has behind it; None for the newest.
        or_later: where the site had none with that version, since it came later, its first ones.
            Never for training, which would then differ when a task is sent twice.

    Returns:
        Name -> array; empty before the site trained.
    """
    from safetensors.numpy import load_file

    kept = _kept_personal(folder)
    index = max(kept, default=None) if before is None else _earlier(kept, before)
    if index is None and or_later:
        index = min(kept, default=None)
    return {} if index is None else dict(load_file(str(kept[index])))


def drop_personal(folder: Path, versions: Collection[int]) -> None:
    """Deletes the personal tensors that no version of the global model asks for any more.

    Args:
        folder: the site's state folder of this run.
        versions: of the global model that the server keeps, since one of them may be the best.
    """
    kept = _kept_personal(folder)
    wanted = {_earlier(kept, version) for version in versions}
    if None in wanted:
        wanted.add(min(kept, default=None))
    for index in sorted(kept)[:-KEEP]:
        if index not in wanted:
            kept[index].unlink()


def save_residual(arrays: Arrays, folder: Path, round_index: int) -> None:
    """Writes what compression left out up to and with a round; keeps it and the one before it."""
    write_arrays(_path(folder, RESIDUAL, round_index), arrays, mode=PRIVATE)
    saved = _saved(folder, RESIDUAL)
    kept = sorted(index for index in saved if index <= round_index)[-KEEP:]
    for index in set(saved) - set(kept):
        saved[index].unlink()


def load_residual(folder: Path, round_index: int) -> dict[str, np.ndarray]:
    """What compression left out in the rounds before ``round_index``, as far as it counts.

    Empty before the first round, and where nothing of it counts (:func:`count_residual`).
    """
    from safetensors.numpy import load_file

    earlier = [index for index in _saved(folder, RESIDUAL) if index < round_index]
    share = _counted(folder, max(earlier)) if earlier else 0.0
    if not share:
        return {}
    arrays = dict(load_file(str(_path(folder, RESIDUAL, max(earlier)))))
    return arrays if share == 1.0 else {n: np.float32(share) * a for n, a in arrays.items()}


def count_residual(folder: Path, round_index: int, share: float) -> None:
    """Remembers that of what was left out up to and with a round only a share counts any more.

    Args:
        folder: the site's state folder of this run.
        round_index: whose update the server did not take in full.
        share: that it took.
    """
    write_json(folder / COUNTED, {"round": round_index, "share": share}, PRIVATE)


def _counted(folder: Path, round_index: int) -> float:
    """The share that counts of what was left out up to and with a round."""
    path = folder / COUNTED
    if not path.is_file():
        return 1.0
    told = json.loads(path.read_text(encoding="utf-8"))
    return float(told["share"]) if round_index <= told["round"] else 1.0


def state_hash(folder: Path) -> str:
    """Fingerprint of the newest saved state, empty when there is none."""
    saved = _saved(folder)
    if not saved:
        return ""
    newest = max(saved)
    digest = hashlib.sha256(saved[newest].read_bytes())
    if (path := _path(folder, PERSONAL, newest)).is_file():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _earlier(kept: Collection[int], version: int) -> int | None:
    """The last round that a version of the global model has behind it, of those at hand."""
    return max((index for index in kept if index < version), default=None)


def _kept_personal(folder: Path) -> dict[int, Path]:
    """Personal tensors by round, without those of a round that was not finished."""
    last = max(_saved(folder), default=-1)
    return {i: path for i, path in _saved(folder, PERSONAL).items() if i <= last}


def _path(folder: Path, kind: str, round_index: int) -> Path:
    return folder / f"{kind}_{round_index:05d}.safetensors"


def _saved(folder: Path, kind: str = OPTIMIZER) -> dict[int, Path]:
    name = re.compile(rf"{kind}_(\d+)\.safetensors$")
    found = ((name.match(path.name), path) for path in folder.glob(f"{kind}_*.safetensors"))
    return {int(match.group(1)): path for match, path in found if match}
