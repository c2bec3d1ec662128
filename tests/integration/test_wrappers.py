"""Whose line it is: calls by way of functions that only wrap libc's."""

import os
import pathlib
import shutil
import struct
import subprocess

import pytest
from conftest import DEADLINE_S, ROOT

NOT_ON_OTHER_MACHINES = pytest.mark.skipif(
    os.uname().machine not in ("x86_64", "aarch64"), reason="the direct caller is the frame here")
pytestmark = NOT_ON_OTHER_MACHINES


@pytest.fixture
def program(build):
    return build / "progs" / "wrappers"


def callers(entries):
    """{function of the frame: countTotal}, of messages that all have one template each."""
    found = {}
    for entry in entries:
        name = entry["topFrame"].rpartition("!")[2]
        found[name] = found.get(name, 0) + entry["countTotal"]
    return found


@pytest.fixture
def called(logfold, hooked, program):
    """called(what…): the callers of a run, which prints what it prints without the hook."""
    def run(*what):
        bare, under = hooked(str(program), *map(str, what))
        assert (under, bare.status) == (bare, 0)
        return callers(logfold.entries())
    return run


def test_two_callers_of_one_variadic_wrapper_are_two_entries_with_their_names(called, logfold):
    assert called("two") == {"first_caller": 3, "second_caller": 6}
    assert {e["method"] for e in logfold.entries()} == {"vfprintf"}
    assert {e["messageTemplate"] for e in logfold.entries()} == {"message %d\n"}


def test_a_wrapper_may_hand_its_va_list_to_others(called):
    assert called("nested") == {"third_caller": 3, "fourth_caller": 3}


def test_wrappers_of_every_kind_and_in_children_give_the_line_to_their_callers(called):
    assert called("kinds") == {"use_stdout": 1, "use_fd": 1, "use_in_child": 1, "use_die": 1}


def test_where_no_function_is_variadic_the_direct_caller_is_the_frame(called):
    assert called("thread") == {"print_handed": 1}


def test_a_wrapper_is_left_at_any_depth_of_the_stack(called):
    assert called("deep", 1000) == {"descend": 6}


def test_a_wrapper_is_left_on_stacks_that_are_not_the_threads(called):
    assert called("switch") == {"first_caller": 1, "second_caller": 2, "on_own_stack": 2,
                                "on_signal": 2}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the functions are x86-64's")
def test_where_the_unwind_table_lies_the_direct_caller_is_the_frame(called):
    assert called("lies") == {"lie_far": 2, "lie_near": 2, "lie_by_frame": 2, "lie_to_the_end": 2}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the functions are x86-64's")
def test_a_stack_that_was_made_smaller_is_not_read_where_it_was(called):
    assert called("shrink") == {"variadic_caller": 2, "hand_on": 3}


def test_muting_one_callers_line_leaves_the_others(logfold, program):
    run = ("run", "--summary", "none", "--", str(program), "two")
    assert logfold(*run).stdout.count("message") == 9
    assert logfold("mute", "frame~=first_caller").returncode == 0
    assert logfold(*run).stdout.count("message") == 6


def test_another_library_at_the_address_of_a_closed_one_is_left_by_its_own_way(
        called, tmp_path):
    libraries = []
    for name, room in (("small", 1000), ("large", 2000)):
        libraries.append(tmp_path / f"lib{name}.so")
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", f"-DROOM={room}",
                        f"-DCALLER={name}_caller", ROOT / "tests/progs/frames/wrapper.c",
                        "-o", libraries[-1]], check=True, timeout=DEADLINE_S)
    # Were they not at one address, the program would say so in a line of its own.
    assert called("close", *libraries) == {"small_caller": 2, "large_caller": 2}


# --- wrappers by name ---


@pytest.fixture
def skipping(agent, program):
    """skipping(names, what): the callers of a run where agent.toml has these skip_frames."""
    def run(names, what, count):
        one = agent(hook={"skip_frames": names})
        one.host(program, what)
        one.settled(count)
        return callers(one.entries())
    return run


def test_a_function_that_is_named_gives_its_lines_to_its_caller(skipping):
    assert skipping([], "named", 3) == {"say": 2, "fifth_caller": 1}
    assert skipping(["say"], "named", 3) == {"fifth_caller": 2, "emit": 1}


