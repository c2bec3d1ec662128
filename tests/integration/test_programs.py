"""Programs that nobody here wrote: bytes and status as without us, every line counted."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import DEADLINE_S

PYTHON = sys.executable
NEEDED = ("bash dash perl mawk ls cat seq sort uniq head tr grep find sed sqlite3 dd git make gcc tar "
          "redis-server redis-cli").split()


@pytest.fixture(autouse=True, scope="module")
def programs():
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        pytest.fail(f"not installed: {', '.join(missing)}; `make test-deps` installs them")


def as_run_says(outcome):
    """The status of `logfold run` for a command that a signal ended."""
    return outcome._replace(status=128 - outcome.status if outcome.status < 0 else outcome.status)


def lines(*streams):
    """Newlines, and an unfinished last line of each stream."""
    return sum(s.count(b"\n") + (not s.endswith(b"\n") and s != b"") for s in streams)


def total(logfold):
    return sum(entry["countTotal"] for entry in logfold.entries())


def templates(logfold):
    return {entry["messageTemplate"]: entry["countTotal"] for entry in logfold.entries()}


def python(*script):
    return (PYTHON, "-c", "\n".join(script))


# Each prints through calls that count by lines; what it reads is INPUT.
INPUT = b"pears 3\napples 12\npears 3\n"
BY_LINES = {
    "bash echo": ("bash", "-c", "for i in {1..500}; do echo line $i of many; done"),
    "bash printf": ("bash", "-c", r"printf 'a %s b\n' 1 2 3; printf 'raw \xff\xfe\n'; printf 'no end'"),
    "bash both streams": ("bash", "-c", "for i in 1 2 3; do echo out $i; echo err $i >&2; done"),
    "bash here-document": ("bash", "-c", "cat <<E\na document\nof two lines\nE\necho and more"),
    "bash subshells": ("bash", "-c", "(echo sub; (echo sub of sub)); echo $(echo caught) out; "
                                     "{ echo data; } | cat; echo later & wait"),
    "bash trap": ("bash", "-c", "trap 'echo caught it' USR1; kill -USR1 $$; "
                                "trap 'echo bye' EXIT; exit 3"),
    "bash verbose": ("bash", "-c", "set -v\necho one\necho two"),
    "bash select": ("bash", "-c", "select x in a b; do echo chose $x; break; done <<< 2"),
    "bash script on stdin": ("bash", "-s"),
    "bash killed": ("bash", "-c", "echo before; kill -KILL $$; echo never"),
    "bash crashed": ("bash", "-c", "ulimit -c 0; echo before; kill -SEGV $$; echo never"),
    "dash": ("dash", "-c", "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; "
                           "printf 'x%d\\n' 5; echo err >&2; kill -TERM $$"),
    "dash traced": ("dash", "-c", "set -x; echo a; no-such-command"),
    "python3 100 000 lines": python("for i in range(100000): print('row', i, 'is here')"),
    "python3 stderr": python("import sys", "print('out')", "print('err', file=sys.stderr)",
                             "sys.stdout.write('no end')"),
    "python3 subprocess": python("import subprocess", "print('before', flush=True)",
                                 "subprocess.run(['echo', 'from a child'])",
                                 "subprocess.run('echo shell; echo err >&2', shell=True)",
                                 "print(subprocess.check_output(['echo', 'caught']))"),
    "python3 traceback": python("def f(): raise ValueError('bad')", "print('x')", "f()"),
    "python3 fork": python("import os, sys", "print('one', flush=True)", "pid = os.fork()",
                           "if not pid: print('child', flush=True); os._exit(3)",
                           "print(os.waitpid(pid, 0)[1])"),
    "python3 logging": python("import logging",
                              "logging.basicConfig(level=10, format='%(levelname)s %(message)s')",
                              "for i in range(200): logging.info('request %d served', i)",
                              "logging.error('failed', exc_info=ValueError(3))"),
    "python3 warnings": python("import sys, warnings", "warnings.warn('deprecated')",
                               "sys.exit('a text as exit status')"),
    "python3 killed": python("import os", "os.write(1, b'raw')", "os.writev(1, [b' a\\n', b'b\\n'])",
                             "os.kill(os.getpid(), 9)"),
    "python3 filter": python("import sys", "for line in sys.stdin: print(line.split()[0], end=';')"),
    "perl": ("perl", "-e", r'for (1..500) { print "line $_ of it\n" } printf("%s-%d\n", "a", 5); '
                           r'warn "careful"; die "dead"'),
    "perl fork and exec": ("perl", "-e", r'$| = 1; print "a"; print STDERR "b"; print "c\n"; '
                                         r'if (!fork) { print "child\n"; exit 0 } wait; '
                                         r'system("echo from a child"); exec "echo", "in its place"'),
    "perl filter": ("perl", "-ne", r'print STDERR "read: $_"; print uc'),
    "mawk": ("mawk", 'BEGIN { for (i = 0; i < 500; i++) printf "row %d of %s\\n", i, "x"; '
                     'print "err" > "/dev/stderr"; printf "no end" }'),
    "mawk filter": ("mawk", '{ print NR ": " $0 }'),
    "ls": ("ls", "/usr/bin"),
    "ls in columns": ("ls", "-C", "/usr/bin"),
    "cat": ("cat", "/etc/passwd", "/etc/services"),
    "cat stdin": ("cat",),
    "cat numbered": ("cat", "-n", "/etc/passwd"),
    "seq": ("seq", "1", "5000"),
    "seq in a row": ("seq", "-s,", "1", "10"),
    "sort": ("sort", "-r", "/etc/passwd"),
    "sort stdin": ("sort", "-u"),
    "uniq": ("uniq", "-c"),
    "head": ("head", "-n3", "/etc/passwd"),
    "tr": ("tr", "a-z", "A-Z"),
    "grep": ("grep", "-n", "root", "/etc/passwd", "/etc/group"),
    "grep in vain": ("grep", "nobody would write that", "/etc/passwd"),
    "find": ("find", "/etc/ssl"),
    "find ls": ("find", "/etc/ssl", "-maxdepth", "1", "-ls"),
    "sed": ("sed", "s/pears/figs/;2d"),
    "sqlite3": ("sqlite3", "-header", "-column", ":memory:",
                "with recursive c(x) as (select 1 union all select x + 1 from c limit 500) "
                "select x, 'row' from c; select * from no_such_table"),
    "git version": ("git", "--version"),
    "git in vain": ("git", "-C", "/", "log"),
    "gcc error": ("gcc", "-xc", "-", "-c", "-o", "/dev/null"),
    "make": ("make", "-s", "-f", "-"),
    "tar": ("tar", "-tvf", "archive.tar"),
}
INPUTS = {
    "bash script on stdin": b"echo read from stdin\nread x\na value\necho $x\nexit 4\n",
    "gcc error": b"int main(void) { return x; }\n",
    "make": b"all: ; @echo made; echo warned >&2\n",
}

# These mix formats and constants with text, so that their calls are no lines: bytes and status only.
OTHERS = {
    "bash traced": ("bash", "-xc", "a=1; echo $a; for i in 1 2; do echo x$i; done; false"),
    "bash builtins": ("bash", "-c", "help cd; set -o; trap -l; declare -f; type ls; ulimit -a"),
    "bash errors": ("bash", "-c", "no-such-command; cd /nonexistent; exit 3"),
    "bash unfinished lines": ("bash", "-c", "echo -n a; echo -n b >&2; echo -n c"),
    "cat nothing": ("cat", "/nonexistent"),
    "dd": ("dd", "if=/dev/zero", "of=/dev/null", "bs=1k", "count=10", "status=noxfer"),
    "find nothing": ("find", "/nonexistent"),
    "find printf": ("find", "/etc/ssl", "-printf", "%p of %s bytes\\n"),
    "gcc version": ("gcc", "--version"),
    "grep in colour": ("grep", "--color=always", "-n", "root", "/etc/passwd", "/etc/group"),
    "ls long": ("ls", "-l", "/usr/bin"),
    "ls recursive": ("ls", "-laR", "/nonexistent", "/etc/ssl"),
    "python3 -m this": (PYTHON, "-m", "this"),
    "sed unambiguous": ("sed", "-n", "l"),
}


@pytest.fixture
def place(tmp_path):
    """Where the commands run; everything they name by a relative path is here."""
    subprocess.run(["tar", "-cf", tmp_path / "archive.tar", "-C", "/etc", "ssl/openssl.cnf", "passwd"],
                   check=True, timeout=DEADLINE_S)
    return tmp_path


@pytest.mark.parametrize("name", BY_LINES)
def test_a_program_prints_what_it_prints_alone_and_every_line_is_counted_once(name, hooked, logfold,
                                                                             place):
    bare, under = hooked(*BY_LINES[name], input=INPUTS.get(name, INPUT), cwd=place)
    assert under == as_run_says(bare)
    assert total(logfold) == lines(bare.stdout, bare.stderr)


@pytest.mark.parametrize("name", OTHERS)
def test_a_program_of_many_formats_prints_what_it_prints_alone(name, hooked, logfold):
    bare, under = hooked(*OTHERS[name], input=INPUT)
    assert under == as_run_says(bare)
    quarantined = list(logfold.run_dir.glob("**/quarantine/*"))
    assert quarantined == [], "what it counted could be read"


class TestPython:
    def test_an_unbuffered_python_prints_whole_lines_and_they_are_counted(self, hooked, logfold):
        script = ("import sys\nfor i in range(300): print('row', i, 'of', i * 2)\n"
                  "print('e', file=sys.stderr)")
        bare, under = hooked(PYTHON, "-u", "-c", script)
        assert under == bare
        assert templates(logfold) == {"row <*> of <*>": 300, "e": 1}

    def test_the_lines_of_python_threads_are_counted_exactly(self, hooked, logfold):
        # Through logging, which has a lock: CPython's own text layer prints garbage without one.
        script = ("import logging, sys, threading\n"
                  "logging.basicConfig(stream=sys.stdout, level=10, format='%(message)s')\n"
                  "def work():\n for i in range(1000): logging.info('step %d', i)\n"
                  "threads = [threading.Thread(target=work) for _ in range(4)]\n"
                  "[t.start() for t in threads]; [t.join() for t in threads]")
        bare, under = hooked(PYTHON, "-c", script)
        assert sorted(under.stdout.splitlines()) == sorted(bare.stdout.splitlines())
        assert (under.stderr, under.status) == (bare.stderr, bare.status)
        assert templates(logfold) == {"step <*>": 4000}

    def test_a_python_that_is_told_to_end_dies_of_the_same_signal(self, logfold):
        script = ("import time", "print('a line', flush=True)", "print('ready', flush=True)",
                  "time.sleep(60)")
        job = logfold.start("run", "--summary", "none", "--", *python(*script), stdout=subprocess.PIPE)
        assert [job.stdout.readline(), job.stdout.readline()] == [b"a line\n", b"ready\n"]
        job.terminate()
        assert job.wait(timeout=DEADLINE_S) == 128 + 15
        assert templates(logfold)["a line"] == 1, "the last one may have been in flight"


class TestStreams:
    """What stdout and stderr are must make no difference."""

    SCRIPT = "for i in {1..50}; do echo out $i; echo err $i >&2; ls /etc/passwd; done"

    def test_both_streams_in_one_pipe_keep_their_order(self, hooked, logfold):
        bare, under = hooked("bash", "-c", self.SCRIPT, capture_output=False, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        assert under == bare
        assert total(logfold) == lines(bare.stdout) == 150

    def test_output_into_files_is_the_same_and_counted(self, logfold, tmp_path):
        run = [logfold.binary, "run", "--summary", "none", "--"]
        for name, command in (("bare", []), ("under", run)):
            with (open(tmp_path / f"{name}.out", "wb") as out,
                  open(tmp_path / f"{name}.err", "wb") as err):
                subprocess.run([*command, "bash", "-c", self.SCRIPT], stdout=out, stderr=err,
                               env=logfold.env, check=True, timeout=DEADLINE_S)
        assert (tmp_path / "under.out").read_bytes() == (tmp_path / "bare.out").read_bytes()
        assert (tmp_path / "under.err").read_bytes() == (tmp_path / "bare.err").read_bytes()
        assert total(logfold) == 150

    def test_a_reader_that_goes_away_ends_the_program_as_without_us(self, hooked, logfold):
        under = f"{logfold.binary} run --summary none -- "
        script = "seq 1 1000000 | head -n1; echo ${PIPESTATUS[*]}"
        bare, under = [hooked("bash", "-c", how + script)[0] for how in ("", under)]
        assert under == bare
        assert under.stdout == b"1\n141 0\n"

    @pytest.mark.parametrize("command", [("seq", "5"), ("bash", "-c", "echo x"), python("print(1)"),
                                         ("perl", "-e", "print 1"), ("cat", "/etc/passwd")],
                             ids=["seq", "bash", "python3", "perl", "cat"])
    def test_a_full_device_is_told_by_the_program_as_without_us(self, hooked, command):
        with open("/dev/full", "wb") as full:
            bare, under = hooked(*command, capture_output=False, stdout=full, stderr=subprocess.PIPE)
        assert under == bare
        assert bare.stderr != b""

    def test_a_closed_stdout_is_told_by_the_program_as_without_us(self, hooked, logfold):
        def closed(*command):
            return hooked("bash", "-c", '"$@" >&-', "-", *command)[0]

        bare = closed("seq", "5")
        assert closed(logfold.binary, "run", "--summary", "none", "--", "seq", "5") == bare
        assert bare.status != 0


class TestTerminal:
    """What a person would see."""

    def talk(self, job, prompt, typed):
        """Types a line at each prompt; all that the terminal showed, and the status."""
        shown = ""
        for line in typed:
            shown += job.expect(f"(?s)^.*?{re.escape(prompt)}").group()
            job.send(line + "\n")
        rest, status = job.wait()
        return shown + rest, status

    def both(self, terminal, logfold, prompt, typed, *command, env):
        bare = self.talk(terminal(*command, env=env), prompt, typed)
        under = self.talk(terminal(logfold.binary, "run", "--summary", "none", "--", *command, env=env),
                          prompt, typed)
        return bare, under

    def test_an_interactive_bash_shows_the_same_and_what_it_echoes_is_counted(self, terminal, logfold):
        typed = ["echo first $((1 + 1))", "for i in 1 2 3; do echo item $i; done", "ls -d /etc/passwd",
                 "no-such-command", "(exit 3)", "echo status $?", "jobs", "test -t 1 && echo a terminal",
                 "exit 5"]
        bare, under = self.both(terminal, logfold, "now> ", typed, "bash", "--norc", "-i",
                                env={"PS1": "now> ", "HISTFILE": "/dev/null"})
        assert under == bare
        assert bare[1] == 5
        counted = templates(logfold)
        assert counted["first <*>"] == counted["status <*>"] == 1
        assert counted["item <*>"] == 3

    def test_an_interactive_python_shows_the_same_and_what_it_prints_is_counted(self, terminal, logfold):
        typed = ["print('sum', 1 + 1)", "40 + 2", "1 / 0", "import sys; sys.stdout.isatty()",
                 "for i in range(3): print('item', i)\n", "exit(6)"]
        bare, under = self.both(terminal, logfold, ">>> ", typed, PYTHON, "-i", "-q",
                                env={"PYTHON_BASIC_REPL": "1", "PYTHON_HISTORY": "/dev/null"})
        assert under == bare
        assert bare[1] == 6
        counted = templates(logfold)
        assert counted["sum <*>"] == 1
        assert counted["item <*>"] == 3

    def test_an_interrupt_from_the_keyboard_reaches_the_program(self, terminal, logfold):
        job = terminal(logfold.binary, "run", "--summary", "none", "--", "bash", "-c",
                       "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.1; done")
        job.expect("ready")
        job.send("\x03")
        job.expect("interrupted")
        assert job.wait()[1] == 7
        assert total(logfold) == 2


class TestRedis:
    """All of redis-server's lines come through one carrier, `%d:%c %s %c %s\\n`."""

    @pytest.fixture
    def ask(self, tmp_path):
        def ask(*words):
            return subprocess.run(["redis-cli", "-s", "redis.sock", *words], cwd=tmp_path, text=True,
                                  capture_output=True, timeout=DEADLINE_S).stdout.strip()
        return ask

    def test_every_line_of_a_redis_server_is_counted_and_most_are_folded(self, logfold, ask, tmp_path,
                                                                        wait_for):
        with open(tmp_path / "log", "wb") as log:
            server = logfold.start("run", "--summary", "none", "--", "redis-server", "--port", "0",
                                   "--unixsocket", "redis.sock", "--save", "", "--loglevel", "debug",
                                   cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
            wait_for(lambda: ask("ping") == "PONG", "redis-server answers")
            for i in range(40):
                assert ask("set", f"key:{i}", f"value {i}") == "OK"
            assert ask("dbsize") == "40"
            assert ask("shutdown", "nosave") == ""
            assert server.wait(timeout=DEADLINE_S) == 0
        printed = (tmp_path / "log").read_bytes()
        entries = logfold.entries()
        assert total(logfold) == lines(printed) > 80
        assert len(entries) < lines(printed) / 2
        assert max(entry["countTotal"] for entry in entries) >= 40, "one entry for forty connections"
        assert not any(re.search(r"\b\d\d:\d\d:\d\d\b", entry["messageTemplate"]) for entry in entries)
