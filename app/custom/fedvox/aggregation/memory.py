"""What the server remembers from one round to the next, beside the global model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fedvox.aggregation.update import Arrays
from fedvox.tensors import write_arrays

NUMBERS = "numbers"


@dataclass(frozen=True)
class Memory:
    """The memory of a rule that weighs or of the server's optimiser; empty before the first round.

    It is written with the round's model and named with its hash in ``state.json``, so it is as
    whole as the model after a kill.

    Attributes:
        arrays: name -> array, such as ``momentum.<tensor>``.
        numbers: plain JSON values, such as moving averages by site.
    """

    arrays: Arrays = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.arrays or self.numbers)

    def extended(self, more: "Memory") -> "Memory":
        """This memory with the entries of another; where both have a name, the other's."""
        return Memory({**self.arrays, **more.arrays}, {**self.numbers, **more.numbers})

    def write(self, path: Path) -> None:
        """Writes it atomically."""
        write_arrays(path, self.arrays, {NUMBERS: json.dumps(self.numbers)})

    @staticmethod
    def read(path: Path) -> "Memory":
        """Reads what :meth:`write` wrote; whoever reads has compared its hash before."""
        from safetensors import safe_open

        with safe_open(str(path), "np") as file:
            names = file.keys()
            arrays = {name: np.asarray(file.get_tensor(name)) for name in names}
            return Memory(arrays, json.loads(file.metadata()[NUMBERS]))
