"""The program that measures networks which run from their bits."""

import re

import pytest

from tests.programs.in_process import call


def test_memory_is_that_of_the_largest_weight():
    code, output, errors = call("bits", "--networks=lenet", "--ks=4", "--batches=1", "--rounds=1")
    assert code == 0, errors
    found = re.findall(r"(?:weights|bits) ([\d,]+) \+ ([\d,]+) bytes", output)
    (weights, beside_weights), (bits, beside_bits) = ([int(one.replace(",", "")) for one in pair] for pair in found)
    assert weights == 4 * 266_200
    assert weights / 16 <= bits < weights / 16 + 100
    assert beside_weights < beside_bits <= beside_weights + 4 * 784 * 300


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--networks=alexnet", "--networks: ['alexnet'] was given, but they must be of lenet"),
        ("--ks=1,-1", "--ks: '1,-1' was given, but it must be numbers from 1"),
        ("--batches=0", "--batches: '0' was given, but it must be numbers from 1"),
    ],
)
def test_senseless_flags_are_one_sentence(flag, message):
    code, output, errors = call("bits", flag)
    assert (code, output, len(errors.splitlines())) == (1, "", 1)
    assert message in errors
