"""The rules of the hook, each with the tests that hold it; and those tests that belong to nothing else.

Each of the tests named here was seen to fail when its rule was broken in the code.
"""

import re
import subprocess

import pytest

from conftest import DEADLINE_S, ROOT

HOOK, CLI, FAULTS = "test_hook.py", "test_cli.py", "test_faults.py"

RULES = {
    "the original arguments are passed on, nothing is re-implemented":
        ("test_every_twin_prints_and_returns_what_it_does_without_the_hook",),
    "every hooked name has its twins":
        ("test_every_twin_that_libc_has_of_a_call_we_take_is_taken",
         "test_every_console_call_of_libc_is_taken_or_left_alone_for_a_reason"),
    "stubs, version script and tests come from one table":
        ("test_the_library_exports_the_table_and_nothing_else",),
    "no name is looked up that libc lacks":
        ("test_every_name_that_is_looked_up_is_libcs",),
    "real functions resolve in the constructor, and lazily before it":
        ("test_what_is_printed_before_constructors_and_after_destructors_is_counted",),
    "thread-local storage is of the initial-exec model":
        ("test_thread_local_storage_needs_no_call",),
    "no locks, nothing of the heap":
        ("test_the_hook_takes_no_lock",),
    "vfork and clone are not hooked; a child in its parent's memory counts as its parent":
        ("test_vfork_and_clone_are_left_alone",
         "test_a_child_that_prints_first_counts_for_its_parent_which_counts_on",
         "test_a_childs_redirection_does_not_end_its_parents_line"),
    "a fork is noticed however it was made":
        ("test_a_forked_child_begins_without_its_parents_unfinished_line",
         "test_children_of_every_kind_count_once"),
    "no file stays open":
        ("test_what_is_printed_before_constructors_and_after_destructors_is_counted",),
    "pages are reserved before they are used":
        ("test_a_full_run_directory_is_told_and_the_program_runs_as_bare",
         "test_a_disk_that_is_too_small_for_a_part_of_it_hurts_no_program"),
    "where nothing can be counted, calls pass, and nothing is said":
        ("test_one_that_cannot_be_written_is_told",
         "test_a_program_in_a_chroot_prints_on"),
    "a sandbox is not noticed":
        ("test_a_filter_that_kills_for_what_the_program_does_not_need_kills_no_one",
         "test_a_sandbox_that_is_refused_leaves_the_hook_as_it_was"),
    "a program with more rights than its caller does not hear its environment":
        ("test_a_program_with_more_rights_than_its_caller_does_not_hear_its_callers_environment",),
    "nothing is torn down at exit":
        ("test_what_is_printed_before_constructors_and_after_destructors_is_counted",),
    "libc is never called by names that the host may have functions of":
        ("test_what_is_printed_before_constructors_and_after_destructors_is_counted",),
    "warn, err and error are versioned, so that a library's own are its own":
        ("test_a_library_calls_its_own_warn_and_error",),
    "a call site does not outlive its module":
        ("test_nothing_is_counted_on_the_entry_of_what_was_at_its_address_before",
         "test_another_library_at_the_address_of_a_closed_one_is_left_by_its_own_way"),
    "the library is added behind what LD_PRELOAD says, by its absolute path":
        ("test_what_was_preloaded_stays_in_front",),
    "the kernel has accepted a buffer before it is read":
        ("test_whatever_becomes_of_a_call_it_gives_back_the_same",
         "test_every_twin_prints_and_returns_what_it_does_without_the_hook"),
    "what has begun to be printed is printed to its end":
        ("test_what_has_begun_to_be_printed_is_printed_to_its_end",
         "what_has_begun_to_be_printed_is_printed_to_its_end"),
    "fatal calls are never suppressed":
        ("test_hooked_and_muted_they_return_the_same_and_print_what_they_may",),
    "a call that is left out gives back what it would have":
        ("test_whatever_becomes_of_a_call_it_gives_back_the_same",
         "test_muted_twins_print_nothing_and_return_the_same"),
    "a wrapper's caller is the frame; who is variadic itself stays the top":
        ("test_two_callers_of_one_variadic_wrapper_are_two_entries_with_their_names",
         "test_where_no_function_is_variadic_the_direct_caller_is_the_frame"),
    "every kind of frame is read, and no address believed that is not a call's":
        ("each_kind_of_frame_has_its_rule",
         "a_function_is_known_to_be_variadic_by_what_it_stores",
         "an_address_that_no_call_returns_to_is_told_from_one",
         "a_hostile_table_gives_some_rule_or_none_and_reads_nothing_beyond_it"),
    "no stack is read that is not proved to be readable":
        ("test_a_wrapper_is_left_on_stacks_that_are_not_the_threads",),
}


def the_tests():
    names = set()
    for path in (ROOT / "tests").rglob("test_*.*"):
        text = path.read_text(errors="replace")
        names.update(re.findall(r"^ *def (test_\w+)", text, re.M))
        names.update(re.findall(r"^Test\(\w+, (\w+)", text, re.M))
    return names


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule):
    assert set(RULES[rule]) - the_tests() == set()


def symbols(*arguments):
    listed = subprocess.run(["nm", "-D", *arguments], capture_output=True, text=True, check=True)
    return {line.split()[-1].split("@")[0] for line in listed.stdout.splitlines()}


def test_every_name_that_is_looked_up_is_libcs():
    """A look-up that fails calls malloc, which may be the host's and not ready yet."""
    text = (ROOT / "agent/hook/libc.h").read_text()
    looked_up = set(re.findall(r"^\tX\((\w+), ", text, re.M))
    libc = subprocess.run(["sh", "-c", "ldd /bin/sh | awk '/libc.so/ {print $3}'"], text=True,
                          capture_output=True, check=True).stdout.strip()
    assert len(looked_up) > 40
    assert looked_up - symbols("--defined-only", libc) == set()


