"""Every console call of the libc at hand: taken, or left alone for a reason that the table gives."""

import collections
import re
import subprocess

import pytest

from conftest import DEADLINE_S, ROOT

TABLE = (ROOT / "agent/hook/interposed.def").read_text()
TAKEN = set(re.findall(r"^LF_[A-Z]+_CALL\((\w+),", TABLE, re.M))
LEFT_ALONE = dict(re.findall(r'^LF_LEFT_ALONE\((\w+),\s*"(.+)"\)$', TABLE, re.M))

# Where functions are declared that print, or could be thought to.
HEADERS = """aio argp assert err error execinfo fcntl fmtmsg getopt grp gshadow malloc mcheck mntent
    monetary mqueue netdb obstack printf pty pwd regex resolv shadow signal spawn stdio stdio_ext stdlib
    sys/klog sys/sendfile sys/socket sys/uio syslog threads uchar unistd utmp utmpx wchar""".split()

# A name that sounds like output, whether a header declares it or not.
SOUNDS_LIKE_OUTPUT = re.compile(
    "print|put|write|warn|err|log|msg|send|splice|assert|fail|abort|dump|trace|stats|help|usage|psig|pass"
    "|tee|copy_file|overflow|flush|fatal|panic|show|list|xsput|padn|out|echo|say|tell|report", re.I)

# What has been looked at, and prints nothing.
SILENT = {name for line in (ROOT / "tests/vectors/silent_calls.txt").read_text().splitlines()
          if not line.startswith("#") for name in line.split()}


@pytest.fixture(scope="module")
def exported():
    """What programs can call of libc, by its own symbol table."""
    libc = subprocess.run(["bash", "-c", "ldd /bin/bash | awk '/libc.so/ {print $3}'"],
                          capture_output=True, text=True, check=True).stdout.strip()
    symbols = subprocess.run(["nm", "-D", "--defined-only", libc], capture_output=True, text=True,
                             check=True).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in symbols
            if line.split()[-2] in "TWi" and "GLIBC_PRIVATE" not in line}


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    """What the headers declare, by the compiler."""
    listing = tmp_path_factory.mktemp("headers") / "prototypes"
    source = "#define _GNU_SOURCE\n" + "".join(f"#include <{name}.h>\n" for name in HEADERS)
    subprocess.run(["gcc", "-aux-info", listing, "-x", "c", "-", "-c", "-o", "/dev/null"], input=source,
                   text=True, check=True, timeout=DEADLINE_S)
    return {match[1] for line in listing.read_text().splitlines()
            if (match := re.search(r"(\w+) \(", line.split("*/", 1)[-1]))}


class TestTable:
    def test_every_console_call_of_libc_is_taken_or_left_alone_for_a_reason(self, exported, declared):
        candidates = (exported & declared) | {n for n in exported if SOUNDS_LIKE_OUTPUT.search(n)}
        assert len(exported & declared) > 1000 and "fwprintf" in declared  # both sources are there
        unknown = sorted(candidates - TAKEN - set(LEFT_ALONE) - SILENT)
        assert unknown == [], ("take it, or leave it alone, in agent/hook/interposed.def; or does it "
                               "print nothing (tests/vectors/silent_calls.txt)?")

    def test_what_prints_is_not_listed_as_silent(self):
        assert SILENT & (TAKEN | set(LEFT_ALONE)) == set()

    def test_the_table_names_no_call_that_libc_lacks_and_none_twice(self, exported):
        rows = re.findall(r"^LF_[A-Z_]+\((\w+),", TABLE, re.M)
        assert set(rows) - exported == set()
        assert [name for name, times in collections.Counter(rows).items() if times > 1] == []

    def test_each_call_that_is_left_alone_says_why_or_as_which_other(self):
        for name, reason in LEFT_ALONE.items():
            if reason.startswith("as "):
                other = re.match(r"as (\w+)", reason)[1]
                assert not LEFT_ALONE[other].startswith("as ") or other == "pwritev", name
            else:
                assert len(reason.split()) > 3, name


