"""Programs that link liblogfold: what they count is exact, and what they are told is obeyed."""

import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

from conftest import DEADLINE_S, ROOT
from linking import SOURCES, run

CALLS = 1000


@pytest.fixture
def host(linked, logfold):
    """host(*arguments): runs tests/linked/host.c, which has to end well; (stdout, stderr)."""
    program = linked("host", SOURCES / "host.c")

    def started(*arguments, status=0, env=None):
        done = subprocess.run([str(word) for word in (program, *arguments)], capture_output=True,
                              text=True, timeout=DEADLINE_S, env=logfold.environment(env),
                              stdin=subprocess.DEVNULL)
        assert done.returncode == status, done.stderr
        return done.stdout, done.stderr

    started.program = program
    return started


@pytest.fixture
def counts(logfold):
    """counts(field, …): {the entries' fields: countTotal}."""
    def by(*fields):
        found = {}
        for entry in logfold.entries():
            key = tuple(entry[field] for field in fields)
            found[key if len(fields) > 1 else key[0]] = entry["countTotal"]
        return found
    return by


def segments(logfold):
    folder = logfold.run_dir / "segments"
    return len(list(folder.glob("*.seg"))) if folder.exists() else 0


# --- counts ------------------------------------------------------------------------------------


def test_each_call_counts_once_under_the_name_that_the_preload_library_would_give_it(host, counts):
    stdout, stderr = host("count", CALLS)
    assert stdout.count("\n") == 2 * CALLS and stderr.count("\n") == CALLS
    assert counts("method", "messageTemplate", "templateKind", "topFrame") == {
        ("printf", "printed %ld\n", "format", "host!count"): CALLS,
        ("fprintf", "told %ld\n", "format", "host!count"): CALLS,
        ("puts", "constant", "constant", "host!count"): CALLS,
        ("LOG", "logged %ld", "format", "host!count"): CALLS,
        ("log.info", "called", "format", "a!b"): CALLS,
    }


def test_an_entry_of_a_site_knows_its_source_line(host, logfold):
    host("count", 1)
    (entry,) = [e for e in logfold.entries() if e["messageTemplate"] == "printed %ld\n"]
    lines = (SOURCES / "host.c").read_text().splitlines()
    assert entry.get("sourceFile") == str(SOURCES / "host.c")
    assert "printed" in lines[entry["sourceLine"] - 1]


def test_threads_that_begin_at_one_site_at_once_are_counted_exactly(host, counts):
    host("threads", 100000)
    assert counts("messageTemplate") == {"threads %d": 400000}


def test_threads_that_make_the_first_call_at_once_leave_one_segment_and_one_table(host, logfold):
    assert {host("first", 1)[1] for _ in range(12)} == {"1\n"}
    assert segments(logfold) == 12


def test_a_process_that_is_killed_has_counted_all_its_calls(host, counts):
    host("killed", 12345, status=-9)
    assert counts("messageTemplate") == {"before the end %ld": 12345}


def test_children_of_every_kind_count_for_themselves(host, counts, logfold):
    stdout, _ = host("forks")
    assert segments(logfold) == 7, "parent, five children and grandchildren that say something, one after exec"
    found = counts("method", "messageTemplate")
    assert {name: found["child", name] for name in ("forked", "_Forked", "cloned", "grand", "vforked")} == dict.fromkeys(
        ("forked", "_Forked", "cloned", "grand", "vforked"), 1)
    assert found["printf", "%s prints\n"] == stdout.count(" prints\n") == 11


def test_a_signal_handler_counts_while_the_program_does(host, counts):
    calls, handled = map(int, host("signals", 300)[1].split())
    found = counts("method", "messageTemplate")
    assert found["SIGNAL", "handled"] == found["signal", "called"] == handled
    assert found["LOG", "threads %d"] == calls + handled
    assert sum(n for (method, _), n in found.items() if method == "main") == calls


def test_what_a_full_map_has_no_room_for_is_counted_too(host, counts):
    host("many", 20000)
    found = counts("method")
    assert sum(found.values()) != 0
    everything = counts("method", "messageTemplate")
    assert sum(everything.values()) == 20000
    assert found["overflow"] == 20000 - 16384


def test_a_library_that_is_unloaded_leaves_nothing_behind(host, linked, counts, logfold):
    plugin = linked("plugin.so", "-shared", "-fPIC", SOURCES / "plugin.c")
    host("unload", plugin)
    assert counts("messageTemplate") == {"plugged in %d": 100, "threads %d": 50}
    assert segments(logfold) <= 1


