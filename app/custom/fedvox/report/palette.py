"""One fixed colour for each organ, for readers with and without colour blindness.

No palette of 16 colours is safe alone, so pictures name the organs too. Under normal vision and
simulated protanopia, deuteranopia and tritanopia (Machado, Oliveira and Fernandes 2009) any two
organs of an abdomen are at least 9 apart (CIEDE2000), any two of its first six organs, which most
jobs train, 20, and organs that touch 18; those of a heart 17, those of a brain 37. None is near the
grey of a scan. The tests measure it: change a colour only together with them.
"""

ORGAN_COLOURS = {
    "liver": "#ffd84e",
    "spleen": "#62629d",
    "kidney_right": "#149d89",
    "kidney_left": "#b19dff",
    "pancreas": "#62ebd8",
    "gallbladder": "#eb3b14",
    "stomach": "#c41414",
    "oesophagus": "#14c4b1",
    "aorta": "#b1b114",
    "inferior_vena_cava": "#b13b62",
    "adrenal_right": "#c44eff",
    "adrenal_left": "#c48962",
    "duodenum": "#9d14eb",
    "bladder": "#9dd89d",
    "prostate_uterus": "#ebc4ff",
    "hippocampus_anterior": "#ffb000",
    "hippocampus_posterior": "#00b5d8",
    "heart_left_ventricle": "#eb769d",
    "heart_right_ventricle": "#144eff",
    "heart_left_atrium": "#9d3b76",
    "heart_right_atrium": "#9debff",
    "heart_myocardium": "#c4eb27",
    "ascending_aorta": "#899d00",
    "pulmonary_artery": "#9d9dff",
    "tumour_necrotic": "#b13b3b",
    "tumour_oedema": "#3bebff",
    "tumour_enhancing": "#ffeb76",
    "resection_cavity": "#3b4ed8",
    "liver_tumour": "#b189c4",
}
OTHER_COLOUR = "#d0d0d0"
