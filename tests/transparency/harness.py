"""Runs a command with and without the hook, and compares all that can be seen of it.

    def test_…(compare):
        compare("grep", "-n", "pears", "fruit")       on pipes, in files and on a terminal
        compare(…, on=("pipes",), under=("daemon",))  what it prints to; how the hook is there
        compare(…, counts=False)                      a program that the hook cannot be in (None: who knows)

Compared are stdout, stderr (on a terminal: what it shows), exit status or signal, and every file
below the working directory: its name, kind, mode and bytes.  Each run starts in a fresh folder of the
same path with the same files in it (FILES), the same arguments, umask and open files, and an
environment that differs in the hook's variables alone.  What differs between two bare runs (process
ids, times) has no place in the command: nothing is left out of the comparison, and a command that
does not repeat itself fails with a word about that.

A hook that is not there changes nothing: so each run that printed must have made a segment.

How the hook is there (under):
    run      by `logfold run`, which says 128+n where a signal ended the command
    preload  by LD_PRELOAD alone, no agent
    daemon   by LD_PRELOAD, while an agent drains the run directory every 10 ms
    nowhere  by LD_PRELOAD with a run directory where nothing can be made
    full     the same on a disk without a free page

At the end of the session it prints what was compared.
"""

import fcntl
import os
import pathlib
import pty
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import tempfile
import termios
import threading
import time
import typing

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("LOGFOLD_BUILD", ".build/plain")
HOOK = BUILD / "liblogfold-preload.so"
LOGFOLD = BUILD / "logfold"
DEADLINE_S = 60
SUITES = os.environ.get("LOGFOLD_SUITES") == "1"
EVERYWHERE = ("pipes", "files", "terminal")

# What every working directory holds at first.
FILES = {
    "fruit": b"pears 3\napples 12\npears 3\nquinces 7\n",
    "other": b"pears 3\napples 13\nquinces 7\nfigs 1\n",
    "numbers": b"".join(b"%d\n" % (i * 7919 % 1000) for i in range(1000)),
    "bytes": bytes(range(256)) * 40,
    "sub/deep/leaf": b"a leaf\n",
    "script.sh": b"#!/bin/sh\necho from a script $#; echo to stderr >&2; exit 3\n",
}


class Seen(typing.NamedTuple):
    """All that can be seen of one run."""

    stdout: bytes
    stderr: bytes
    status: int
    files: dict

    def size(self):
        return len(self.stdout) + len(self.stderr) + sum(len(what[2]) for what in self.files.values())


class Tally:
    """What the session compared; a plugin that prints it at the end."""

    def __init__(self):
        self.programs, self.runs, self.tests, self.bytes = set(), 0, 0, 0
        self.absent = set()

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.write_line(
            f"transparency: {len(self.programs)} programs, {self.runs} pairs of runs, {self.tests} tests "
            f"of their own, {self.bytes} bytes compared with and without the hook"
            + (f"; not installed here: {', '.join(sorted(self.absent))}" if self.absent else ""))


def files_below(folder):
    """{relative path: (kind, mode, bytes or target)}"""
    found = {}
    for path in sorted(folder.rglob("*")):
        is_link, mode = path.is_symlink(), path.lstat().st_mode
        content = (os.readlink(path).encode() if is_link else
                   path.read_bytes() if stat.S_ISREG(mode) else b"")
        found[str(path.relative_to(folder))] = (stat.S_IFMT(mode), stat.S_IMODE(mode), content)
    return found