def test_thread_local_storage_needs_no_call(build):
    """The default model asks __tls_get_addr, which may allocate."""
    library = build / "liblogfold-preload.so"
    relocations = subprocess.run(["readelf", "-rW", library], capture_output=True, text=True,
                                 check=True).stdout
    assert "__tls_get_addr" not in symbols("--undefined-only", library)
    assert not re.search("DTPMOD|TLSDESC", relocations)
    assert re.search("TPOFF|TPREL", relocations), "it has some"


def test_vfork_and_clone_are_left_alone(build):
    exported = symbols("--defined-only", build / "liblogfold-preload.so")
    assert not exported & {"vfork", "__vfork", "clone", "__clone", "clone3", "_Fork", "posix_spawn"}


UNFINISHED = r"""
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#define SAY(what) do { char text[] = what; (void)!write(1, text, sizeof(text) - 1); } while (0)
static long by_clone(void) { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }
static long by_fork(void) { return fork(); }
static long by__Fork(void) { return _Fork(); }
int main(void)
{
	long (*const ways[])(void) = { by_fork, by__Fork, by_clone };
	for (int i = 0; i < 3; i++) {
		SAY("unfinished ");
		if (ways[i]() == 0) {
			SAY("child\n");
			_exit(0);
		}
		wait(NULL);
		SAY("line\n");
	}
}
"""


def test_a_forked_child_begins_without_its_parents_unfinished_line(logfold, tmp_path):
    program = tmp_path / "unfinished"
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-xc", "-", "-o", program], input=UNFINISHED, text=True,
                   check=True, timeout=DEADLINE_S)
    assert logfold("run", "--summary", "none", "--", program).returncode == 0
    assert {e["messageTemplate"].strip(): e["countTotal"] for e in logfold.entries()} == {
        "unfinished line": 3, "child": 3}


LATE = """
#include <stdio.h>
__attribute__((constructor)) static void construct(void) { puts("library came"); fflush(stdout); }
__attribute__((destructor)) static void destruct(void) { puts("library goes"); fflush(stdout); }
"""


def test_what_is_printed_before_constructors_and_after_destructors_is_counted(build, preload, logfold,
                                                                              tmp_path):
    """Of libraries on both sides of ours, one is initialised before it and outlives it."""
    library = tmp_path / "late.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-xc", "-", "-o", library], input=LATE, text=True,
                   check=True, timeout=DEADLINE_S)
    bare, *under = (subprocess.run([build / "progs" / "early"], capture_output=True, timeout=DEADLINE_S,
                                   env=logfold.environment({"LD_PRELOAD": libraries}))
                    for libraries in (library, f"{preload}:{library}", f"{library}:{preload}"))
    assert bare.returncode == 0, "none of its own functions was called"
    for one in under:
        assert (one.stdout, one.stderr, one.returncode) == (bare.stdout, bare.stderr, 0)
    lines = bare.stdout.count(b"\n") + bare.stderr.count(b"\n")
    assert sum(entry["countTotal"] for entry in logfold.entries()) == 2 * lines == 22


class TestVerdicts:
    """Whatever becomes of a call, it gives back what it would have given."""

    ROUNDS = 4

    @pytest.fixture
    def once(self, build, logfold, tmp_path):
        def run(name, *prefix):
            output, results = tmp_path / f"{name}.out", tmp_path / f"{name}.results"
            with open(output, "w+b") as out, open(results, "w+b") as file:
                command = [*prefix, build / "progs" / "verdicts", str(self.ROUNDS)]
                done = subprocess.run(["bash", "-c", 'exec "$@" 3>&0 0</dev/null', "-", *command],
                                      stdin=file, stdout=out, stderr=subprocess.DEVNULL,
                                      env=logfold.env, timeout=DEADLINE_S)
            assert done.returncode == 0
            return output.read_bytes(), results.read_text()
        return run

    @pytest.mark.parametrize("outcome, verb, policy", [
        ("Muted", "mute", ()), ("Sampled", "sample", ("1/100",)), ("Limited", "limit", ("1/1h",)),
        ("Folded", "fold", ("1h",))])
    def test_whatever_becomes_of_a_call_it_gives_back_the_same(self, once, logfold, outcome, verb,
                                                              policy):
        under = (logfold.binary, "run", "--summary", "none", "--")
        bare = once("bare")
        assert once("hooked", *under) == bare
        before = {entry["hash"]: entry["countTotal"] for entry in logfold.entries()}
        assert "Argument list too long" in {e["messageTemplate"] for e in logfold.entries()}, "%m of errno 7"
        told = logfold(verb, "template~=^", *policy)
        assert told.returncode == 0, told.stderr
        printed, results = once(verb, *under)
        assert results == bare[1]
        # Muted all is silent; else the first of each message goes out.
        assert len(printed) <= len(bare[0]) / (self.ROUNDS if policy else 20)
        entries = logfold.entries()
        assert {e["hash"]: e["countTotal"] for e in entries} == {h: 2 * n for h, n in before.items()}
        assert sum(e["count" + outcome] for e in entries) >= sum(before.values()) / self.ROUNDS

    def test_what_has_begun_to_be_printed_is_printed_to_its_end(self, once, logfold):
        under = (logfold.binary, "run", "--summary", "none", "--")
        said, begun = b"said where it goes\n", b"begun: said where it goes\n"
        before = once("hooked", *under)[0]
        assert logfold("mute", "template~=^said where").returncode == 0
        printed, _ = once("muted", *under)
        assert said in before.splitlines(True)
        assert said not in printed.splitlines(True)
        assert printed.count(begun) == before.count(begun) == self.ROUNDS
