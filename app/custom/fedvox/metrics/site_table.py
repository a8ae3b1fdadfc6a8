"""How each model does at each site: the numbers behind the per-hospital tables."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fedvox.metrics.models import ordered_models
from fedvox.metrics.table import ALL_SITES, MEAN_ORGAN, SummaryRow

EXTERNAL_NOTE = "external: the site trains nothing, so its cases are new to every model"
Cells = dict[str, SummaryRow]
"""Model -> its row."""


@dataclass(frozen=True)
class SiteLine:
    """One site's test cases of one modality.

    Attributes:
        site: the site's name.
        modality: e.g. ``ct``.
        cells: model -> mean over organs on these cases.
    """

    site: str
    modality: str
    cells: Cells

    @property
    def cases(self) -> int:
        """Test cases with evidence, for the model that has most of them."""
        return max(row.cases for row in self.cells.values())

    def fewer_cases(self, model: str) -> str:
        """What stands behind a model's Dice where it was scored on fewer cases than others."""
        own = self.cells[model].cases if model in self.cells else self.cases
        return f" (n={own})" if own != self.cases else ""


def site_lines(summary: Sequence[SummaryRow]) -> list[SiteLine]:
    """One line per site and modality, by name; empty for a summary without sites."""
    groups: dict[tuple[str, str], Cells] = {}
    for row in summary:
        if row.site != ALL_SITES and row.organ == MEAN_ORGAN:
            groups.setdefault((row.site, row.modality), {})[row.model] = row
    return [SiteLine(*key, groups[key]) for key in sorted(groups)]


def site_title(site: str, external: Collection[str]) -> str:
    """A site's name as tables show it: who only tests is external to the training."""
    return f"{site} (external)" if site in external else site


def site_models(lines: Sequence[SiteLine]) -> list[str]:
    """The models of the lines, in the order of tables."""
    return ordered_models(model for line in lines for model in line.cells)


def worst_line(lines: Sequence[SiteLine], model: str) -> SiteLine | None:
    """Where a model does worst; None where it was scored in fewer than two lines."""
    scored = [
        line
        for line in lines
        if model in line.cells and not math.isnan(line.cells[model].dice_mean)
    ]
    if len(scored) < 2:
        return None
    return min(scored, key=lambda line: line.cells[model].dice_mean)
