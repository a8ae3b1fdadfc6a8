"""The brain with a glioma: four contrasts, skull-stripped, in BraTS' layout."""

from fedvox.phantoms.body import Body
from fedvox.phantoms.brain.anatomy import draw_patient
from fedvox.phantoms.brain.layout import BRATS
from fedvox.phantoms.brain.relaxation import CONTRASTS
from fedvox.phantoms.brain.tissue import ORGANS, OUTSIDE

_ALL = "+".join(contrast.name for contrast in CONTRASTS)

BODY = Body(
    name="brain",
    organs=ORGANS,
    contrasts=CONTRASTS,
    modalities={contrast.name: (contrast.name,) for contrast in CONTRASTS},
    draw=draw_patient,
    layout=BRATS,
    sites=(_ALL, _ALL),
    job="brats",
    lacking_job="mixmfl",
    stripped=OUTSIDE,
    size_mm=200.0,
    spacing_mm=3.0,
)
