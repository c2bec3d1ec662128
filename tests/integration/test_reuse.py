"""Addresses that come to mean something else (tests/progs/reuse.c): no call is counted on the entry of
another that was made from the same place before."""

import collections
import subprocess

import pytest

from conftest import DEADLINE_S

CALLS = 7
ROUNDS = 3 + 50  # ways of unloading, and the rounds beside threads

# Both libraries are laid out alike: the names are equally long.
LIBRARY = r"""
#include <stdio.h>
#define PASTE(a, b) a##b
#define NAMED(a, b) PASTE(a, b)
void NAMED(say_, WHO)(int i, const char *format)
{
	char text[64];

	puts(NAME " came");
	printf(NAME " said %d\n", i);
	snprintf(text, sizeof(text), NAME " wrote %d\n", i);
	fputs(text, stdout);
	printf(format);
	fputs(format, stdout);
}
"""

NESTED = r"""
#include <dlfcn.h>
#include <stdio.h>
static void *load_and_say(const char *folder, const char *name, int calls, const char *format)
{
	char path[4096], symbol[64];
	void *module, *at;

	snprintf(path, sizeof(path), "%s/%s.so", folder, name);
	snprintf(symbol, sizeof(symbol), "say_%s", name);
	module = dlopen(path, RTLD_NOW);
	at = dlsym(module, symbol);
	for (int i = 0; i < calls; i++)
		((void (*)(int, const char *))at)(i, format);
	dlclose(module);
	return at;
}
int swap(const char *folder, int calls, const char *format)
{
	void *first = load_and_say(folder, "alpha", calls, format);

	return load_and_say(folder, "gamma", calls, format) == first;
}
"""


def gcc(out, source, *flags):
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", *flags, "-xc", "-", "-o", out], input=source,
                   text=True, check=True, timeout=DEADLINE_S)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reuse")
    for name in ("alpha", "gamma"):
        gcc(folder / f"{name}.so", LIBRARY, f"-DWHO={name}", f'-DNAME="{name}"')
    gcc(folder / "nested.so", NESTED)
    return folder


def test_nothing_is_counted_on_the_entry_of_what_was_at_its_address_before(logfold, build, libraries,
                                                                           tmp_path):
    with open(tmp_path / "out", "wb") as out:
        done = logfold("run", "--summary", "none", "--", build / "progs" / "reuse", libraries,
                       str(CALLS), stdout=out, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    by_threads = int(done.stderr)
    counted = collections.Counter()
    for entry in logfold.entries():
        counted[entry["method"], entry["messageTemplate"], entry["topFrame"]] += entry["countTotal"]
    expected = collections.Counter()
    for name, frame, times in (("alpha", "alpha.so!say_alpha", ROUNDS), ("gamma", "gamma.so!say_gamma", ROUNDS + 1),
                               ("alpha", "[jit]", 1)):
        expected["puts", f"{name} came", frame] = CALLS * times
        expected["printf", f"{name} said %d\n", frame] = CALLS * times
        expected["fputs", f"{name} wrote <*>", frame] = CALLS * times
        for method in ("printf", "fputs"):
            expected[method, "passed on\n", frame] = CALLS * times
    for word in ("first", "other"):
        expected["printf", f"{word} %d\n", "reuse!print_buffer"] = CALLS * 4
    for word in ("one", "two", "new"):
        expected["printf", f"code in {word}\n", "[jit]"] = CALLS
    expected["printf", "thread says %d\n", "reuse!print_meanwhile"] = by_threads
    expected["puts", "thread is here", "reuse!print_meanwhile"] = by_threads
    del counted[next(k for k in counted if k[0] == "fprintf")]  # what stderr said
    assert counted == expected
    lines = (tmp_path / "out").read_bytes().count(b"\n")
    assert lines == sum(expected.values())


def test_what_lies_where_a_muted_library_was_is_printed(logfold, build, libraries):
    command = ("run", "--summary", "none", "--", build / "progs" / "reuse", libraries, str(CALLS))
    before = logfold(*command).stdout
    muted = logfold("mute", "template~=^alpha")
    assert muted.returncode == 0, muted.stderr
    after = logfold(*command).stdout
    for word in ("gamma", "passed", "code", "first", "other"):
        lines = [line for line in before.splitlines() if line.startswith(word)]
        assert lines == [line for line in after.splitlines() if line.startswith(word)], word
    assert "alpha" not in after
    assert sum(e["countMuted"] for e in logfold.entries()) == before.count("alpha")


# The destructor's line is the first that the process prints; without the compiler's start files, dlclose alone
# tells that the library goes.
LEAVING = r"""
#include <stdio.h>
#define PASTE(a, b) a##b
#define NAMED(a, b) PASTE(a, b)
void NAMED(say_, WHO)(void)
{
	puts(NAME " is here");
	fflush(stdout);
}
__attribute__((destructor)) static void leave(void)
{
	NAMED(say_, WHO)();
}
"""

OPENER = r"""
#include <dlfcn.h>
int main(int argc, char **argv)
{
	void *module = dlopen(argv[1], RTLD_NOW), *at = dlsym(module, "say_alpha");

	dlclose(module);
	module = dlopen(argv[2], RTLD_NOW);
	if (!module || dlsym(module, "say_gamma") != at)
		return 3;
	((void (*)(void))at)();
	return 0;
}
"""


def test_a_library_whose_going_is_the_first_that_a_process_prints_leaves_nothing_behind(logfold, tmp_path):
    for name in ("alpha", "gamma"):
        gcc(tmp_path / f"{name}.so", LEAVING, "-nostartfiles", f"-DWHO={name}", f'-DNAME="{name}"')
    subprocess.run(["gcc", "-O1", "-xc", "-", "-o", tmp_path / "opener"], input=OPENER, text=True,
                   check=True, timeout=DEADLINE_S)
    done = logfold("run", "--summary", "none", "--", tmp_path / "opener", tmp_path / "alpha.so",
                   tmp_path / "gamma.so")
    assert done.returncode == 0, done.stderr
    assert {e["messageTemplate"]: e["countTotal"] for e in logfold.entries()} == {
        "alpha is here": 1, "gamma is here": 2}