# What tests/progs/voices.c says, call by call.
SAID = collections.Counter({
    ("perror", "opening"): 1, ("perror", ""): 2, ("perror", "<*>"): 1, ("herror", "looking up"): 1,
    ("psignal", "told"): 1, ("psignal", ""): 1, ("psiginfo", "told in full"): 1,
    ("warn", "warn of %d and %s"): 1, ("vwarn", "vwarn of %f"): 1, ("warnx", "warnx of %d"): 1,
    ("vwarnx", "vwarnx of %d%%"): 1, ("warn", ""): 1, ("warnx", ""): 1, ("warnx", "with %m in it"): 1,
    ("warnx", "up to here%n and on"): 1, ("error", "error %d up to here%n and on"): 1,
    ("syslog.err", "logged up to here%n and on"): 1,
    ("warn", "voices: a carried text: Permission denied"): 1, ("warnx", "voices: two"): 1,
    ("warnx", "lines of text"): 1, ("error", "error of %d %s %f %d %d %d %f"): 1,
    ("error", "<*>: carried by error <*>"): 1, ("error_at_line", "error at a line of %d %f"): 1,
    ("error_at_line", "error of no file, %d"): 1, ("error_at_line", "<*>: carried from a line"): 1,
    ("fwrite", "my own name, "): 1, ("syslog.err", "logged %d: %m"): 1,
    ("syslog.info", "logged and checked %d"): 1, ("vsyslog.warning", "vlogged %d"): 1,
    ("vsyslog.debug", "vlogged and checked %d"): 1, ("syslog.alert", "carried to the log"): 1,
    ("error", "flushes stdout, %d"): 1, ("putw", "kok"): 1, ("fwrite", "at exit"): 7,
})
SAID_IN_ANY_CASE = collections.Counter({
    # libc remembers the line, or prints the name by a function of the program.
    ("error_at_line", "once a line: %d"): 1, ("error", "after a name of %s own"): 1,
    # One call on the log is one text.
    ("syslog.alert", "two lines"): 1, ("syslog.alert", "to the log"): 1,
    # A stream of wide characters has nothing else to print.
    ("wprintf", "wïde of %d and %ls"): 1, ("wprintf", "checked wide of %d"): 1,
    ("fwprintf", "fwide of %d"): 1, ("fwprintf", "checked fwide of %d"): 1,
    ("vwprintf", "vwide of %d"): 1, ("vwprintf", "checked vwide of %d"): 1,
    ("vfwprintf", "vfwide of %d"): 1, ("vfwprintf", "checked vfwide of %d"): 1,
    ("wprintf", "carried wide <*>"): 1, ("wprintf", "a wide character: %lc"): 1,
    ("fputws", "constant wide"): 1, ("fputws", "waiting"): 1, ("fputws", "unlocked wide"): 1, ("fputws", "dynamic wide"): 1,
    ("fputwc", "put w"): 1, ("fputwc", r"\xff"): 1, ("wprintf", "not at the end"): 1,
    ("warn", "warned on a wide stream, %d"): 1, ("error", "error on a wide stream, %d"): 1,
    ("perror", "wide perror"): 1,
    # The end of the program.
    ("err", "err of %d"): 1, ("errx", "errx of %d"): 1, ("verr", "verr of %d"): 1,
    ("verrx", "verrx of %d"): 1, ("error", "ending error of %d"): 1,
    ("err", "voices: carried by err: Numerical argument out of domain"): 1,
    ("error_at_line", "ending at a line, %d"): 1, ("assert", "errno != EDOM"): 1,
    ("assert", "Unexpected error"): 1,
    # Of two calls, the one with flags for the kernel.
    ("pwritev2.2", "two pieces"): 1,
})
PRINTED_IN_ANY_CASE = """\
voices: warned on a wide stream, 1: Numerical argument out of domain
{program}: error on a wide stream, 2
wide perror: Numerical argument out of domain
{program}:file.c:14: once a line: 0
after a name of its own
voices: two lines
to the log
two pieces
voices: err of 1: Numerical argument out of domain
voices: errx of 2
voices: verr of 3: Numerical argument out of domain
voices: verrx of 4
voices: carried by err: Numerical argument out of domain
{program}: ending error of 5: Numerical argument out of domain
{program}:file.c:15: ending at a line, 6
voices: tests/progs/voices.c:LINE: ends: Assertion `errno != EDOM' failed.
voices: tests/progs/voices.c:LINE: ends: Unexpected error: Numerical argument out of domain.
"""


