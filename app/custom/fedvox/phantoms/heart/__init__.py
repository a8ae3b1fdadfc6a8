"""The heart: four chambers, the left ventricle's wall and two great vessels, as CT or MRI."""

from fedvox.phantoms.body import Body
from fedvox.phantoms.heart.anatomy import draw_patient
from fedvox.phantoms.heart.contrasts import CONTRASTS
from fedvox.phantoms.heart.tissue import ORGANS
from fedvox.phantoms.plain_layout import PLAIN

BODY = Body(
    name="heart",
    organs=ORGANS,
    contrasts=CONTRASTS,
    modalities={contrast.name: (contrast.name,) for contrast in CONTRASTS},
    draw=draw_patient,
    layout=PLAIN,
    sites=("ct", "mr"),
    job="fedgin",
    changes=(
        f"data.organs={','.join(ORGANS)}",
        "data.spacing=[5,5,5]",
        "data.ct_window=[-200,600]",
        "phantom.body=heart",
    ),
    size_mm=240.0,
    spacing_mm=4.0,
)
