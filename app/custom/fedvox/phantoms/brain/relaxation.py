"""How tissues of the head look: from their relaxation times to the signal of a sequence.

All contrasts of a patient come from one draw of proton density, T1 and T2 per tissue, so they are
correlated as those of a real scanner are: a tissue that is a little brighter than usual in T2 is so
in FLAIR too. Values are round figures of the order that is measured at 1.5 to 3 tesla.

Reference:
    Haacke et al., "Magnetic Resonance Imaging: Physical Principles and Sequence Design", 1999:
    spin echo and inversion recovery in chapter 8, the spoiled gradient echo in chapter 18.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from fedvox.phantoms.body import Contrast, Image
from fedvox.phantoms.brain.tissue import Tissue
from fedvox.phantoms.scanners import scan_mr
from fedvox.seeding import derive_seed

Values = npt.NDArray[np.float64]

# Proton density (share of water's), T1 and T2 in ms.
_TISSUES = {
    Tissue.NECROTIC: (0.95, 2600.0, 300.0),
    Tissue.OEDEMA: (0.85, 1450.0, 190.0),
    Tissue.ENHANCING: (0.85, 1400.0, 125.0),
    Tissue.FLUID: (1.00, 4000.0, 800.0),
    Tissue.GREY: (0.80, 1350.0, 95.0),
    Tissue.WHITE: (0.70, 850.0, 75.0),
    Tissue.GLIOSIS: (0.80, 1300.0, 140.0),
    Tissue.SKULL: (0.10, 500.0, 40.0),
    Tissue.SCALP: (0.95, 350.0, 80.0),
}
_AGENT_T1 = 380.0
"""T1 of the enhancing rim once contrast agent has leaked into it, ms."""


@dataclass(frozen=True)
class Relaxation:
    """Proton density, T1 and T2 (ms) by tissue id, each of shape (T,)."""

    density: Values
    t1: Values
    t2: Values


def draw_relaxation(seed: int) -> Relaxation:
    """Draws a patient's tissues: T1 within 12% of the table's, T2 within 16%, density within 6%.

    Args:
        seed: the patient.
    """
    rng = np.random.default_rng(derive_seed(seed, "phantom-relaxation"))
    density, t1, t2 = np.zeros(len(Tissue)), np.ones(len(Tissue)), np.ones(len(Tissue))
    for tissue, values in _TISSUES.items():
        density[tissue], t1[tissue], t2[tissue] = values
    wet, own = np.clip(rng.normal(size=(2, len(Tissue))), -2, 2)
    # Wetter tissue holds more protons and recovers more slowly.
    return Relaxation(density * (1 + 0.03 * wet), t1 * (1 + 0.06 * wet), t2 * (1 + 0.08 * own))


def _gradient_echo(tissues: Relaxation) -> Values:
    """T1-weighted: TR 20 ms, 25 degrees; fluid dark, white matter bright."""
    angle, decay = np.radians(25.0), np.exp(-20.0 / tissues.t1)
    return tissues.density * np.sin(angle) * (1 - decay) / (1 - np.cos(angle) * decay)


def _with_agent(tissues: Relaxation) -> Values:
    """The same after contrast agent: the rim that it leaks into is brightest."""
    t1 = tissues.t1.copy()
    t1[Tissue.ENHANCING] *= _AGENT_T1 / _TISSUES[Tissue.ENHANCING][1]
    return _gradient_echo(Relaxation(tissues.density, t1, tissues.t2))


def _spin_echo(tissues: Relaxation) -> Values:
    """T2-weighted: TR 4 s, TE 100 ms; fluid brightest, white matter dark."""
    return tissues.density * (1 - np.exp(-4000.0 / tissues.t1)) * np.exp(-100.0 / tissues.t2)


def _inversion_recovery(tissues: Relaxation) -> Values:
    """FLAIR: TR 9 s, TI 2.4 s, TE 100 ms; fluid suppressed, oedema brightest."""
    recovered = 1 - 2 * np.exp(-2400.0 / tissues.t1) + np.exp(-9000.0 / tissues.t1)
    return tissues.density * np.abs(recovered) * np.exp(-100.0 / tissues.t2)


# Sequence and the signal that becomes 1: about that of its brightest tissue in the brain.
_SEQUENCES = {
    "t1": (_gradient_echo, 0.07),
    "t1ce": (_with_agent, 0.12),
    "t2": (_spin_echo, 0.56),
    "flair": (_inversion_recovery, 0.33),
}


def signals(name: str, seed: int) -> Image:
    """Signal of each tissue in a contrast, shape (T,), about 1 for the brightest.

    Args:
        name: ``t1``, ``t1ce``, ``t2`` or ``flair``.
        seed: the patient.
    """
    sequence, full = _SEQUENCES[name]
    return (sequence(draw_relaxation(seed)) / full).astype(np.float32)


def _drawn(name: str, rng: np.random.Generator, seed: int) -> Image:
    return signals(name, seed)  # all of it is the patient's, nothing the scan's


CONTRASTS = tuple(Contrast(name, partial(_drawn, name), scan_mr) for name in _SEQUENCES)