class TestVoices:
    """warn, err, error, syslog, perror, wide characters and the rest: tests/progs/voices.c."""

    @pytest.fixture(params=["a pipe", "a file that can be read, too"])
    def once(self, request, logfold, build, tmp_path):
        """Runs it, bare or hooked: what it printed, and what each call returned."""
        def once(name, *through):
            command = [*through, build / "progs" / "voices"]
            with open(tmp_path / name, "w+b") as results, open(tmp_path / f"{name}.err", "w+b") as file:
                pipe = request.param == "a pipe"
                done = subprocess.run(["bash", "-c", 'exec "$@" 3>&0 0</dev/null', "-", *map(str, command)],
                                      stdin=results, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE if pipe else file,
                                      env=logfold.environment(), timeout=DEADLINE_S)
                file.seek(0)
                err = done.stderr if pipe else file.read()
            assert done.returncode == 0, err
            return done.stdout, err.decode(), (tmp_path / name).read_text()
        return once

    @staticmethod
    def counted(logfold, field):
        result = collections.Counter()
        for entry in logfold.entries():
            result[entry["method"], entry["messageTemplate"].rstrip("\n")] += entry[field]
        return +result

    def test_hooked_and_muted_they_return_the_same_and_print_what_they_may(self, once, logfold, build):
        hook = logfold.binary, "run", "--summary", "none", "--"
        bare = once("bare")
        assert once("hooked", *hook) == bare
        twice = collections.Counter({("pwritev2.2", "two pieces"): 1})
        assert self.counted(logfold, "countTotal") == SAID + SAID_IN_ANY_CASE + twice
        # Those that take a va_list belong to whoever called what hands it on.
        assert [e for e in logfold.entries() if "through_" in e["topFrame"]] == []
        muted = logfold("mute", "template~=^")
        assert muted.returncode == 0, muted.stderr
        out, err, results = once("muted", *hook)
        assert (out, results) == (bare[0], bare[2])
        err = "".join(line for line in err.splitlines(True) if not line.startswith("logfold: "))
        assert re.sub(r"voices\.c:\d+", "voices.c:LINE", err) == PRINTED_IN_ANY_CASE.format(
            program=build / "progs" / "voices")
        assert self.counted(logfold, "countMuted") == SAID + twice
        total = self.counted(logfold, "countTotal")
        assert total == collections.Counter({key: 2 * times for key, times in (
            SAID + SAID_IN_ANY_CASE + twice).items()})


class TestNames:
    """Names that libraries have functions of their own under."""

    @pytest.fixture
    def program(self, tmp_path):
        (tmp_path / "own.c").write_text(
            "#include <stdio.h>\n"
            "int warn(int a, int b) { return a + b; }\n"
            "int error(int a) { return -a; }\n"
            "int sum(void) { return warn(20, 22) + error(1); }\n")
        (tmp_path / "main.c").write_text(
            "#include <err.h>\n#include <stdio.h>\nint sum(void);\n"
            "int main(void) { printf(\"own ones say %d\\n\", sum()); return 0; }\n")
        subprocess.run(["gcc", "-O2", "-fPIC", "-shared", "-o", tmp_path / "libown.so", tmp_path / "own.c"],
                       check=True)
        subprocess.run(["gcc", "-O2", "-o", tmp_path / "main", tmp_path / "main.c", tmp_path / "libown.so",
                        f"-Wl,-rpath,{tmp_path}"], check=True)
        return tmp_path / "main"

    def test_a_library_calls_its_own_warn_and_error(self, program, hooked):
        bare, under = hooked(str(program))
        assert bare.stdout == b"own ones say 41\n"
        assert under == bare


class TestSpecifiers:
    """Conversions of the program's own, which print something else each time."""

    def test_they_are_rendered_once_and_what_differs_is_known_by_no_more_than_was_rendered(
            self, logfold, tmp_path):
        (tmp_path / "own.c").write_text(
            "#include <printf.h>\n#include <stdio.h>\n"
            "static int print(FILE *f, const struct printf_info *info, const void *const *args)\n{\n"
            "	static int calls;\n"
            "	const char *text = calls++ % 2 ? \"short\" : \"a rather long text of the first time\";\n"
            "	int len = 0;\n"
            "	while (text[len]) putc_unlocked(text[len++], f);\n"
            "	return len;\n}\n"
            "static int ask(const struct printf_info *info, size_t n, int *types, int *sizes)\n"
            "{ return 0; }\n"
            "int main(void)\n{\n"
            "	register_printf_specifier('W', print, ask);\n"
            "	printf(\"%W\\n\"); printf(\"%W\\n\");\n"
            "	fflush(stdout);\n"
            "	register_printf_specifier('d', print, ask);\n"
            "	printf(\"%d\\n\");\n"
            "}\n")
        subprocess.run(["gcc", "-O2", "-w", "-o", tmp_path / "own", tmp_path / "own.c"], check=True)
        bare = subprocess.run([tmp_path / "own"], capture_output=True, text=True, check=True)
        assert bare.stdout == ("a rather long text of the first time\nshort\n"
                               "a rather long text of the first time\n")
        assert logfold("run", "--summary", "none", "--", tmp_path / "own").stdout == bare.stdout
        counted = {e["messageTemplate"]: e["countTotal"] for e in logfold.entries()
                   if e["method"] == "printf"}
        assert counted == {"%W\n": 2, "short": 1}