LOADER = """
import _ctypes, ctypes, sys
for _ in range(20):
    plugin = ctypes.CDLL(sys.argv[1])
    plugin.plugin_call(1)
    _ctypes.dlclose(plugin._handle)
    del plugin
"""


def test_a_program_that_loads_and_unloads_it_with_a_library_counts_into_one_segment(linked, counts, logfold):
    run(sys.executable, "-c", LOADER, linked("plugin.so", "-shared", "-fPIC", SOURCES / "plugin.c"),
        env=logfold.environment())
    assert segments(logfold) == 1
    assert counts("messageTemplate") == {"plugged in %d": 20}


def test_sites_in_templates_and_inline_functions_are_counted_exactly(linked, counts, logfold):
    other = linked("other.o", "-c", "-std=c++17", "-DOTHER", SOURCES / "parts.cc", cc="g++")
    program = linked("parts", "-std=c++17", SOURCES / "parts.cc", other, cc="g++")
    run(program, env=logfold.environment())
    assert counts("messageTemplate", "topFrame") == {
        ("inline %d\n", "parts!shared"): 20,
        ("template", "parts!of_type"): 30,
        ("member %d", "parts!operator()"): 10,
        ("lambda %d", "parts!operator()"): 10,
    }


# --- beside the hook, and without anybody ------------------------------------------------------


def test_beside_the_preload_library_a_call_counts_once_and_into_the_same_entry(host, counts, logfold):
    done = logfold("run", "--summary", "none", "--", host.program, "both", str(CALLS))
    assert done.returncode == 0
    assert counts("method", "messageTemplate", "topFrame") == {
        ("printf", "shared %ld\n", "host!both"): 2 * CALLS,
        ("fprintf", "shared %ld as well\n", "host!both"): 2 * CALLS,
        ("puts", "shared text", "host!both"): 2 * CALLS,
        ("syslog.err", "shared %ld with the log", "host!both"): 2 * CALLS,
        ("syslog", "of any priority", "host!both"): CALLS,
    }


# The second exports nothing: its table of symbols has only what it asks for, and none is hashed.
@pytest.mark.parametrize("options", [(), ("-fPIC", "-no-pie")])
def test_bytes_that_a_putc_macro_stores_between_linked_calls_are_told_apart_from_them(linked, counts, logfold, options):
    program = linked(f"inlined{len(options)}", *options, SOURCES / "inlined.c")
    bare = subprocess.run([program, "300"], env=logfold.environment({"LOGFOLD_DISABLE": "1"}),
                          capture_output=True, timeout=DEADLINE_S)
    done = logfold("run", "--summary", "none", "--", program, "300", text=False)
    assert (done.returncode, done.stdout) == (0, bare.stdout)
    assert counts("method", "messageTemplate", "topFrame") == {
        ("printf", "linked %ld\n", f"{program.name}!main"): 300, ("putc", "x", f"{program.name}!main"): 300,
        ("printf", "hooked %ld\n", f"{program.name}!main"): 100}


def test_where_nothing_can_be_counted_everything_is_printed(host, logfold, tmp_path):
    closed = tmp_path / "a file"
    closed.write_text("")
    bare = host("count", 3, env={"LOGFOLD_DISABLE": "1"})
    assert segments(logfold) == 0
    assert host("count", 3, env={"LOGFOLD_RUN_DIR": closed}) == bare
    _, told = host("count", 1, env={"LOGFOLD_RUN_DIR": closed, "LOGFOLD_DEBUG": "1"})
    assert "not counted" in told
    assert bare[0] == "".join(f"printed {i}\nconstant\n" for i in range(3))


def test_the_namespace_is_what_the_environment_says(host, logfold):
    host("count", 1, env={"LOGFOLD_NAMESPACE": "shop"})
    assert {e["namespace"] for e in logfold.entries()} == {"shop"}


def test_a_call_before_the_library_is_initialised_knows_the_environment(host, counts, logfold):
    host("early", env={"LOGFOLD_DISABLE": "1"})
    assert segments(logfold) == 0
    host("early")
    assert counts("method", "messageTemplate") == {("early", "of all"): 1}


