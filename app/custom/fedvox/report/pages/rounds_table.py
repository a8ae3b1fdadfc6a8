"""The report's section on the course of the training: who contributed what in each round."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedvox.report.pages.html import byte_size, duration, escape, number, table
from fedvox.report.records.rounds import number_of, training_rounds

Record = Mapping[str, Any]

_HEADINGS = (
    ("Round", True),
    ("Global Dice", False),
    ("Time", True),
    ("Up / down", True),
    ("Site", False),
    ("Modality", False),
    ("Weight", True),
    ("Why this weight", False),
    ("Train loss", True),
    ("Site's Dice", True),
    ("Update norm", True),
)

_NOTE = (
    '<p class="soft small">Global Dice: validation Dice of the global model as it enters the '
    "round, mean over sites; site's Dice: the same model on that site's validation cases.</p>"
)


def rounds_table(rounds: Sequence[Record]) -> str:
    """One line per site and round, refused updates tinted; nothing without rounds."""
    if not rounds:
        return ""
    lines = [line for record in rounds for line in _round_lines(record)]
    body = table("Contributions by round", _HEADINGS, lines)
    return (
        f'{_totals(rounds)}\n{_noted(rounds)}{_NOTE}\n<div class="tall" tabindex="0">{body}</div>'
    )


def _totals(rounds: Sequence[Record]) -> str:
    seconds, up, down = (
        sum(value for value in (number_of(r, key) for r in rounds) if value == value)
        for key in ("seconds", "bytes_up", "bytes_down")
    )
    refused = sum(len(record.get("refused") or []) for record in rounds)
    sites = {part.get("site") for record in rounds for part in record.get("contributors") or []}
    evaluated = any(record.get("final") and record.get("bytes_down") for record in rounds)
    return (
        f"<p>{_count(training_rounds(rounds), 'round')}, "
        f"{_count(len(sites), 'contributing site')}, "
        f"{_count(refused, 'refused update')}; {duration(seconds)} in rounds, "
        f"{byte_size(up)} sent up and {byte_size(down)} sent down"
        f"{', those of the evaluation included' if evaluated else ''}.</p>"
    )


def _noted(rounds: Sequence[Record]) -> str:
    """What the server noted: who came late or was refused, whose scores do not count."""
    items = [
        f"<li>{_place(record)}: {escape(note)}</li>"
        for record in rounds
        for note in record.get("notes") or []
    ]
    return f"<ul>{''.join(items)}</ul>\n" if items else ""


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _round_lines(record: Record) -> list[str]:
    """The round's own cells span the lines of its sites."""
    accepted = [_contributor(part) for part in record.get("contributors") or []]
    refused = [_refused(part) for part in record.get("refused") or []]
    refused += [_absent(site) for site in record.get("missing") or []]
    nothing = "validation of the last model" if record.get("final") else "no contribution"
    lines = accepted + refused or [f'<td colspan="7">{nothing}</td>']
    dice = record.get("validation") or {}
    scores = "<br>".join(f"{escape(m.upper())} {number(number_of(dice, m))}" for m in sorted(dice))
    span = f' rowspan="{len(lines)}"'
    time = "–" if record.get("final") else duration(number_of(record, "seconds"))  # no round's
    own = (
        f'<th scope="rowgroup" class="n"{span}>{escape(_round_name(record))}</th>'
        f'<td class="keep"{span}>{scores or "–"}</td>'
        f'<td class="n"{span}>{time}</td>'
        f'<td class="n"{span}>{byte_size(number_of(record, "bytes_up"))}<br>'
        f"{byte_size(number_of(record, 'bytes_down'))}</td>"
    )
    first = f'<tr class="first">{own}{lines[0]}</tr>'
    return [first, *(f"<tr>{line}</tr>" for line in lines[1:])]


def _place(record: Record) -> str:
    return "At the end" if record.get("final") else f"Round {escape(_round_name(record))}"


def _round_name(record: Record) -> str:
    """Rounds are counted from 1, as on the console; ``rounds.jsonl`` holds an index from 0."""
    return "end" if record.get("final") else f"{number_of(record, 'round') + 1:.0f}"


def _contributor(part: Record) -> str:
    clip, reason = number_of(part, "clip"), str(part.get("reason") or "–")
    if clip < 1:
        reason += f"; too long, {100 * clip:.0f}% of its step counts"
    weight, loss, dice, norm = (
        number(number_of(part, key)) for key in ("weight", "train_loss", "val_dice", "update_norm")
    )
    return (
        f'<td class="keep">{escape(part.get("site", "?"))}</td>'
        f"<td>{escape(str(part.get('modality', '')).upper())}</td>"
        f'<td class="n">{weight}</td><td>{escape(reason)}</td>'
        f'<td class="n">{loss}</td><td class="n">{dice}</td><td class="n">{norm}</td>'
    )


def _absent(site: object) -> str:
    style = ' style="background:#fdecea"'
    return (
        f"<td{style}>{escape(site)}</td>"
        f'<td{style} colspan="6"><strong>Missing:</strong> nothing came in this round; see its log'
        "</td>"
    )


def _refused(part: Record) -> str:
    return (
        f'<td class="keep refused">{escape(part.get("site", "?"))}</td>'
        f'<td class="refused" colspan="6"><strong>Refused:</strong> '
        f"{escape(part.get('reason') or 'no reason on record')}</td>"
    )
