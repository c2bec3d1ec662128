"""Our own program that does everything to its output (tests/progs/torture.c), by seeds."""

import os

import pytest

from harness import BUILD, SUITES, compare, harness, tally  # noqa: F401

SEEDS = range(int(os.environ.get("LOGFOLD_SEEDS", 300 if SUITES else 6)))


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_a_program_does_to_its_output_it_has_the_same_results(seed, compare):  # noqa: F811
    ways = ("preload", "run", "daemon", "nowhere")
    compare(BUILD / "progs" / "torture", str(seed), "30", name="torture",
            under=ways[seed % 4:] + ways[:seed % 4])