CLEARED = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.clearenv()
ctypes.CDLL("{library}")
assert not ctypes.c_void_p.in_dll(libc, "environ").value
"""


def test_a_program_that_cleared_its_environment_has_none_after_it_loads_the_library(build, logfold):
    run(sys.executable, "-c", CLEARED.replace("{library}", str(build / "liblogfold.so.1")),
        env=logfold.environment({"LOGFOLD_DISABLE": "1"}))


# --- muted, sampled, folded --------------------------------------------------------------------


@pytest.fixture
def echo(host, logfold):
    """echo(): makes the program call, and says how often the call's argument has been evaluated so far;
    echo.end(): what it has printed."""
    process = subprocess.Popen([host.program, "echo"], env=logfold.environment(), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def call():
        process.stdin.write(b".")
        process.stdin.flush()
        ready, _, _ = select.select([process.stderr], [], [], DEADLINE_S)
        assert ready, "the program does not answer"
        return int(process.stderr.readline())

    def end():
        process.stdin.close()
        printed = process.stdout.read().decode()
        assert process.wait(timeout=DEADLINE_S) == 0
        return printed

    call.end = end
    yield call
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def command(logfold, *arguments):
    done = logfold(*arguments)
    assert done.returncode == 0, done.stderr


def outcomes(logfold):
    (entry,) = logfold.entries()
    return {name: entry[name] for name in entry if re.match(r"count(?!Total)", name) and entry[name]}


def test_a_muted_call_is_left_out_without_looking_at_its_arguments_and_heard_again(echo, logfold):
    assert [echo(), echo()] == [1, 2]
    command(logfold, "mute", "method=printf")
    assert [echo(), echo(), echo()] == [2, 2, 2]
    command(logfold, "unmute", "method=printf")
    assert echo() == 3
    assert echo.end() == "echo 1\necho 2\necho 3\n"
    assert outcomes(logfold) == {"countPassed": 3, "countMuted": 3}


def test_a_sampled_call_is_made_as_often_as_was_said(echo, logfold):
    assert echo() == 1
    command(logfold, "sample", "method=printf", "1/3")
    assert [echo() for _ in range(7)] == [2, 2, 2, 3, 3, 3, 4]
    command(logfold, "limit", "method=printf", "2/2h")
    assert [echo() for _ in range(4)] == [5, 6, 6, 6]
    assert echo.end() == "".join(f"echo {n}\n" for n in range(1, 7))
    assert outcomes(logfold) == {"countPassed": 6, "countSampled": 4, "countLimited": 2}


GRACE_S = 1  # LF_FOLD_GRACE_MS: of a call that comes later than that, the repeats before it are an agent's to tell


def repeats_until_printed(echo, printed):
    """How many calls are left out, and whether the one that is printed after them came late."""
    repeats, earlier, this = 0, time.monotonic(), time.monotonic()
    while echo() == printed:
        repeats += 1
        earlier, this = this, time.monotonic()
    return repeats, time.monotonic() - earlier > GRACE_S


def test_the_repeats_of_a_folded_call_are_told_before_the_next_that_is_printed(echo, logfold):
    assert echo() == 1
    command(logfold, "fold", "method=printf", "300ms")
    assert echo() == 2
    printed, folded, told, expected = 2, 0, False, "echo 1\necho 2\n"
    for _ in range(20):
        repeats, late = repeats_until_printed(echo, printed)
        printed, folded = printed + 1, folded + repeats
        sentence = re.escape(f"echo %d … repeated {repeats} time{'s' * (repeats != 1)} in 0.3 s\n")
        told = repeats > 0 and not late
        expected += f"{sentence if told else f'({sentence})?'}echo {printed}\n"
        if told:
            break
    assert told, "the call is folded, and its repeats are told in time"
    assert re.fullmatch(expected, echo.end())
    assert outcomes(logfold) == {"countPassed": printed, "countFolded": folded}


# --- lf_call -----------------------------------------------------------------------------------

CALL = """
import ctypes, json, sys
lf = ctypes.CDLL("liblogfold.so.1")
for words in json.loads(sys.argv[1]):
    said = lf.lf_call(*(None if w is None else w.encode("latin-1") for w in words))
    assert said == 1, said
"""


@pytest.fixture
def call(build, logfold):
    """call((method, message, frame), …): as bytes in Latin-1, None for NULL; by ctypes."""
    def called(*calls):
        run(sys.executable, "-c", CALL, json.dumps(calls),
            env=logfold.environment({"LD_LIBRARY_PATH": build}))
    return called


def test_texts_are_cut_and_escaped_as_the_hook_does(call, logfold):
    call(("m" * 40, "caf\xe9 \x01 \xc3\xa9", "f" * 300), ("long", "x" * 5000, "a!b"),
         ("cut", "x" * 4095 + "\xc3\xa9", "a!b"), ("", "", ""), ("m", "no frame", None))
    found = {e["messageTemplate"]: e for e in logfold.entries()}
    assert set(found) == {"caf\\xe9 \x01 é", "x" * 4096, "x" * 4095, "", "no frame"}
    assert found["caf\\xe9 \x01 é"]["method"] == "m" * 32
    assert found["caf\\xe9 \x01 é"]["topFrame"] == "f" * 256
    assert found["no frame"]["topFrame"] == "[unknown]"


FOLDED = """
import ctypes, time
lf = ctypes.CDLL("liblogfold.so.1")
call = lambda: lf.lf_call(b"m", b"told by lf_call", b"a!b")
while call() != 1:
    pass
