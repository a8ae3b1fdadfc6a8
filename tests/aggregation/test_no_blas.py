"""At the server, where FLARE's simulator forks the sites' processes, nothing runs in BLAS.

A product that is on its way in OpenBLAS' threads during a fork never ends, and the run hangs.
"""

import ast
from pathlib import Path

import pytest

import fedvox

PACKAGE = Path(fedvox.__file__).parent
AT_THE_SERVER = ("admission", "aggregation", "compression", "flare")
LIBRARIES = {"np", "torch", "F"}
BLAS = {"dot", "vdot", "inner", "outer", "matmul", "tensordot", "einsum", "linalg"}


def uses(source: str) -> set[str]:
    """What of BLAS a source names."""
    nodes = list(ast.walk(ast.parse(source)))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    named = {
        n.attr for n in attributes if isinstance(n.value, ast.Name) and n.value.id in LIBRARIES
    }
    products = {"@" for node in nodes if isinstance(node, ast.MatMult)}
    return (named & BLAS) | products


def test_a_product_is_seen():
    assert uses("import numpy as np\nnp.vdot(a, b) + a @ b") == {"vdot", "@"}


@pytest.mark.parametrize("room", AT_THE_SERVER)
def test_the_server_s_rooms_use_none_of_it(room):
    found = {path.name: uses(path.read_text()) for path in (PACKAGE / room).rglob("*.py")}
    assert {name: own for name, own in found.items() if own} == {}
