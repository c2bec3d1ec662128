"""Where in the source a message is printed from: sourceFile and sourceLine, out of debug information."""

import contextlib
import os
import pathlib
import random
import re
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

from agents import Agent
from conftest import DEADLINE_S, wait_until

LIBRARY = """
#include <stdio.h>
int speak(void)
{
	return printf("library %d\\n", 2) + 1; /* library */
}
"""
PROGRAM = """
#include <stdio.h>
int speak(void);
static void deeper(int n)
{
	printf("program %d\\n", n); /* program */
}
int main(int argc, char **argv)
{
	(void)argv;
	fprintf(stderr, "literal\\n"); /* literal */
	deeper(argc);
#ifdef LIBRARY
	return speak() < 0;
#endif
	return 0;
}
"""


def line_of(source, mark):
    return next(n for n, line in enumerate(source.read_text().splitlines(), 1) if f"/* {mark} */" in line)


def command(*words):
    subprocess.run([str(w) for w in words], check=True, capture_output=True, timeout=DEADLINE_S)


def build_id(file):
    notes = subprocess.run(["readelf", "-n", file], check=True, capture_output=True, text=True,
                           timeout=DEADLINE_S).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", notes).group(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Programs and their source: with debug information in them, and a stripped one."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "library.c").write_text(LIBRARY)
    (folder / "program.c").write_text(PROGRAM)
    command("gcc", "-g", "-O2", "-shared", "-fPIC", "-o", folder / "libspeak.so", folder / "library.c")
    for name, *how in (("pie", "-fPIE", "-pie"), ("fixed", "-no-pie"),
                       ("linked", "-DLIBRARY", "-L", folder, "-lspeak", f"-Wl,-rpath,{folder}")):
        command("gcc", "-g", "-O2", "-o", folder / name, folder / "program.c", *how)
    command("objcopy", "--strip-all", folder / "pie", folder / "stripped")
    return folder


@pytest.fixture
def sources(logfold):
    """{template: "file:line"} of the store, the basename of the file; None where it is not known."""

    def ask():
        return {e["messageTemplate"]: f'{os.path.basename(e["sourceFile"])}:{e["sourceLine"]}'
                if "sourceFile" in e else None for e in logfold.entries()}

    return ask


@pytest.fixture
def preloaded(logfold, preload):
    """Runs a program that counts with nobody there to look at it."""

    def run(*words, **env):
        subprocess.run(words, check=True, capture_output=True, timeout=DEADLINE_S,
                       env=logfold.environment({"LD_PRELOAD": preload} | env))

    return run


def keep_debug(program, debug, into):
    """The debug information of a program, where its build id says; returns that file."""
    name = build_id(program)
    file = into / ".build-id" / name[:2] / f"{name[2:]}.debug"
    file.parent.mkdir(parents=True, exist_ok=True)
    command("objcopy", "--only-keep-debug", debug, file)
    return file


def run_until(logfold, condition, *words, **how):
    """Runs it again and again: at the end of a run there is half a second for lines that are not known yet, and
    what is not known then is looked for in the next run."""

    def again():
        done = logfold("run", *words, **how)
        assert done.returncode == 0, done.stderr
        return condition(done)

    wait_until(again, "the lines were looked for")


def shown(logfold, *selector, **env):
    done = logfold("show", *selector, env=env)
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)


class TestFound:
    def test_programs_and_libraries_wherever_they_are_loaded(self, logfold, made, sources):
        own = {"program %d\n": f"program.c:{line_of(made / 'program.c', 'program')}",
               "literal\n": f"program.c:{line_of(made / 'program.c', 'literal')}"}
        library = {"library %d\n": f"library.c:{line_of(made / 'library.c', 'library')}"}
        for name in ("pie", "fixed", "linked"):
            lines = 2 + (name == "linked")
            run_until(logfold, lambda done: done.stderr.count('"sourceLine":') == lines,
                      "--namespace", name, "--summary", "json", "--", made / name)
        entries = logfold.entries()
        assert len(entries) == 7
        for namespace in ("pie", "fixed", "linked"):
            found = {e["messageTemplate"]: f'{os.path.basename(e["sourceFile"])}:{e["sourceLine"]}'
                     for e in entries if e["namespace"] == namespace}
            assert found == own | (library if namespace == "linked" else {})
        told = shown(logfold, "--namespace", "pie", "method=printf")
        assert told["source"] == f"{made / 'program.c'}:{line_of(made / 'program.c', 'program')}"
        assert "sourceLine" not in told

    def test_a_relative_path_of_a_program_that_goes_elsewhere(self, logfold, made, sources):
        run_until(logfold, lambda _: sources()["literal\n"], "--", "sh", "-c",
                  "cd / && LD_LIBRARY_PATH=. exec ./pie".replace("/ ", f"{made} "))
        assert sources()["literal\n"] == f"program.c:{line_of(made / 'program.c', 'literal')}"

    @pytest.mark.parametrize("where", ["by its build id", "by its debug link"])
    def test_a_stripped_program_has_its_lines_in_a_file_beside(self, logfold, made, sources, tmp_path,
                                                               where):
        program, folder = tmp_path / "stripped", tmp_path / "debug"
        shutil.copy(made / "stripped", program)
        if where == "by its build id":
            keep_debug(program, made / "pie", folder)
        else:
            (tmp_path / ".debug").mkdir()
            command("objcopy", "--only-keep-debug", made / "pie", tmp_path / ".debug" / "stripped.debug")
            command("objcopy", f"--add-gnu-debuglink={tmp_path}/.debug/stripped.debug", program)
        path = {"LOGFOLD_DEBUG_PATH": f":.debug:{folder}"}
        run_until(logfold, lambda _: all(sources().values()), "--", program, env=path)
        assert sources() == {"program %d\n": f"program.c:{line_of(made / 'program.c', 'program')}",
                             "literal\n": f"program.c:{line_of(made / 'program.c', 'literal')}"}


