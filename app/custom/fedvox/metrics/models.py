"""The models that tables speak of: two global ones, and one of each site."""

from collections.abc import Collection, Iterable, Sequence

from fedvox.metrics.table import SummaryRow

BEST = "global_best"
LAST = "global_last"
GLOBAL = (BEST, LAST)
"""The models that are not a site's own."""

_LOCAL_NOTE = (
    "SITE (own): the model that the site itself had after its last local training, before the "
    "server averaged it with the others"
)
_SAME_NOTE = f"{BEST} is the model after the last round, {LAST}: both are shown once"


def model_title(model: str, last_is_best: bool = False) -> str:
    """How a model is called in tables for people: a site's own model is marked as such.

    Args:
        model: as in the column ``model``.
        last_is_best: the last global model was chosen, so one line speaks of both.
    """
    if model in GLOBAL:
        return f"{BEST} = last" if last_is_best else model
    return f"{model} (own)"


def model_notes(models: Collection[str], last_is_best: bool) -> list[str]:
    """What a table has to say of the models in it.

    Args:
        models: as in the column ``model``.
        last_is_best: as for :func:`model_title`.
    """
    same = [_SAME_NOTE] if last_is_best and BEST in models else []
    return same + ([_LOCAL_NOTE] if set(models) - set(GLOBAL) else [])


def shown_rows(summary: Sequence[SummaryRow], last_is_best: bool) -> list[SummaryRow]:
    """Without the rows that would say everything twice, when the last model is the best."""
    best_too = last_is_best and any(row.model == BEST for row in summary)
    return [row for row in summary if not (best_too and row.model == LAST)]


def ordered_models(models: Iterable[str]) -> list[str]:
    """Each model once: the best global one, the last, then the sites' by name."""
    first = GLOBAL
    return sorted(set(models), key=lambda m: (first.index(m) if m in first else len(first), m))
