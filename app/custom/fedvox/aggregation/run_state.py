"""The server's memory of a run, on disk: global models, chosen version, finished rounds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.rounds_file import read_rounds, write_rounds
from fedvox.aggregation.selection import Best, Course, scores_from
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.update import Arrays
from fedvox.errors import ModelError
from fedvox.files import write_json
from fedvox.tensors import read_arrays, weights_hash, write_arrays


class RunState:
    """``model_<version>.safetensors``, ``memory_<version>.safetensors``, ``state.json``,
    ``rounds.jsonl``, ``incoming/``.

    A version counts the rounds that a model has behind it; version 0 is the initial model. A
    model's file is written before ``state.json`` names it and dropped after, so a server that is
    killed in between finds the round before whole.

    Args:
        folder: the server's state folder of this run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = UpdateStore(folder / "incoming")

    @property
    def version(self) -> int:
        """Version of the newest global model, 0 before the first round ends."""
        return int(self._state().get("version", 0))

    @property
    def course(self) -> Course:
        """The versions that rounds validated, and those of them whose weights are kept."""
        kept = tuple(sorted(map(int, self._state().get("kept", {}))))
        return _course(self.rounds(), kept)

    @property
    def best(self) -> Best | None:
        """The best earlier version on validation cases, None before any was validated."""
        return self.course.best

    def rounds(self) -> list[dict[str, Any]]:
        """Records of the finished rounds."""
        path = self.folder / "rounds.jsonl"
        return read_rounds(path)[: self.version] if path.is_file() else []

    def load_last(self) -> dict[str, np.ndarray] | None:
        """The newest global model, None before the first round ends.

        Raises:
            ModelError: the checkpoint does not match its hash.
        """
        if not self.version:
            return None
        return self._load(self.version, self._state()["hash"])

    def load_best(self) -> dict[str, np.ndarray] | None:
        """The best earlier global model, None before any was validated."""
        best = self.best
        if best is None:
            return None
        return self._load(best.version, self._state()["kept"][str(best.version)])

    def load_memory(self) -> Memory:
        """What the newest round left for the next, empty before the first.

        Raises:
            ModelError: it is not the one that was written.
        """
        expected = self._state().get("memory")
        if expected is None:
            return Memory()
        path = self.memory_path(self.version)
        try:
            found = _digest(path)
        except OSError as error:
            raise ModelError(
                f"the server's memory of round {self.version} cannot be read ({error.strerror}); "
                "submit the job afresh"
            ) from None
        if found != expected:
            raise ModelError(
                f"the server's memory of round {self.version} is not the one it wrote; "
                "submit the job afresh"
            )
        return Memory.read(path)

    def finish_round(
        self,
        received: Arrays,
        model: Arrays,
        record: dict[str, Any],
        memory: Memory | None = None,
    ) -> None:
        """Keeps what a round leaves: the new model, its record and, if it may win, the old.

        Args:
            received: the global model that the round started from and that sites validated.
            model: the new global model.
            record: the round's record.
            memory: what the next round needs.
        """
        index = int(record["round"])
        earlier = self.rounds()[:index]
        hashes: dict[str, str] = self._state().get("kept", {})
        kept = tuple(sorted(int(version) for version in hashes if int(version) < index))
        course = _course(earlier, kept).after(index, scores_from(record))
        if index in course.kept:
            write_arrays(self.model_path(index), received)
            hashes = {**hashes, str(index): weights_hash(received)}
        write_arrays(self.model_path(index + 1), model)
        if memory:
            memory.write(self.memory_path(index + 1))
        write_rounds(self.folder / "rounds.jsonl", [*earlier, record])
        state = {
            "version": index + 1,
            "hash": weights_hash(model),
            "kept": {str(version): hashes[str(version)] for version in course.kept},
        }
        if memory:
            state["memory"] = _digest(self.memory_path(index + 1))
        write_json(self.folder / "state.json", state)
        needed = {self.model_path(version) for version in (*course.kept, index + 1)}
        needed.add(self.memory_path(index + 1))
        present = (p for kind in ("model", "memory") for p in self.folder.glob(f"{kind}_*"))
        for path in set(present) - needed:
            path.unlink()

    def model_path(self, version: int) -> Path:
        """Where a version of the global model lies."""
        return self.folder / f"model_{version:05d}.safetensors"

    def memory_path(self, version: int) -> Path:
        """Where the memory lies that belongs to a version of the global model."""
        return self.folder / f"memory_{version:05d}.safetensors"

    def _state(self) -> dict[str, Any]:
        path = self.folder / "state.json"
        return dict(json.loads(path.read_text())) if path.is_file() else {}

    def _load(self, version: int, expected: str) -> dict[str, np.ndarray]:
        try:
            weights = read_arrays(self.model_path(version))
        except (ValueError, OSError):
            raise ModelError(
                f"the server's checkpoint of round {version} is damaged; submit the job afresh"
            ) from None
        if weights_hash(weights) != expected:
            raise ModelError(
                f"the server's checkpoint of round {version} is not the one it wrote; "
                "submit the job afresh"
            )
        return weights


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _course(records: list[dict[str, Any]], kept: tuple[int, ...]) -> Course:
    """The course of a run from its records; a record's scores are those of the version before."""
    tables = {int(record["round"]): scores_from(record) for record in records}
    validated = {version: own for version, own in tables.items() if version and own}
    return Course(validated, tuple(version for version in kept if version in validated))