class TestNotFound:
    def test_without_debug_information_nothing_is_said_and_nobody_asks_twice(self, logfold, made,
                                                                             sources):
        def all_tried(_):
            with contextlib.closing(sqlite3.connect(logfold.store)) as connection:
                return connection.execute("SELECT group_concat(tried) FROM sites").fetchone() == ("1,1",)

        run_until(logfold, all_tried, "--", made / "stripped")
        assert logfold("run", "--", made / "stripped").returncode == 0
        assert all_tried(None) and set(sources().values()) == {None}
        assert "source" not in shown(logfold, "method=printf")

    def test_debug_information_that_comes_later_is_shown(self, logfold, made, tmp_path):
        assert logfold("run", "--", made / "stripped").returncode == 0
        keep_debug(made / "stripped", made / "pie", tmp_path)
        told = shown(logfold, "method=printf", LOGFOLD_DEBUG_PATH=tmp_path)
        assert told["source"] == f"{made / 'program.c'}:{line_of(made / 'program.c', 'program')}"

    def test_a_program_that_was_built_anew_has_no_wrong_line(self, logfold, made, preloaded, tmp_path):
        program, old = tmp_path / "program", tmp_path / "old"
        source = tmp_path / "program.c"
        source.write_text(PROGRAM)
        line = line_of(source, "program")
        command("gcc", "-g", "-o", program, source)
        preloaded(program)
        shutil.copy(program, old)
        source.write_text("\n\n\n" + PROGRAM)
        command("gcc", "-g", "-o", program, source)
        assert build_id(program) != build_id(old)
        assert "source" not in shown(logfold, "method=printf")
        keep_debug(old, old, tmp_path / "debug")
        told = shown(logfold, "method=printf", LOGFOLD_DEBUG_PATH=tmp_path / "debug")
        assert told["source"] == f"{source}:{line}"
        # The next process says where it is now.
        assert logfold("run", "--", program).returncode == 0
        assert shown(logfold, "method=printf")["source"] == f"{source}:{line + 3}"


@pytest.fixture
def locate(build):
    """logfold-locate as the agent asks it: [(line, file)], shorter where it died."""

    def ask(module, *addresses, uid=os.getuid(), identity=None):
        words = [str(uid), identity or build_id(module), "", str(module), *(f"{a:x}" for a in addresses)]
        done = subprocess.run([build / "logfold-locate"], env={}, capture_output=True, timeout=DEADLINE_S,
                              input=b"".join(w.encode() + b"\0" for w in words))
        texts = done.stdout.split(b"\0")[:-1]
        assert len(texts) <= 2 * len(addresses)
        return [(int(line), file.decode(errors="replace")) for line, file in zip(texts[::2], texts[1::2])]

    return ask


def address_of(program, symbol):
    symbols = subprocess.run(["nm", program], check=True, capture_output=True, text=True,
                             timeout=DEADLINE_S).stdout
    return next(int(line.split()[0], 16) for line in symbols.splitlines() if line.endswith(f" {symbol}"))


def damage(data, dice):
    """A copy that is cut off, or has bytes that somebody chose, but for the first kilobyte, which has the
    build id in it."""
    if dice.random() < 0.3:
        return data[:dice.randrange(1024, len(data))]
    out = bytearray(data)
    for _ in range(dice.choice((1, 10, 300))):
        out[dice.randrange(1024, len(out))] = dice.choice((0, 1, 0x7f, 0x80, 0xff, dice.randrange(256)))
    return bytes(out)


