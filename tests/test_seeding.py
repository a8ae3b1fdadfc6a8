import hashlib

import torch
from hypothesis import given
from hypothesis import strategies as st

from fedvox.seeding import derive_seed, generator

PARTS = st.lists(st.integers() | st.text(alphabet="abc-123", max_size=5), min_size=1, max_size=4)


def test_seed_is_the_head_of_the_sha256_of_the_address():
    digest = hashlib.sha256(b"int:7\x1fstr:site-1\x1fint:3").digest()
    assert derive_seed(7, "site-1", 3) == int.from_bytes(digest[:8], "big") >> 1


@given(PARTS)
def test_seed_fits_a_signed_64_bit_number(address):
    assert 0 <= derive_seed(*address) < 2**63


@given(PARTS, PARTS)
def test_other_addresses_give_other_seeds(first, second):
    equal = [(type(part), part) for part in first] == [(type(part), part) for part in second]
    assert (derive_seed(*first) == derive_seed(*second)) == equal


def test_number_and_its_text_are_other_addresses():
    assert derive_seed(1) != derive_seed("1")


def test_parts_do_not_run_together():
    assert derive_seed("ab", "c") != derive_seed("a", "bc")
    assert derive_seed(1, 23) != derive_seed(12, 3)


def test_generator_of_one_address_draws_the_same_numbers_again():
    first, again = (torch.rand(5, generator=generator(0, "gin", 4)) for _ in range(2))
    other = torch.rand(5, generator=generator(0, "gin", 5))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_generator_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    torch.rand(3, generator=generator("patch", 1))
    assert torch.equal(torch.get_rng_state(), before)
