"""A round's record as one line for the log."""

from collections.abc import Mapping
from typing import Any


def round_text(record: Mapping[str, Any], rounds: int) -> str:
    """A round's record as one line for the log: losses, validation Dice, refusals, duration."""
    losses = ", ".join(
        f"{e['site']} {'unknown' if e['train_loss'] is None else format(e['train_loss'], '.3f')}"
        for e in record["contributors"]
    )
    dice = ", ".join(f"{name} {value:.3f}" for name, value in record["validation"].items())
    refused = ", ".join(entry["site"] for entry in record["refused"])
    return (
        f"round {record['round'] + 1} of {rounds}: loss {losses or 'none'}; "
        f"validation Dice before it {dice or 'none'}; "
        + (f"refused {refused}; " if refused else "")
        + (f"nothing from {', '.join(record['missing'])}; " if record["missing"] else "")
        + f"{record['seconds']:.0f} s"
    )
