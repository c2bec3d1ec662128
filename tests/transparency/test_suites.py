"""The test suites of CPython and of perl: every test ends with the hook as it ends without.

What their tests say of themselves is compared name by name.  Some of their tests fail on some machines:
then they fail either way.  LOGFOLD_SUITES=1 (make suites) runs all that is listed here, `make test` a
few modules that are quick and do much to file descriptors, processes and streams.

perl's tests run under its own Test::Harness, which reads what they print from a pipe.  The hook is in the tests
alone, to which that pipe is their stdout.
"""

import os
import pathlib
import re
import subprocess

import pytest

from harness import ROOT, SUITES, compare, harness, need, tally  # noqa: F401

PYTHON = "/usr/bin/python3"
DEADLINE_S = 1800

SHORT = ("test_print test_fileio test_pty test_popen test_posix test_traceback test_code "
         "test_cmd test_runpy test_syslog test_atexit test_file").split()
LONG = ("test_json test_pdb test_subprocess test_io test_os test_signal test_threading test_cmd_line test_sys test_unittest "
        "test_logging test_re test_fork1 test_select test_builtin test_warnings test_faulthandler "
        "test_dict test_float test_list test_exceptions test_argparse test_csv test_struct test_zlib "
        "test_gzip test_tarfile test_tempfile test_shutil test_pathlib test_hashlib test_ctypes "
        "test_doctest test_mmap test_locale test_readline test_random test_thread test_resource "
        "test_bufio test_contextlib test_generators test_bytes test_glob test_platform test_pickle "
        "test_c_locale_coercion test_utf8_mode test_poll test_wait4").split()

# `test_a (test.test_x.Case.test_a) ... ok`; what a test itself prints may stand between, and the line
# of its doc string.
RESULT = re.compile(rb"^(\w+ \([\w.]+\))(?:\n[^\n]*?)? \.\.\. .*?\b(ok|FAIL|ERROR|skipped|expected failure|"
                    rb"unexpected success)\b", re.M | re.S)


def environment_of(harness, way):  # noqa: F811
    return harness.environment | (harness.hook(way, "{hook}")[1] if way else {})


def python_results(harness, module, way):  # noqa: F811
    """{name of a test: how it ended}, and the bytes it took to say so."""
    harness.fresh({})
    done = subprocess.run([PYTHON, "-B", "-m", "unittest", "-v", f"test.{module}"], cwd=harness.work,
                          env=environment_of(harness, way), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE_S)
    ran = re.findall(rb"^Ran (\d+) test", done.stdout, re.M)
    assert ran, done.stdout[-500:]
    return {name: how for name, how in RESULT.findall(done.stdout)}, ran[-1], done.returncode, done.stdout


def compare_module(harness, tally, module, way):  # noqa: F811
    bare, bare_ran, bare_status, text = python_results(harness, module, None)
    under, ran, status, _ = python_results(harness, module, way)
    differ = {name.decode(): (bare.get(name), under.get(name))
              for name in set(bare) | set(under) if bare.get(name) != under.get(name)}
    assert differ == {}, "how tests end: (without, with)"
    assert (ran, status) == (bare_ran, bare_status)
    assert harness.has_counted(way, True)
    assert len(bare) >= int(bare_ran) * 0.9, "the results of most of its tests are read"
    tally.programs.add(f"CPython {module}")
    tally.runs += 1
    tally.tests += len(bare)
    tally.bytes += len(text)


@pytest.fixture(scope="module")
def python_tests():
    found = subprocess.run([PYTHON, "-c", "import test.test_print"], capture_output=True)
    if found.returncode:
        pytest.fail("CPython's tests are not installed: `make test-deps` installs libpython3-testsuite")


@pytest.mark.parametrize("module", SHORT)
def test_each_test_ends_as_without_us_in_cpython(module, harness, tally, python_tests):  # noqa: F811
    compare_module(harness, tally, module, "preload" if SHORT.index(module) % 2 else "daemon")


@pytest.mark.skipif(not SUITES, reason="one of `make suites`: it takes minutes")
@pytest.mark.parametrize("module", LONG)
def test_each_test_ends_as_without_us_in_all_of_cpython(module, harness, tally,  # noqa: F811
                                                        python_tests):
    compare_module(harness, tally, module, "preload" if LONG.index(module) % 2 else "daemon")


PERL_TESTS = ("base", "cmd", "comp", "io", "lib", "mro", "op", "re", "uni")
TAP = re.compile(r"^(\S+\.t) \.\.+|^((?:not )?ok\b *\d*)|^(1\.\.\d+)", re.M)


@pytest.fixture(scope="module")
def perl_core():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    version = subprocess.run(["dpkg-query", "-W", "-f", "${source:Version}", "perl"], capture_output=True,
                             text=True, check=True).stdout
    folder = cache / "logfold-tests" / f"perl-{version}"
    done = subprocess.run(["sh", ROOT / "tests" / "transparency" / "perl_core.sh", folder], capture_output=True,
                          text=True, timeout=DEADLINE_S)
    if done.returncode:
        pytest.fail(f"perl's source package cannot be had: {done.stderr}")
    return folder


def perl_results(harness, folder, tests, way):  # noqa: F811
    """[what each line says that is a test's], the bytes of all lines."""
    harness.fresh({})
    perl = harness.base / "perl.sh"
    variables = " ".join(f"{name}='{value}'" for name, value in harness.hook(way, "{hook}")[1].items()) if way else ""
    perl.write_text(f'#!/bin/sh\nexec env {variables} /usr/bin/perl "$@"\n')
    perl.chmod(0o755)
    env = harness.environment | {"HARNESS_PERL": str(perl), "HARNESS_VERBOSE": "1", "PERL_CORE": "0"}
    done = subprocess.run(["perl", "-I../lib", "-MTest::Harness", "-e", "runtests(@ARGV)", *tests], env=env,
                          cwd=folder / "t", stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE_S)
    text = done.stdout.decode(errors="replace")
    found, name = [], ""
    for file, result, plan in TAP.findall(text):
        name = file or name
        found.append(f"{name} {result or plan}")
    return found, done.returncode, done.stdout


@pytest.mark.skipif(not SUITES, reason="one of `make suites`: it takes minutes")
@pytest.mark.parametrize("part", PERL_TESTS)
def test_each_test_ends_as_without_us_in_perl(part, harness, tally, perl_core):  # noqa: F811
    tests = sorted(str(path.relative_to(perl_core / "t")) for path in (perl_core / "t" / part).glob("*.t"))
    bare, bare_status, text = perl_results(harness, perl_core, tests, None)
    under, status, _ = perl_results(harness, perl_core, tests, "preload")
    differ = set(bare) ^ set(under)
    assert sorted(differ) == [], "only with, or only without the hook"
    assert (len(under), status) == (len(bare), bare_status)
    assert harness.has_counted("preload", True)
    assert len(bare) > 10 * len(tests) > 0
    tally.programs.add(f"perl t/{part}")
    tally.runs += 1
    tally.tests += sum(re.search(r" (not )?ok\b", line) is not None for line in bare)
    tally.bytes += len(text)
