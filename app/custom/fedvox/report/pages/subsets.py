"""The report's section on modality subsets: how good the model is with what a case may lack."""

from collections.abc import Sequence

from fedvox.metrics.models import model_title, ordered_models
from fedvox.metrics.subsets import (
    SubsetScores,
    channels_of,
    ordered_subsets,
    subset_scores,
    worst_site,
)
from fedvox.metrics.table import ALL_SITES
from fedvox.report.figures.subsets import MOST_COLUMNS, draw_subsets
from fedvox.report.pages.html import escape, number, picture, table, tint
from fedvox.report.records.run_files import RunFiles

MOST_SITES = 5
"""Sites that get a panel each; of more, or where panels are wide, the worst one has."""


def subsets_section(run: RunFiles) -> str:
    """Figure, sentence and a folded table; nothing where subsets were not scored.

    Args:
        run: the run's files.
    """
    model = next(iter(ordered_models(row.model for row in run.summary)), "")
    scores = subset_scores(run.summary, model)
    if not run.subsets or not scores or scores[0].site != ALL_SITES or len(scores[0].rows) < 2:
        return ""
    channels, shown = channels_of(scores[0].rows, run.channels), _shown(scores)
    title = model_title(model, run.last_is_best)
    alternative = f"Mean Dice of {title} for each modality subset, as in the table below"
    return "\n".join(
        (
            worst_text(scores, title),
            picture(draw_subsets(shown, channels), alternative, _caption(scores, shown, run)),
            _table(scores[0], channels),
        )
    )


def worst_text(scores: Sequence[SubsetScores], title: str) -> str:
    """One sentence: the worst subset, the worst site, and the mean over subsets.

    Args:
        scores: of all sites first, then of each.
        title: what the model is called.
    """
    own, site = scores[0], worst_site(scores)
    if own.worst is None:
        return ""
    at_site = ""
    if site and site.worst:
        at_site = (
            f"; of the sites at <strong>{escape(site.site)}</strong>, with "
            f"{_words(site.worst)}: {number(site.dice(site.worst))} "
            f"({_cases(site.cases(site.worst))})"
        )
    return (
        f"<p>Of {len(own.rows)} subsets {escape(title)} is worst with "
        f"<strong>{_words(own.worst)}</strong>: mean Dice {number(own.dice(own.worst))} "
        f"({_cases(own.cases(own.worst))}){at_site}. The mean of the subsets is "
        f"{number(own.mean_dice())}.</p>"
    )


def _shown(scores: Sequence[SubsetScores]) -> list[SubsetScores]:
    """All sites, and each of a few; a single site is all sites."""
    own, *sites = scores
    if len(sites) < 2:
        return [own]
    if len(sites) <= MOST_SITES and len(own.organs) <= MOST_COLUMNS:
        return list(scores)
    worst = worst_site(scores)
    return [own, *([worst] if worst else [])]


def _caption(scores: Sequence[SubsetScores], shown: Sequence[SubsetScores], run: RunFiles) -> str:
    text = (
        "Test cases, each scored once on every subset of the modalities that it has; what is left "
        "out is an image of zeros. A case that lacks a modality stands in fewer rows, so rows of "
        "different subsets may speak of different cases."
    )
    if 1 < len(shown) < len(scores):
        text += f" Of {len(scores) - 1} sites the one with the lowest number has a panel."
    return text + " Phantom data." * run.phantom


def _table(own: SubsetScores, channels: Sequence[str]) -> str:
    headings = [("Modalities", False), ("Cases", True)]
    headings += [(organ.replace("_", " ").capitalize(), True) for organ in own.organs]
    lines = [_line(own, name) for name in ordered_subsets(own.rows, channels)]
    means = "".join(f'<td class="n">{number(own.mean_dice(organ))}</td>' for organ in own.organs)
    lines.append(
        f'<tr class="total"><th scope="row">Mean of {len(own.rows)} subsets</th><td></td>{means}'
        "</tr>"
    )
    content = table("Mean Dice over all sites by modality subset", headings, lines)
    return (
        "<details><summary>As a table</summary>\n"
        f'<div class="scroll" tabindex="0">{content}</div></details>'
    )


def _line(own: SubsetScores, name: str) -> str:
    dice = [own.dice(name, organ) for organ in own.organs]
    cells = "".join(f'<td class="n"{tint(value)}>{number(value)}</td>' for value in dice)
    return (
        f'<tr><th scope="row">{_words(name)}</th><td class="n">{own.cases(name)}</td>{cells}</tr>'
    )


def _words(subset: str) -> str:
    """``T1+FLAIR``, or ``T1 alone``."""
    return escape(subset.upper() if "+" in subset else f"{subset.upper()} alone")


def _cases(count: int) -> str:
    return f"{count} test case{'' if count == 1 else 's'}"
