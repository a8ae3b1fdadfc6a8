"""A round whose sites tell prototypes: weights by modality, and a memory that only they fill."""

import itertools

import numpy as np
import pytest

from fedvox.admission.registration import Registration
from fedvox.aggregation.downlink import Downlink
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.prototypes import CASES, MODALITY, SUMS, VOXELS, cut, no_prototypes
from fedvox.aggregation.round import Round
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.update import Update
from fedvox.compression.settings import CompressionSettings, DownSettings
from fedvox.data.organs import MODALITIES
from fedvox.errors import UpdateRefused
from fedvox.networks.mixmodal_settings import MixModalSettings

CLASSES, WIDTH = 2, 3
NETWORK = MixModalSettings()
HELD = ("t1", "flair")
MODEL = {f"memory.{name}": np.zeros((CLASSES, WIDTH), np.float32) for name in HELD} | {
    f"tailored.{name}.w": np.zeros(1, np.float32) for name in HELD
}


def told(modality: str = "t1", value: float = 2.0) -> dict[str, np.ndarray]:
    """The arrays of a site with one modality and the same mean in all classes."""
    arrays = no_prototypes(1, CLASSES, WIDTH)
    arrays[MODALITY][0] = MODALITIES.index(modality)
    arrays[SUMS][:], arrays[VOXELS][:], arrays[CASES][:] = value * 8, 8, 4
    return arrays


def update(site: str, value: float, cases: int, modality: str, **claims) -> Update:
    arrays = {name: np.full_like(array, value) for name, array in MODEL.items()}
    return Update(
        site=site, round=0, arrays=arrays, cases=cases, steps=1, modality=modality, **claims
    )


@pytest.fixture
def open_round(tmp_path):
    def make(**options) -> Round:
        store = UpdateStore(tmp_path / "incoming")
        momentum = options.pop("momentum", 0.0)
        rules = RoundRules(momentum=momentum, network=NETWORK)
        return Round(0, MODEL, store, rules, **options)

    return make


def test_a_tailored_tensor_weighs_by_its_modality_s_cases(open_round):
    current = open_round(registered={"a": {"t1": 2, "t1+flair": 6}, "b": {"flair": 2, "t1": 6}})
    current.accept(update("a", 1.0, 8, "t1,t1+flair"))
    current.accept(update("b", 5.0, 8, "flair,t1"))
    model, record = current.close()
    np.testing.assert_allclose(model["tailored.t1.w"], (8 * 1 + 6 * 5) / 14, rtol=1e-6)
    np.testing.assert_allclose(model["tailored.flair.w"], (6 * 1 + 2 * 5) / 8, rtol=1e-6)
    assert [entry["weight"] for entry in record["contributors"]] == [0.5, 0.5]


def test_a_modality_without_training_cases_leaves_its_encoder(open_round):
    """As of a site that has it among its test cases alone."""
    current = open_round(registered={"a": {"t1": 4}})
    current.accept(update("a", 1.0, 4, "t1"))
    model, _ = current.close()
    assert model["tailored.t1.w"] == 1 and model["tailored.flair.w"] == 0


def test_the_model_s_prototypes_are_those_of_attachments_and_not_of_weights(open_round):
    """Weights are not held against a minimum of cases."""
    own = Registration("1", "x", modalities=("t1",), training={"t1": 4})
    current = open_round(registered={"a": {"t1": 4}, "b": {"t1": 4}})
    current.accept(update("a", 7.0, 4, "t1", attached={"prototypes": told(value=2.0)}), own)
    current.accept(update("b", 7.0, 4, "t1"), own)
    with pytest.raises(UpdateRefused, match="duplicate"):
        current.accept(update("b", 7.0, 4, "t1"), own)
    model, _ = current.close()
    np.testing.assert_allclose(model["memory.t1"], 2.0)
    np.testing.assert_array_equal(model["memory.flair"], 0)
    assert model["memory.t1"].dtype == np.float32
    assert set(current.memory.arrays) == {"prototypes.t1"}


def test_a_round_refuses_prototypes_of_a_modality_that_the_site_did_not_register(open_round):
    own = Registration("1", "x", modalities=("t1",), training={"t1": 4})
    current = open_round(registered={"a": {"t1": 4}})
    with pytest.raises(UpdateRefused, match="prototypes of flair, which the site does not train"):
        current.accept(update("a", 7.0, 4, "t1", attached={"prototypes": told("flair")}), own)
    assert current.close()[0].keys() == MODEL.keys() and not current.memory


def test_prototypes_survive_rounds_in_which_nobody_tells_any(open_round):
    first = open_round()
    first.accept(update("a", 1.0, 4, "t1", attached={"prototypes": told(value=2.0)}))
    first.close()
    second = open_round(memory=first.memory)
    second.accept(update("a", 3.0, 4, "t1"))
    np.testing.assert_allclose(second.close()[0]["memory.t1"], 2.0)


@pytest.mark.parametrize(
    ("beside", "said"),
    [({}, True), ({"prototypes": cut(told(), 6)}, True), ({"prototypes": told()}, False)],
    ids=["nothing", "nothing that may leave", "prototypes"],
)
def test_the_first_round_says_where_nobody_tells_prototypes(open_round, beside, said):
    current = open_round()
    current.accept(update("a", 1.0, 4, "t1", attached=beside))
    _, record = current.close()
    assert ["no site told prototypes" in note for note in record["notes"]] == [True] * said


@pytest.mark.parametrize("order", itertools.permutations("ab"))
def test_momentum_moves_no_prototype(open_round, order):
    current = open_round(momentum=0.9)
    for site in order:
        current.accept(update(site, 1.0, 4, "t1", attached={"prototypes": told(value=2.0)}))
    np.testing.assert_allclose(current.close()[0]["memory.t1"], 2.0)
    assert not any(name.startswith("momentum.memory") for name in current.memory.arrays)


def test_prototypes_that_go_down_compressed_come_to_those_of_the_memory(tmp_path):
    """What one message leaves out of them is in the next one once, not twice."""
    down = Downlink(CompressionSettings(down=DownSettings(keep=0.3), small=0), 4)
    model, memory = {"memory.t1": np.zeros((CLASSES, WIDTH), np.float32)}, Memory()
    true = np.array([[5.0, 4.0, 3.0], [2.0, 1.0, -6.0]])
    for index in range(4):
        rules = RoundRules(downlink=down, network=NETWORK)
        current = Round(index, model, UpdateStore(tmp_path / "incoming"), rules, memory=memory)
        if index < 3:  # the last round closes without any update
            beside = {"prototypes": {**told(), SUMS: true[None] * 8}}
            claims = {"cases": 4, "steps": 1, "modality": "t1", "attached": beside}
            current.accept(Update(site="a", round=index, arrays=model, **claims))
        model, _ = current.close()
        memory = current.memory
        assert (np.abs(model["memory.t1"]) <= np.abs(true) * 1.2).all()
    np.testing.assert_allclose(model["memory.t1"], true)
