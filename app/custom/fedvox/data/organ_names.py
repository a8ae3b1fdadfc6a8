"""What a label table may have meant by a name that FedVox does not know."""

import difflib
import re
import unicodedata
from collections.abc import Iterable

from fedvox.data.organs import ALIASES, CANONICAL, IGNORE, plain_name
from fedvox.data.structures import STRUCTURES

LONGEST = 40
"""Letters of a name that are shown."""
MOST = 5
"""Names that are shown at once."""
ALIKE = 0.75
"""Similarity from which on a name is taken for a slip of another."""

_BASES = {
    structure.name.removesuffix("_right"): structure.words
    for structure in STRUCTURES
    if structure.words
}
_WORDS = {word: base for base, words in _BASES.items() for word in (base, *words.split())}
"""Abbreviations, plurals and the words of a few languages, without accents."""
_SIDES = {
    "right": "right rechts rechte rechter r re droit droite derecho derecha destro destra rag",
    "left": "left links linke linker l li gauche izquierdo izquierda sinistro sinistra lag",
}
_FILLERS = ("untere", "inferior", "mask", "label", "seg", "segmentation", "organ", "the")
_SIDE_OF = {word: side for side, words in _SIDES.items() for word in words.split()}

_OTHER_STRUCTURES = """
adrenal_tumour arm atrial_appendage autochthon bone brachiocephalic_trunk brachiocephalic_vein
brain cancer_lung clavicula colon colon_cancer_primaries common_carotid_artery costal_cartilages
cyst face femur fibula gluteus_maximus gluteus_medius gluteus_minimus head_of_femur heart
hepatic_vessel hip humerus iliac_artery iliac_vena iliopsoas intervertebral_discs intestine
kidney_cyst kidney_tumour lesion lung lung_lower_lobe lung_middle_lobe lung_upper_lobe
lung_vessels pancreas_tumour portal_vein_and_splenic_vein portal_vein_and_splenic_veins
pulmonary_vein pz quadriceps_femoris rectum sacrum sartorius scapula skeletal_muscle skin skull
small_bowel spinal_cord spleen_tumour sternum subclavian_artery subcutaneous_fat
superior_vena_cava thigh_medial_compartment thigh_posterior_compartment thyroid_gland tibia
torso_fat trachea tz veins vertebrae vessel
"""
"""Of TotalSegmentator, AMOS, WORD and the Decathlon, without their sides; trained by nobody."""
_OTHERS = frozenset(_OTHER_STRUCTURES.split())
_SIDE = re.compile(r"_(left|right|l|r)$")
_SERIES = re.compile(r"(vertebrae_[a-z]+\d+|rib_(left|right)_\d+)")


def shown(name: str) -> str:
    """A name from a label table for a message: in quotes, without odd characters, not too long."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return f"'{plain[:LONGEST]}{'...' if len(plain) > LONGEST else ''}'"


def listed(names: Iterable[str]) -> str:
    """Several names for a message, the first five of them, each with what it may mean."""
    every = list(names)
    entries = [
        shown(name) + (f" ({likely}?)" if (likely := likely_meant(name)) else "")
        for name in every[:MOST]
    ]
    rest = len(every) - MOST
    return ", ".join(entries) + (f" and {rest} more" if rest > 0 else "")


def meant(names: Iterable[str]) -> str:
    """The organs that names may mean, for a message that must not show the names themselves."""
    likely = dict.fromkeys(filter(None, map(likely_meant, names)))
    return f" (perhaps {', '.join(likely)})" if likely else ""


def unknown_names(names: Iterable[str]) -> list[str]:
    """Names that neither FedVox nor a public set that it reads has, each once, in their order."""
    return list(dict.fromkeys(name for name in names if not _of_a_public_set(name)))


def likely_meant(name: str) -> str:
    """The organ that a name probably stands for; empty where none suggests itself.

    Knows plurals, abbreviations and a few languages, and recognises slips of the pen.
    """
    words = [word for word in re.split(r"[^a-z]+", _plain(name)) if word]
    sides = [_SIDE_OF[word] for word in words if word in _SIDE_OF]
    joined = "_".join(words)
    nouns = [word for word in words if word not in _FILLERS and word not in _SIDE_OF]
    nouns = nouns or [word for word in words if word in _WORDS]  # RAG: an organ and its side
    if len(nouns) == 1 and nouns[0] in _WORDS:
        return _with_side(_WORDS[nouns[0]], sides)
    known = {**{organ: organ for organ in (*CANONICAL, IGNORE)}, **ALIASES}
    close = difflib.get_close_matches(joined, [*known, *_WORDS], 1, ALIKE)
    if not close:
        return ""
    return known.get(close[0]) or _with_side(_WORDS[close[0]], sides)


def _with_side(base: str, sides: list[str]) -> str:
    """A paired organ needs its side, which the name may leave open."""
    if f"{base}_right" not in CANONICAL:
        return base
    if sides:
        return f"{base}_{sides[0]}"
    return f"{base}_right, {base}_left"


def _plain(name: str) -> str:
    parts = unicodedata.normalize("NFKD", name.lower().replace("ß", "ss"))
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _of_a_public_set(name: str) -> bool:
    plain = _SIDE.sub("", plain_name(name).replace("tumor", "tumour"))
    return plain in _OTHERS or _SERIES.fullmatch(plain) is not None