passed, folded, late, repeats = 1, 0, True, 0
for _ in range(20):
    repeats, earlier, this = 0, time.monotonic(), time.monotonic()
    while not (said := call()):
        repeats += 1
        earlier, this = this, time.monotonic()
    late = time.monotonic() - earlier > {grace}
    passed, folded = passed + 1, folded + repeats
    if repeats and not late:
        break
print(passed, folded, repeats, said)
"""


def test_lf_call_says_how_many_calls_a_fold_has_left_out_before(call, build, logfold):
    call(("m", "told by lf_call", "a!b"))
    command(logfold, "fold", "method=m", "200ms")
    done = run(sys.executable, "-c", FOLDED.replace("{grace}", str(GRACE_S)),
               env=logfold.environment({"LD_LIBRARY_PATH": build}))
    passed, folded, repeats, said = map(int, done.split())
    assert repeats and said == 1 + repeats
    assert outcomes(logfold) == {"countPassed": 1 + passed, "countFolded": folded}


def test_a_call_without_a_name_is_printed_and_not_counted(call, logfold):
    call((None, "message", "a!b"), ("method", None, "a!b"))
    assert logfold.entries() == []


# --- what the README shows ---------------------------------------------------------------------


def shown(before, language):
    text = (ROOT / "README.md").read_text().split(f"<!-- {before} -->")[1]
    return re.match(rf"\s*```{language}\n(.*?)```", text, re.S)[1]


@pytest.mark.parametrize("cc, options", [("gcc", ["-std=c99", "-x", "c"]), ("g++", ["-std=c++17", "-x", "c++"])])
def test_the_program_in_the_readme_compiles_runs_and_is_counted(linked, counts, logfold, tmp_path, cc, options):
    source = tmp_path / "program"
    source.write_text(shown("a C program", "c"))
    program = linked(f"readme-{cc}", "-pedantic", *options, source, "-x", "none", cc=cc)
    stdout = run(program, env=logfold.environment())
    assert stdout.count("\n") == 1001
    assert counts("method", "topFrame") == {("printf", f"{program.name}!main"): 1000, ("audit", "door!open"): 1}


def test_the_python_handler_in_the_readme_counts_and_is_muted(build, logfold, counts, tmp_path):
    source = tmp_path / "program.py"
    text = shown("a Python handler", "python")
    assert len(text.split("logging.basicConfig")[0].strip().splitlines()) <= 20
    source.write_text(text)
    env = logfold.environment({"LD_LIBRARY_PATH": build})

    def lines():
        done = subprocess.run([sys.executable, source], env=env, capture_output=True, text=True,
                              timeout=DEADLINE_S)
        assert done.returncode == 0, done.stderr
        return done.stderr.splitlines()

    assert lines() == [f"request {n} served" for n in range(1000)]
    assert counts("method", "messageTemplate", "topFrame") == {
        ("logging.info", "request %d served", "program!<module>"): 1000}
    assert logfold("mute", "method=logging.info").returncode == 0
    assert lines() == []
    assert [e["countMuted"] for e in logfold.entries()] == [1000]


HANDLED = """
class Bad:
    def __str__(self):
        raise ValueError("no text")

for message in (Bad(), "%d bad", 12, None, "a \\udc80 surrogate"):
    logging.info(message)
    logging.info(message, "argument")
