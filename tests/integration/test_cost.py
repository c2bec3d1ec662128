"""What a hooked call costs, in instructions: they are counted, not timed, and so the same on each run."""

import re
import shutil
import subprocess

import pytest

from conftest import DEADLINE_S
from linking import SOURCES

SHORT, LONG = 300, 1300   # calls; the first of a kind costs more, and is in both


@pytest.fixture(autouse=True)
def valgrind():
    if not shutil.which("valgrind"):
        pytest.fail("needs valgrind: make test-deps")


@pytest.fixture
def program(build):
    return build / "progs" / "cost"


@pytest.fixture
def instructions(program, tmp_path, logfold):
    """instructions(what, *prefix): what one call costs in a program started by `prefix`; `host`: another
    program and its first arguments.  What starting up costs differs by some tens from run to run, which is
    hundredths of a call."""
    log = tmp_path / "callgrind.log"

    def counted(what, calls, prefix, host):
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                   f"--log-file={log}", *map(str, host), what, str(calls)]
        subprocess.run([*map(str, prefix), *command], env=logfold.env, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=DEADLINE_S)
        return int(re.search(r"Collected : (\d+)", log.read_text()).group(1))

    def one_call(what, *prefix, host=(program,)):
        return (counted(what, LONG, prefix, host) - counted(what, SHORT, prefix, host)) / (LONG - SHORT)

    return one_call


@pytest.fixture
def added(instructions, logfold):
    """added(what): how many instructions the hook adds to a call that passes."""
    def difference(what):
        bare = instructions(what)
        hooked = instructions(what, logfold.binary, "run", "--summary", "none", "--")
        print(f"{what}: {bare:.1f} bare, {hooked:.1f} hooked")
        assert sum(e["countTotal"] for e in logfold.entries()) == (
            0 if what == "inner" else SHORT + LONG), "the calls were not counted"
        return round(hooked - bare)
    return difference


def test_a_counted_printf_with_three_arguments_costs_at_most_60_instructions_more(added):
    assert added("format") <= 60


def test_a_call_by_way_of_a_variadic_wrapper_costs_at_most_90_instructions_more(added):
    assert added("wrapper") <= 90


def test_a_function_between_the_wrapper_and_libc_costs_at_most_20_instructions_besides(added):
    assert added("nested") <= 110


def test_a_counted_puts_of_a_constant_costs_at_most_70_instructions_more(added):
    assert added("puts") <= 70


@pytest.mark.parametrize("what, method", [("constant", "printf"), ("puts", "puts")])
def test_a_muted_call_of_a_constant_costs_at_most_40_instructions(instructions, logfold, program, what,
                                                                  method):
    """All of the call: nothing is printed any more."""
    under = (logfold.binary, "run", "--summary", "none", "--")
    assert logfold(*under[1:], program, what, "1").returncode == 0
    muted = logfold("mute", f"method={method}")
    assert muted.returncode == 0, muted.stderr
    call = round(instructions(what, *under) - instructions("nothing"))
    print(f"{what}: {call:.1f} muted")
    (entry,) = logfold.entries()
    assert entry["countMuted"] == SHORT + LONG
    assert call <= 40


def test_a_write_to_a_file_that_is_no_console_costs_at_most_12_instructions_more(added):
    assert added("inner") <= 12


def test_a_call_of_a_linked_program_costs_at_most_25_instructions_and_muted_at_most_50(
        instructions, logfold, linked):
    host = (linked("host", SOURCES / "host.c"), "cost")
    nothing, passing = instructions("nothing", host=host), instructions("site", host=host)
    assert logfold("mute", "method=LOG").returncode == 0
    muted = instructions("site", host=host)
    (entry,) = logfold.entries()
    assert (entry["countPassed"], entry["countMuted"]) == (SHORT + LONG, SHORT + LONG)
    print(f"linked: {passing - nothing:.1f} passing, {muted - nothing:.1f} muted")
    assert 5 <= passing - nothing <= 25
    assert muted - nothing <= 50
