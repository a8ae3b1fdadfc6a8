"""All structures that FedVox knows, one row each: a new organ is a new row here and nothing else.

Colours: no palette of 16 colours is safe for every reader alone, so pictures name the organs too.
Under normal vision and simulated protanopia, deuteranopia and tritanopia (Machado, Oliveira and
Fernandes 2009) any two organs of an abdomen are at least 9 apart (CIEDE2000), any two of its first
six organs, which most jobs train, 20, and organs that touch 18; those of a heart 17, those of a
brain 37. None is near the grey of a scan. The tests measure it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Structure:
    """An organ or a part of one.

    Attributes:
        name: canonical, as jobs, label tables and results have it.
        body: what it belongs to: ``abdomen``, ``brain``, ``heart`` or ``tumour``.
        heading: short name for tables and pictures.
        colour: on pictures.
        parent: the organ that it belongs to wherever it is not told apart.
        aliases: names of public sets, in lower case with underscores.
        words: what tables in other languages call it, abbreviations and plurals, without accents,
            with blanks between them; those of a paired organ stand with its right one.
        gas: it may hold gas, so that air under its label is no sign of a wrong one.
    """

    name: str
    body: str
    heading: str
    colour: str
    parent: str | None = None
    aliases: tuple[str, ...] = ()
    words: str = ""
    gas: bool = False


# In the order in which a radiologist reads an abdomen, then brain, heart, tumours.
STRUCTURES = (
    Structure("liver", "abdomen", "liver", "#ffd84e", words="leber hepar foie higado fegato"),
    Structure("spleen", "abdomen", "spleen", "#62629d", words="milz lien rate bazo milza"),
    Structure(
        "kidney_right",
        "abdomen",
        "kidn.R",
        "#149d89",
        aliases=("right_kidney",),
        words="kidneys niere nieren ren rein reins rinon rene reni",
    ),
    Structure("kidney_left", "abdomen", "kidn.L", "#b19dff", aliases=("left_kidney",)),
    Structure(
        "pancreas",
        "abdomen",
        "pancr.",
        "#62ebd8",
        words="pankreas bauchspeicheldruse bauchspeicheldruese",
    ),
    Structure(
        "gallbladder",
        "abdomen",
        "gallb.",
        "#eb3b14",
        aliases=("gall_bladder",),
        words="gallenblase galle vesicule vesicula cistifellea gb",
    ),
    Structure(
        "stomach", "abdomen", "stom.", "#c41414", words="magen estomac estomago stomaco", gas=True
    ),
    Structure(
        "oesophagus",
        "abdomen",
        "oesoph.",
        "#14c4b1",
        aliases=("esophagus",),
        words="speiserohre speiseroehre osophagus esofago",
        gas=True,
    ),
    Structure(
        "aorta", "abdomen", "aorta", "#b1b114", aliases=("arota",), words="hauptschlagader aorte"
    ),
    Structure(
        "inferior_vena_cava",
        "abdomen",
        "IVC",
        "#b13b62",
        aliases=("postcava",),
        words="ivc vci hohlvene hohlvena cava",
    ),
    Structure(
        "adrenal_right",
        "abdomen",
        "adr.R",
        "#c44eff",
        aliases=("right_adrenal_gland", "adrenal_gland_right"),
        words="adrenals nebenniere nebennieren surrenale surrenales rag lag",
    ),
    Structure(
        "adrenal_left",
        "abdomen",
        "adr.L",
        "#c48962",
        aliases=("left_adrenal_gland", "adrenal_gland_left"),
    ),
    Structure(
        "duodenum",
        "abdomen",
        "duod.",
        "#9d14eb",
        words="zwolffingerdarm zwoelffingerdarm duodeno",
        gas=True,
    ),
    Structure(
        "bladder",
        "abdomen",
        "bladder",
        "#9dd89d",
        aliases=("urinary_bladder",),
        words="harnblase blase vessie vejiga vescica",
    ),
    Structure(
        "prostate_uterus",
        "abdomen",
        "prost/ut",
        "#ebc4ff",
        aliases=("prostate/uterus",),
        words="prostata prostate uterus gebarmutter gebaermutter",
    ),
    Structure("hippocampus_anterior", "brain", "hipp.ant", "#ffb000", aliases=("anterior",)),
    Structure("hippocampus_posterior", "brain", "hipp.post", "#00b5d8", aliases=("posterior",)),
    Structure(
        "heart_left_ventricle",
        "heart",
        "LV",
        "#eb769d",
        aliases=("left_ventricle", "heart_ventricle_left"),
    ),
    Structure(
        "heart_right_ventricle",
        "heart",
        "RV",
        "#144eff",
        aliases=("right_ventricle", "heart_ventricle_right"),
    ),
    Structure(
        "heart_left_atrium", "heart", "LA", "#9d3b76", aliases=("left_atrium", "heart_atrium_left")
    ),
    Structure(
        "heart_right_atrium",
        "heart",
        "RA",
        "#9debff",
        aliases=("right_atrium", "heart_atrium_right"),
    ),
    Structure("heart_myocardium", "heart", "myoc.", "#c4eb27", aliases=("myocardium",)),
    Structure("ascending_aorta", "heart", "asc.ao.", "#899d00", parent="aorta"),
    Structure("pulmonary_artery", "heart", "pulm.a.", "#9d9dff"),
    Structure("tumour_necrotic", "tumour", "necr.", "#b13b3b", aliases=("tumor_necrotic",)),
    Structure("tumour_oedema", "tumour", "oedema", "#3bebff", aliases=("tumor_edema",)),
    Structure("tumour_enhancing", "tumour", "enh.", "#ffeb76", aliases=("tumor_enhancing",)),
    Structure("resection_cavity", "tumour", "cavity", "#3b4ed8"),
    Structure(
        "liver_tumour",
        "tumour",
        "liv.tum.",
        "#b189c4",
        parent="liver",
        aliases=("liver_tumor",),
        words="lebertumor lebertumour",
    ),
)


def of_body(body: str) -> tuple[str, ...]:
    """Names of the structures of a body, in their order."""
    return tuple(structure.name for structure in STRUCTURES if structure.body == body)