def test_callers_that_are_named_too_are_skipped_in_turn(skipping):
    assert skipping(["emit", "say"], "named", 3) == {"fifth_caller": 3}
    assert skipping(["say", "emit", "fifth_caller"], "named", 3) == {"main": 3}


def test_a_name_may_say_which_module_it_is_of(skipping):
    assert skipping(["wrappers!say"], "named", 3) == {"fifth_caller": 2, "emit": 1}
    assert skipping(["libother.so!say", "sa", "says"], "named", 3) == {"say": 2, "fifth_caller": 1}


def test_calls_of_every_kind_are_given_to_the_caller(skipping):
    assert skipping(["emit_all"], "plain", 5) == {"sixth_caller": 5}


def test_where_all_that_is_above_is_named_the_highest_known_is_the_frame(skipping, program):
    found = skipping(["say", "emit", "fifth_caller", "main", "__libc_start_call_main",
                      "__libc_start_main", "__libc_start_main_impl", "_start"], "named", 3)
    assert sum(found.values()) == 3 and not {"say", "emit", "fifth_caller"} & set(found)


# --- compared with an unwinder ---

# Programs that print through wrappers; from packages that the tests need anyway.
REAL = [
    "git -C {root} log --stat -10",
    "git -C {root} diff HEAD~2",
    "git -C {root} blame Makefile",
    "git -C {root} status --ignored",
    "git nosuchcommand",
    "gcc -O2 -v -c {source} -o {folder}/x.o",
    "gcc -fsyntax-only -Wall -Wextra -Wconversion -x c {folder}/bad.c",
    "make -C {root} -n WERROR=1 unit",
    "make -d -f /dev/null nothing",
    "objdump -d {build}/progs/wrappers",
    "objdump -x {build}/logfold",
    "readelf -aW {build}/progs/wrappers",
    "ld --verbose",
    "as --nosuchoption",
    "nm -C {build}/logfold",
    "redis-server --port 0 --dir {folder} --loglevel debug --unixsocket /nosuch/socket",
    "openssl s_client -connect 127.0.0.1:1",
    "bash -c 'help; nosuch; cd /nosuch; printf %d x; read -p'",
    "dash -c 'nosuch; cd /nosuch; ulimit -x'",
    "perl -we 'printf \"%d %s\\n\", 1, undef; warn 1; die'",
    "mawk 'BEGIN {{ printf \"%d %s %5.2f\\n\", 1, \"x\", 3.1; nosuch( }}'",
    "sqlite3 :memory: '.help' 'select printf(\"%d\", 1);' 'select nosuch;'",
    "lsblk", "mount", "ps aux", "tar tf /nosuch", "sort --nosuch", "ls --nosuch /nosuch",
    "logger --nosuch",
]
FIELDS = ("calls", "climbed", "quick", "unknown", "wrong")


def test_on_real_programs_the_way_up_is_that_of_a_full_unwinder(build, tmp_path, logfold):
    tally, library = tmp_path / "tally", build / "tools" / "compare_frames.so"
    tally.write_bytes(bytes(8 * len(FIELDS)))
    (tmp_path / "bad.c").write_text("int f(int a) { return g(b) + 1.5; }\nchar h(long x) { return x; }\n")
    env = logfold.environment({"COMPARE_FRAMES": tally, "LD_PRELOAD": library})
    used = 0
    for command in REAL:
        program = command.split()[0]
        if not shutil.which(program):
            pytest.fail(f"needs {program}: make test-deps")
        before = struct.unpack("5Q", tally.read_bytes())[0]
        subprocess.run(["sh", "-c", "exec " + command.format(
            root=ROOT, build=build, folder=tmp_path, source=ROOT / "tests/progs/wrappers.c")],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=DEADLINE_S)
        calls = struct.unpack("5Q", tally.read_bytes())[0] - before
        used += calls > 1  # one is the shell's own
        print(f"{calls:8} calls  {command[:70]}")
    counts = dict(zip(FIELDS, struct.unpack("5Q", tally.read_bytes())))
    text = pathlib.Path(f"{tally}.text")
    print(counts, "of", used, "commands")
    assert (counts["wrong"], counts["unknown"]) == (0, 0), text.read_text()[:2000]
    assert counts["calls"] > 5000 and used >= 10, counts
    assert counts["climbed"] > counts["calls"] // 2 and counts["quick"] > counts["calls"] // 2