class Terminal:
    """A pseudo-terminal of 80 columns, read to its end by a thread."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.shown = bytearray()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                more = os.read(self.master, 65536)
            except OSError:  # nobody has it open any more
                return
            if not more:
                return
            self.shown += more

    def end(self):
        os.close(self.slave)
        self.reader.join(DEADLINE_S)
        assert not self.reader.is_alive(), "somebody still has the terminal open"
        os.close(self.master)
        return bytes(self.shown)


class Harness:
    def __init__(self, base, tally):
        self.tally = tally
        self.base = base
        self.work = base / "work"
        self.ways = {"preload": base / "preload", "daemon": base / "daemon", "run": base / "run"}
        for folder in self.ways.values():
            folder.mkdir(mode=0o700)
        self.agent = None
        self.totals = {}
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
            "HOME": str(base / "home"), "TMPDIR": str(base / "tmp"), "TERM": "xterm", "TZ": "UTC",
            "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
            "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
            "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z",
        }

    # --- how the hook is there ------------------------------------------------------------------

    def start_agent(self):
        run_dir = self.ways["daemon"]
        config = self.base / "agent.toml"
        config.write_text(f'[agent]\nrun_dir = "{run_dir}"\nstore = "{self.base}/daemon.db"\n'
                          "drain_interval_ms = 10\n")
        self.agent = subprocess.Popen([LOGFOLD, "agent", "-c", config], env=self.environment,
                                      stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + DEADLINE_S
        while not (run_dir / "control").exists():
            assert self.agent.poll() is None and time.monotonic() < end, "the agent does not start"
            time.sleep(0.01)

    def end(self):
        if self.agent:
            self.agent.terminate()
            assert self.agent.wait(timeout=DEADLINE_S) == 0, "the agent that drained ended well"

    def hook(self, way, preload):
        """(what goes before the command, what goes into its environment)"""
        run_dir = self.ways.get(way)
        if way in ("nowhere", "full"):
            run_dir = run_dir or self.base / way / "run"
        if way == "run":
            state = {"LOGFOLD_RUN_DIR": str(run_dir), "LOGFOLD_PRELOAD_LIB": str(HOOK),
                     "XDG_STATE_HOME": str(self.base / "state")}
            return [str(LOGFOLD), "run", "--summary", "none", "--"], state
        if way == "daemon" and not self.agent:
            self.start_agent()
        return [], {"LOGFOLD_RUN_DIR": str(run_dir), "LD_PRELOAD": preload.format(hook=HOOK)}

    def has_counted(self, way, awaited):
        """Whether anything was counted since the last time; a drain that is awaited has its time."""
        if way == "preload":
            made = list((self.ways[way] / "segments").glob("*"))
            for segment in made:
                segment.unlink()
            return bool(made)
        end = time.monotonic() + (DEADLINE_S if awaited and way == "daemon" else 0)
        while True:
            total = self.total_of(way)
            if total != self.totals.get(way) or time.monotonic() >= end:
                counted, self.totals[way] = total != self.totals.get(way), total
                return counted
            time.sleep(0.01)

    def total_of(self, way):
        store = self.base / ("daemon.db" if way == "daemon" else "state/logfold/entries.db")
        try:
            with sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=DEADLINE_S) as database:
                return database.execute("select sum(countTotal) from entries").fetchone()[0]
        except sqlite3.OperationalError:  # not made yet
            return None

    # --- one run --------------------------------------------------------------------------------

    def fresh(self, files):
        """The same folders for every run."""
        for folder in (self.work, self.base / "home", self.base / "tmp"):
            if folder.exists():
                subprocess.run(["chmod", "-R", "u+rwX", folder], check=True)
                shutil.rmtree(folder)
            folder.mkdir(mode=0o755)
        for name, content in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755 if name.endswith(".sh") else 0o644)

    def run(self, command, on, environment, given, files, timeout, become):
        self.fresh(files)
        terminal = Terminal() if on == "terminal" else None
        outputs = [tempfile.TemporaryFile(dir=self.base) for _ in range(2)] if on == "files" else None
        stdout, stderr = (outputs if outputs else (terminal.slave,) * 2 if terminal else
                          (subprocess.PIPE,) * 2)
        job = subprocess.Popen(command, cwd=self.work, env=environment, stdout=stdout, stderr=stderr,
                               stdin=subprocess.PIPE, umask=0o022, start_new_session=True,
                               preexec_fn=become)
        try:
            out, err = job.communicate(given, timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, signal.SIGKILL)
            job.communicate()
            pytest.fail(f"{command} did not end within {timeout} s")
        finally:
            shown = terminal.end() if terminal else None
        if outputs:
            out, err = [(one.seek(0), one.read(), one.close())[1] for one in outputs]
        if terminal:
            out, err = shown, b""
        return Seen(out, err, job.returncode, files_below(self.work))

    def pair(self, command, on, way, env, given, files, timeout, become, preload):
        bare_environment = self.environment | env
        bare_preload = preload.replace("{hook}", "").strip(": ")
        if bare_preload:
            bare_environment = bare_environment | {"LD_PRELOAD": bare_preload}

        def again(prefix=(), more={}):
            return self.run([*prefix, *command], on, bare_environment | more, given, files, timeout,
                            become)

        bare = again()
        prefix, more = self.hook(way, preload)
        under = again(prefix, more)
        if way == "run" and bare.status < 0:
            bare = bare._replace(status=128 - bare.status)
        return bare, under, again

    # --- the comparison -------------------------------------------------------------------------

    def __call__(self, *command, on=EVERYWHERE, under=("run", "preload", "daemon"), env={}, input=b"",
                 files=FILES, counts=True, timeout=DEADLINE_S, become=None, preload="{hook}", name=None):
        """Each of `on` with one way of `under` after the other; the bare runs, by what they were on."""
        bare_runs = {}
        if counts is False:
            under = ("preload",)  # where it is known at once
        for i, where in enumerate(on):
            way = under[i % len(under)]
            bare, hooked, again = self.pair(command, where, way, env, input, files, timeout, become,
                                            preload)
            if hooked != bare:
                pytest.fail(f"{command} on {where}, {way}:\n" + difference(bare, hooked) +
                            ("" if again().files == bare.files and again()[:2] == bare[:2] else
                             "\ntwo bare runs differ, too: the command must not print what changes"))
            if (bare.stdout or bare.stderr) and way not in ("nowhere", "full"):
                counted = self.has_counted(way, counts)
                assert counts is None or counted == counts, (
                    f"{command} on {where}, {way}: " +
                    ("the hook was not there" if counts else "it was counted"))
            bare_runs[where] = bare
            self.tally.runs += 1
            self.tally.bytes += bare.size()
        self.tally.programs.add(name or " ".join(map(str, command)))
        return bare_runs[on[0]]


def difference(bare, hooked):
    """The parts that differ, shortened around the first byte that does."""
    def around(text, at):
        return repr(text[max(0, at - 60):at + 60])

    said = []
    for part in ("stdout", "stderr"):
        one, two = getattr(bare, part), getattr(hooked, part)
        if one != two:
            at = next((i for i, (a, b) in enumerate(zip(one, two)) if a != b), min(len(one), len(two)))
            said.append(f"{part} from byte {at} of {len(one)}: bare {around(one, at)}, with the hook "
                        f"{around(two, at)} of {len(two)}")
    if bare.status != hooked.status:
        said.append(f"status {bare.status}, with the hook {hooked.status}")
    for path in sorted(set(bare.files) | set(hooked.files)):
        one, two = bare.files.get(path), hooked.files.get(path)
        if one != two:
            said.append(f"file {path}: " + ", with the hook ".join(
                "none" if what is None else f"mode {what[1]:o}, {len(what[2])} bytes {what[2][:60]!r}"
                for what in (one, two)))
    return "\n".join(said)


@pytest.fixture(scope="session")
def tally(request):
    plugins = request.config.pluginmanager
    if not plugins.has_plugin("transparency-tally"):
        plugins.register(Tally(), "transparency-tally")
    return plugins.get_plugin("transparency-tally")


@pytest.fixture(scope="session")
def harness(tally):
    for path in (HOOK, LOGFOLD):
        if not path.exists():
            pytest.fail(f"{path} is not built: run make")
    with tempfile.TemporaryDirectory(prefix="transparency-") as folder:
        os.chmod(folder, 0o755)
        one = Harness(pathlib.Path(folder), tally)
        yield one
        one.end()


@pytest.fixture
def compare(harness):
    return harness


def need(*programs):
    """Fails where one is not installed."""
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        pytest.fail(f"not installed: {', '.join(missing)}; `make test-deps` installs them")