class TestInline:
    """Bytes that a macro put into stdout's buffer, and that leave it by a flush."""

    @staticmethod
    def counted(logfold, folder, main, status=0):
        (folder / "inline.c").write_text(
            "#include <error.h>\n#include <stdio.h>\n"
            "static void line(const char *p) { while (*p) putchar_unlocked(*p++); }\n"
            f"int main(void)\n{{\n{main}}}\n")
        subprocess.run(["gcc", "-O2", "-o", folder / "inline", folder / "inline.c"], check=True)
        done = logfold("run", "--summary", "none", "--", folder / "inline")
        assert done.returncode == status
        return {(e["method"], e["messageTemplate"]): e["countTotal"] for e in logfold.entries()}

    def test_none_is_lost_or_counted_twice_when_error_flushes_them(self, logfold, tmp_path):
        assert self.counted(
            logfold, tmp_path,
            "	for (int i = 0; i < 3; i++) {\n"
            "		line(\"before it\\n\");\n"
            "		error(0, 0, \"told %d\", i);\n"
            "		line(\"a longer line after it\\n\");\n"
            "	}\n"
            "	line(\"at last\\n\");\n"
            "	error(1, 0, \"told at the end\");\n", status=1) == {
            ("putc", "before it"): 3, ("error", "told %d"): 3, ("putc", "a longer line after it"): 3,
            ("putc", "at last"): 1, ("error", "told at the end"): 1}

    @pytest.mark.parametrize("stream", ["stdout", "NULL"])
    def test_each_is_counted_once_when_the_program_flushes_them(self, logfold, tmp_path, stream):
        assert self.counted(
            logfold, tmp_path,
            "	puts(\"it begins\");\n"
            "	for (int i = 0; i < 3; i++) {\n"
            "		line(\"one\\n\");\n"
            f"		fflush({stream});\n"
            "		line(\"two\\n\");\n"
            f"		fflush({stream});\n"
            f"		fflush({stream});\n"
            "	}\n") == {
            ("puts", "it begins"): 1, ("putc", "one"): 3, ("putc", "two"): 3}


class TestPolicies:
    def test_a_sample_of_what_complains_goes_out_and_all_of_it_is_counted(self, logfold, tmp_path):
        (tmp_path / "complain.c").write_text(
            "#define _GNU_SOURCE\n"
            "#include <err.h>\n#include <errno.h>\n#include <error.h>\n#include <stdio.h>\n"
            "#include <string.h>\n#include <syslog.h>\n"
            "int main(void)\n{\n"
            "	char *text = strdup(\"one and the same text\");\n"
            "	openlog(\"complain\", LOG_PERROR, LOG_USER);\n"
            "	for (int i = 0; i < 10; i++) {\n"
            "		errno = ENOENT;\n"
            "		perror(\"opening\");\n"
            "		warnx(\"told %d times\", i);\n"
            "		error(0, 0, \"wrong %d times\", i);\n"
            "		syslog(LOG_INFO, \"logged %d times\", i);\n"
            "		warnx(\"%s\", text);\n"
            "		syslog(LOG_ERR, \"%s\", text);\n"
            "	}\n"
            "	return 0;\n"
            "}\n")
        subprocess.run(["gcc", "-O2", "-o", tmp_path / "complain", tmp_path / "complain.c"], check=True)
        command = "run", "--summary", "none", "--", "./complain"
        lines = logfold(*command, cwd=tmp_path).stderr.splitlines()
        assert len(lines) == 60
        sampled = logfold("sample", "template~=^", "1/5")
        assert sampled.returncode == 0, sampled.stderr
        under = logfold(*command, cwd=tmp_path).stderr.splitlines()
        assert [line for line in under if not line.startswith("logfold: ")] == lines[:6] + lines[30:36]
        assert [(e["countTotal"], e["countSampled"]) for e in logfold.entries()] == [(20, 8)] * 6