Folded.logfold.lf_call = lambda *named: 4
logging.info("told %s", "again")
print("still there")
"""


def test_the_python_handler_in_the_readme_takes_what_any_handler_does_and_tells_of_a_fold(build, logfold, tmp_path):
    source = tmp_path / "program.py"
    env = logfold.environment({"LD_LIBRARY_PATH": build, "PYTHONIOENCODING": "utf-8:backslashreplace"})
    handler = shown("a Python handler", "python").split("for number in")[0]

    def lines(handler):
        source.write_text(handler + HANDLED)
        done = subprocess.run([sys.executable, source], env=env, capture_output=True, text=True,
                              timeout=DEADLINE_S)
        assert (done.returncode, done.stdout) == (0, "still there\n"), done.stderr
        return [re.sub(" at 0x.*", "", line) for line in done.stderr.splitlines() if not line.startswith(" ")]

    folded = lines(handler)
    assert folded[-2:] == ["told %s … repeated 3 times", "told again"]
    plain = lines(handler.replace("handlers=[Folded()]", "handlers=[logging.StreamHandler()]"))
    assert folded[:-2] + folded[-1:] == plain and "ValueError: no text" in plain


# --- what is installed -------------------------------------------------------------------------


def test_pkg_config_and_an_installed_library_are_all_that_a_program_needs(linked, logfold, tmp_path):
    run("make", "-C", ROOT, "install", f"DESTDIR={tmp_path}", "UNITDIR=/nowhere", "PREFIX=/usr/local")
    env = os.environ | {"PKG_CONFIG_PATH": f"{tmp_path}/usr/local/lib/pkgconfig",
                        "PKG_CONFIG_SYSROOT_DIR": str(tmp_path)}
    flags = run("pkg-config", "--cflags", "--libs", "logfold", env=env).split()
    source = tmp_path / "program.c"
    source.write_text(shown("a C program", "c"))
    run("gcc", source, "-o", tmp_path / "program", *flags)
    assert "liblogfold.so.1" in run("readelf", "-d", tmp_path / "program")
    stdout = run(tmp_path / "program", env=logfold.environment({"LD_LIBRARY_PATH": tmp_path / "usr/local/lib"}))
    assert stdout.count("\n") == 1001 and len(logfold.entries()) == 2


def test_the_library_exports_what_the_header_declares_and_interposes_nothing(build):
    names = {line.split()[2].split("@")[0] for line in run("nm", "-D", "--defined-only", build / "liblogfold.so.1").splitlines()}
    declared = set(re.findall(r"^(?:int|void) (lf_\w+)\(", (ROOT / "include/logfold/logfold.h").read_text(), re.M))
    assert names - {"LOGFOLD_1"} == declared
    assert "pthread_" not in run("nm", "-D", "--undefined-only", build / "liblogfold.so.1")


def test_without_logfold_the_macros_are_the_plain_calls(logfold, tmp_path):
    source = tmp_path / "program.c"
    source.write_text(shown("a C program", "c"))
    run("gcc", "-DLOGFOLD_OFF", f"-I{ROOT}/include", source, "-o", tmp_path / "program")
    assert run(tmp_path / "program", env=logfold.environment()).count("\n") == 1001
    assert logfold.entries() == []


def test_what_does_not_fit_its_format_is_no_literal_or_is_told_by_the_compiler(tmp_path):
    def refused(line):
        done = subprocess.run(["gcc", "-Wall", "-Werror", f"-I{ROOT}/include", "-fsyntax-only", "-x", "c", "-"],
                              input=f"#include <logfold/logfold.h>\nvoid f(const char *s);\nvoid f(const char *s) {{ {line}; }}\n",
                              capture_output=True, text=True, timeout=DEADLINE_S)
        return done.returncode != 0
    assert not refused('lf_printf("%s", s)')
    assert refused('lf_printf("%d", s)') and refused('lf_fprintf(stderr, "%d", s)')
    assert refused("lf_printf(s)") and refused("lf_puts(s)") and refused('lf_printf("%s")')


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a program that runs as another user")
def test_a_program_with_more_rights_than_its_caller_does_not_hear_its_callers_environment(build):
    owner, caller = 65533, 65534
    with tempfile.TemporaryDirectory() as room:
        folder, theirs = pathlib.Path(room), pathlib.Path(room) / "theirs"
        folder.chmod(0o755)
        theirs.mkdir(0o700)
        shutil.copy(build / "liblogfold.so.1", folder)
        program = folder / "host"
        run("gcc", "-D_GNU_SOURCE", f"-I{ROOT}/include", "-o", program, SOURCES / "host.c", "-pthread",
            folder / "liblogfold.so.1", f"-Wl,-rpath,{folder}")
        os.chown(program, owner, owner)

        def called(mode, whose):
            program.chmod(mode)
            os.chown(theirs, whose, whose)   # else it is not taken, whoever names it
            try:
                done = subprocess.run([program, "count", "1"], capture_output=True, text=True, timeout=DEADLINE_S,
                                      user=caller, group=caller, extra_groups=[],
                                      env={"LOGFOLD_RUN_DIR": str(theirs), "LOGFOLD_DEBUG": "1"})
                assert done.returncode == 0, done.stderr
                return list(theirs.iterdir()), done.stderr
            finally:
                shutil.rmtree(f"/tmp/logfold-{owner}", ignore_errors=True)

        assert called(0o4755, owner) == ([], "told 0\n")
        assert called(0o755, caller)[0], "without those rights it does"