class TestHostile:
    def test_damaged_programs_hurt_nobody_but_themselves(self, made, locate, tmp_path):
        dice = random.Random(5)
        data, main = (made / "pie").read_bytes(), address_of(made / "pie", "main")
        good = locate(made / "pie", main)
        assert good[0][0] > 0 and good[0][1].endswith("program.c")
        broken = tmp_path / "broken"
        identity = build_id(made / "pie")
        answers = []
        for _ in range(120):
            broken.write_bytes(damage(data, dice))
            answers += [locate(broken, main, 0, 1 << 63, identity=identity)]
        assert any(a != answers[0] for a in answers), "some of them were found out"
        assert locate(made / "pie", main) == good

    def test_the_agent_counts_on_beside_them(self, logfold, made, preloaded, tmp_path):
        dice = random.Random(6)
        data = (made / "pie").read_bytes()
        agent = Agent(logfold.binary, tmp_path, logfold.environment())
        agent.run_dir.mkdir(mode=0o700)
        for i in range(8):
            program = tmp_path / f"p{i}"
            shutil.copy(made / "pie", program)
            preloaded(program, LOGFOLD_RUN_DIR=agent.run_dir)
            program.unlink()
            program.write_bytes(damage(data, dice))
        (tmp_path / "p7").unlink()
        os.mkfifo(tmp_path / "p7")
        preloaded(made / "pie", LOGFOLD_RUN_DIR=agent.run_dir)

        def settled():
            with contextlib.closing(sqlite3.connect(agent.store)) as connection:
                return connection.execute(
                    "SELECT count(*) = 18 AND (SELECT count(*) FROM sites WHERE tried = 0) = 0 AND"
                    " sum(topFrame LIKE 'pie!%' AND sourceLine > 0) = 2 FROM entries").fetchone() == (1,)

        try:
            agent.start()
            wait_until(settled, "all were looked at")
            assert agent.stop() == ""
        finally:
            agent.end()

    @pytest.mark.parametrize("does", ["exec sleep 100", "yes", "cat; kill -9 $$", "printf '5\\0a\\377\\0'",
                                      "printf '5x\\0a.c\\0-1\\0b.c\\0'", "printf '5\\0a.c'", "exit 0"])
    def test_whatever_the_helper_does_the_run_is_counted(self, logfold, made, sources, tmp_path, does):
        helper = tmp_path / "logfold-locate"
        helper.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\n{does}\n")
        helper.chmod(0o755)
        pid_file = tmp_path / "pid"

        def was_there(done):
            assert done.stdout == "program 1\n"
            return pid_file.exists() and pid_file.read_text().endswith("\n")

        run_until(logfold, was_there, "--", made / "pie", env={"LOGFOLD_MODULE_DIR": tmp_path})
        assert set(sources().values()) == {None}
        pid = int(pid_file.read_text())
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "it is gone")

    def test_an_answer_that_comes_for_another_store_is_nobodys(self, logfold, made, preloaded, tmp_path):
        """The store is replaced while the helper is being asked, and its places are numbered anew."""
        helper, go = tmp_path / "logfold-locate", tmp_path / "go"
        helper.write_text(f"#!/bin/bash\n{{ read -d '' _; read -d '' _; read -d '' _; read -d '' module; }}\n"
                          f"echo $module >>{tmp_path}/asked\n"
                          f"until [ -e {go} ]; do sleep 0.02; done\n"
                          "printf '5\\0%s\\0' $module\n")
        helper.chmod(0o755)
        agent = Agent(logfold.binary, tmp_path, logfold.environment({"LOGFOLD_MODULE_DIR": str(tmp_path)}))
        agent.run_dir.mkdir(mode=0o700)
        asked = tmp_path / "asked"
        try:
            agent.start()
            preloaded(made / "pie", LOGFOLD_RUN_DIR=agent.run_dir)
            wait_until(asked.exists, "it is asked about the first program")
            for suffix in ("", "-wal", "-shm"):
                pathlib.Path(f"{agent.store}{suffix}").unlink(missing_ok=True)
            preloaded(made / "fixed", LOGFOLD_RUN_DIR=agent.run_dir)

            def select(sql):
                """None as long as the store is not there, or has no tables."""
                with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(
                        sqlite3.connect(f"file:{agent.store}?mode=ro", uri=True)) as connection:
                    return connection.execute(sql).fetchone()[0]

            wait_until(lambda: select("SELECT count(*) FROM sites"), "a new store")
            go.touch()
            wait_until(lambda: select("SELECT count(sourceFile) FROM entries"), "an answer is believed")
            assert select("SELECT group_concat(DISTINCT sourceFile) FROM entries") == str(made / "fixed")
        finally:
            agent.end()

    def test_a_file_is_read_with_the_rights_of_who_named_it(self, made, locate):
        if os.getuid() != 0:
            return  # there are no other rights than the caller's
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            program = pathlib.Path(folder) / "program"
            shutil.copy(made / "pie", program)
            main = address_of(program, "main")
            program.chmod(0o644)
            assert locate(program, main, uid=1234)[0][0] > 0
            program.chmod(0o600)
            assert locate(program, main, uid=1234) == [(0, "")]
            assert locate(program, main, uid=0)[0][0] > 0
