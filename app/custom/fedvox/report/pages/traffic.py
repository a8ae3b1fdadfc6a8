"""The report's section on bytes: what the messages of the rounds weighed, and what they bought."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedvox.report.figures.traffic import draw_traffic
from fedvox.report.pages.html import byte_size, picture
from fedvox.report.records.rounds import bytes_of

Record = Mapping[str, Any]


def traffic_section(rounds: Sequence[Record], phantom: bool) -> str:
    """Two panels and their totals; nothing where no round has bytes on record.

    Args:
        rounds: records of ``rounds.jsonl``.
        phantom: whether the cases are phantoms; the caption then says so.
    """
    trained = [record for record in rounds if not record.get("final")]
    if not any(bytes_of(record, "bytes_up") + bytes_of(record, "bytes_down") for record in trained):
        return ""
    up, down = (sum(bytes_of(r, key) for r in trained) for key in ("bytes_up", "bytes_down"))
    after = sum(bytes_of(r, "bytes_up") + bytes_of(r, "bytes_down") for r in rounds) - up - down
    text = f"<p>Training sent {byte_size(up)} up and {byte_size(down)} down"
    text += f"; the evaluation {byte_size(after)} more" if after else ""
    caption = "Left: validation Dice against all bytes that were sent for it. Right: each round."
    caption += " Phantom data." * phantom
    alternative = "Validation Dice by bytes sent, and bytes up and down by round"
    return f"{text}.</p>\n{picture(draw_traffic(rounds), alternative, caption)}"
