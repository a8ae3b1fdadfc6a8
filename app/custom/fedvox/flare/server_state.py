"""The server's memory of a run, on disk: global models, chosen version, finished rounds."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fedvox.aggregation.selection import Best, better
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.update import Arrays
from fedvox.errors import ModelError
from fedvox.files import write_arrays, write_json
from fedvox.report.results import write_rounds
from fedvox.report.rounds import read_rounds
from fedvox.training.weights import weights_hash


class ServerState:
    """``model_<version>.safetensors``, ``state.json``, ``rounds.jsonl``, ``incoming/``.

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
    def best(self) -> Best | None:
        """The best earlier version on validation cases, None before any was validated."""
        entry = self._state().get("best")
        return Best(int(entry["version"]), float(entry["score"])) if entry else None

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
        return self._load(self.version, "hash")

    def load_best(self) -> dict[str, np.ndarray] | None:
        """The best earlier global model, None before any was validated."""
        return self._load(self.best.version, "best_hash") if self.best else None

    def finish_round(self, received: Arrays, model: Arrays, record: dict[str, Any]) -> None:
        """Keeps what a round leaves: the new model, its record and, if it was the best, the old.

        Args:
            received: the global model that the round started from and that sites validated.
            model: the new global model.
            record: the round's record.
        """
        index = int(record["round"])
        state: dict[str, Any] = self._state()
        chosen = better(self.best, index, record["validation"]) if index else None
        if chosen is not None and chosen != self.best:
            write_arrays(self.model_path(index), received)
            state |= {"best": asdict(chosen), "best_hash": weights_hash(received)}
        write_arrays(self.model_path(index + 1), model)
        write_rounds(self.folder / "rounds.jsonl", [*self.rounds()[:index], record])
        write_json(
            self.folder / "state.json",
            {**state, "version": index + 1, "hash": weights_hash(model)},
        )
        needed = {
            self.model_path(index + 1),
            self.model_path(self.best.version if self.best else 0),
        }
        for path in set(self.folder.glob("model_*.safetensors")) - needed:
            path.unlink()

    def model_path(self, version: int) -> Path:
        """Where a version of the global model lies."""
        return self.folder / f"model_{version:05d}.safetensors"

    def _state(self) -> dict[str, Any]:
        path = self.folder / "state.json"
        return dict(json.loads(path.read_text())) if path.is_file() else {}

    def _load(self, version: int, key: str) -> dict[str, np.ndarray]:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            weights = load_file(str(self.model_path(version)))
        except (SafetensorError, OSError):
            raise ModelError(
                f"the server's checkpoint of round {version} is damaged; submit the job afresh"
            ) from None
        if weights_hash(weights) != self._state()[key]:
            raise ModelError(
                f"the server's checkpoint of round {version} is not the one it wrote; "
                "submit the job afresh"
            )
        return dict(weights)
