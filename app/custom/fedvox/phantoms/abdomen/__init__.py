"""The abdomen: six organs, bowel, vessels and the trunk around them, as CT or MRI."""

from fedvox.phantoms.abdomen.anatomy import draw_anatomy
from fedvox.phantoms.abdomen.contrasts import CONTRASTS
from fedvox.phantoms.abdomen.tissue import ORGANS
from fedvox.phantoms.body import Body
from fedvox.phantoms.plain_layout import PLAIN

BODY = Body(
    name="abdomen",
    organs=ORGANS,
    contrasts=CONTRASTS,
    modalities={
        "ct": ("ct",),
        "mr": ("mr_t1", "mr_t2"),
        "mr_t1": ("mr_t1",),
        "mr_t2": ("mr_t2",),
    },
    draw=draw_anatomy,
    layout=PLAIN,
    sites=("ct", "mr"),
    job="fedgin",
    size_mm=288.0,
    spacing_mm=6.0,
)
