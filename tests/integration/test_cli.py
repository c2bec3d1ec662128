"""The logfold command: usage, exit statuses, what `run` promises its command, and what the others
print.  What counting itself promises is tested elsewhere."""

import hashlib
import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

FIELDS = ("hash namespace method messageTemplate templateKind topFrame enabled countTotal countPassed "
          "countMuted countSampled countLimited countFolded firstSeenAt lastSeenAt persistToCache "
          "persistToDb tags flagsVersion flagsWriter").split()
COMMANDS = ["run", "ls", "show", "mute", "unmute", "help", "version"]


@pytest.fixture(autouse=True)
def no_test_waits_for_ever():
    """Ends a test whose command never says what is waited for."""
    def fail(*_):
        pytest.fail("waited 60 s in vain")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# ---- usage ----------------------------------------------------------------------------------------


def assert_wrong_usage(done, *words):
    """One line on stderr that names the mistake and the remedy."""
    assert done.returncode == 64
    assert done.stdout == ""
    assert done.stderr.startswith("logfold: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_logfold_alone_prints_help_on_stderr_and_fails(logfold):
    done = logfold()
    assert done.returncode == 64
    assert done.stdout == ""
    for command in COMMANDS:
        assert f"\n  {command} " in done.stderr


@pytest.mark.parametrize("how", [["--help"], ["-h"], ["help"]])
def test_help_goes_to_stdout(logfold, how):
    done = logfold(*how)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: logfold")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_says_its_usage_and_options(logfold, command):
    done = logfold(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: logfold {command}")
    assert "--help" in done.stdout
    assert logfold("help", command).stdout == done.stdout


def test_version_prints_the_version(logfold):
    for how in ("version", "--version"):
        done = logfold(how)
        assert (done.returncode, done.stdout, done.stderr) == (0, "logfold 0.1.0\n", "")


@pytest.mark.parametrize("word, meant", [("mutee", "mute"), ("sl", "ls"), ("shwo", "show"),
                                         ("rum", "run"), ("unmut", "unmute")])
def test_an_unknown_command_suggests_the_nearest(logfold, word, meant):
    assert_wrong_usage(logfold(word), f"'{word}'", f"`logfold {meant}`")
    assert_wrong_usage(logfold("help", word), f"'{word}'", f"`logfold {meant}`")


def test_an_unknown_command_like_no_other_points_to_help(logfold):
    assert_wrong_usage(logfold("frobnicate"), "'frobnicate'", "logfold help")
    assert_wrong_usage(logfold("help", "frobnicate"), "'frobnicate'", "logfold help")


@pytest.mark.parametrize("arguments, words", [
    (["run"], ["COMMAND"]),
    (["run", "--"], ["COMMAND"]),
    (["run", "-x", "true"], ["'-x'", "run --help"]),
    (["run", "--summary", "xml", "true"], ["'xml'", "table, json or none"]),
    (["run", "--namespace", "a b", "true"], ["'a b'", "letters"]),
    (["run", "--namespace", "", "true"], ["namespace"]),
    (["run", "--namespace", "x" * 65, "true"], ["namespace"]),
    (["run", "--json", "true"], ["--json"]),
    (["ls", "--frob"], ["'--frob'", "ls --help"]),
    (["ls", "--store"], ["--store", "FILE"]),
    (["ls", "--store="], ["--store", "empty"]),
    (["ls", "--json=yes"], ["--json", "no value"]),
    (["ls", "-n", "0"], ["'0'"]),
    (["ls", "-n", "-3"], ["'-3'"]),
    (["ls", "-n", "many"], ["'many'"]),
    (["ls", "--store", "a", "--agent", "b"], ["--store", "--agent"]),
    (["ls", "printf"], ["'printf'", "method="]),
    (["ls", "template~=("], ["'('", "regular expression"]),
    (["show"], ["SELECTOR"]),
    (["show", "abc"], ["'abc'", "4 to 32"]),
    (["mute"], ["SELECTOR"]),
    (["unmute"], ["SELECTOR"]),
    (["version", "now"], ["'now'"]),
    (["help", "ls", "run"], ["'run'"]),
])
def test_wrong_usage_is_one_line_that_names_mistake_and_remedy(logfold, arguments, words):
    assert_wrong_usage(logfold(*arguments), *words)


def test_options_take_their_value_in_either_way(logfold):
    for how in (["--summary=none"], ["--summary", "none"]):
        assert logfold("run", *how, "true").stderr == ""


def test_what_follows_the_command_of_run_is_its_own(logfold):
    done = logfold("run", "--summary", "none", "echo", "--summary", "-n", "--", "--help")
    assert (done.returncode, done.stdout) == (0, "--summary -n -- --help\n")


# ---- run: exit status -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 3, 64, 125, 255])
def test_run_exits_as_its_command_does(logfold, status):
    assert logfold("run", "--", "sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGINT])
def test_run_exits_with_128_and_the_signal_that_ended_its_command(logfold, number):
    assert logfold("run", "--", "sh", "-c", f"kill -{int(number)} $$").returncode == 128 + number


def test_a_command_that_is_not_there_is_127_and_one_that_cannot_be_run_126(logfold, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("not a program")
    for command, status in [("/nonexistent/program", 127), ("no-such-program", 127),
                            (str(plain), 126), (str(tmp_path), 126)]:
        done = logfold("run", command)
        assert done.returncode == status
        assert done.stderr.startswith(f"logfold: '{command}' cannot be run: ")
        assert done.stderr.count("\n") == 1
        assert done.returncode == subprocess.run(["env", command], stderr=subprocess.DEVNULL,
                                                 timeout=30).returncode
    assert not list(logfold.run_dir.glob("run-*"))


def test_a_script_without_an_interpreter_line_is_run_as_env_runs_it(logfold, tmp_path):
    script = tmp_path / "script"
    script.write_text("exit 9\n")
    script.chmod(0o755)
    assert logfold("run", script).returncode == 9


def test_a_missing_preload_library_is_125_and_names_file_and_remedy(logfold, tmp_path):
    done = logfold("run", "true", env={"LOGFOLD_PRELOAD_LIB": "/nonexistent/lib.so"})
    assert done.returncode == 125
    assert "/nonexistent/lib.so" in done.stderr and "LOGFOLD_PRELOAD_LIB" in done.stderr
    lonely = tmp_path / "logfold"
    lonely.write_bytes(logfold.binary.read_bytes())
    lonely.chmod(0o755)
    done = subprocess.run([lonely, "run", "true"], env=logfold.environment(
        {"LOGFOLD_PRELOAD_LIB": None}), capture_output=True, text=True, timeout=30)
    assert done.returncode == 125
    assert "liblogfold-preload.so" in done.stderr and "LOGFOLD_PRELOAD_LIB" in done.stderr


def test_the_preload_library_is_found_beside_the_command(logfold, preload, tmp_path):
    folder = tmp_path / "installed"
    folder.mkdir()
    for file in (logfold.binary, preload):
        (folder / file.name).write_bytes(file.read_bytes())
        (folder / file.name).chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(folder / "logfold")
    done = subprocess.run([link, "run", "--summary", "none", "sh", "-c", 'echo "$LD_PRELOAD"'],
                          env=logfold.environment({"LOGFOLD_PRELOAD_LIB": None}),
                          capture_output=True, text=True, timeout=30)
    assert done.stdout == f"{folder}/liblogfold-preload.so\n"


def test_a_library_path_that_LD_PRELOAD_cannot_express_is_125(logfold, preload, tmp_path):
    folder = tmp_path / "a b"
    folder.mkdir()
    copy = folder / "lib.so"
    copy.write_bytes(preload.read_bytes())
    done = logfold("run", "true", env={"LOGFOLD_PRELOAD_LIB": copy})
    assert done.returncode == 125
    assert str(copy) in done.stderr and "space" in done.stderr


# ---- run: what the command finds --------------------------------------------------------------------


def environment_of(logfold, *options, **how):
    done = logfold("run", "--summary", "none", *options, "--", "env", "-0", **how)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if line)


def test_the_command_finds_its_environment_and_what_the_hook_needs(logfold, preload):
    found = environment_of(logfold, env={"SOME": "thing"})
    assert found.pop("LD_PRELOAD") == str(preload.resolve())
    run_dir = found.pop("LOGFOLD_RUN_DIR")
    assert re.fullmatch(rf"{logfold.run_dir}/run-[0-9a-f]{{16}}", run_dir)
    assert re.fullmatch(r"\d+:\d+,\d+:\d+", found.pop("LOGFOLD_STREAMS"))
    expected = logfold.environment({"SOME": "thing"})
    del expected["LOGFOLD_RUN_DIR"]
    assert found == expected


def test_the_namespace_is_handed_on_only_when_given(logfold):
    assert "LOGFOLD_NAMESPACE" not in environment_of(logfold)
    assert environment_of(logfold, "--namespace", "shop.eu-1")["LOGFOLD_NAMESPACE"] == "shop.eu-1"
    assert environment_of(logfold, env={"LOGFOLD_NAMESPACE": "mine"})["LOGFOLD_NAMESPACE"] == "mine"


def test_what_was_preloaded_stays_in_front(logfold, preload, tmp_path):
    first, second = tmp_path / "first.so", tmp_path / "second.so"
    for library in (first, second):
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, "-x", "c", "/dev/null"],
                       check=True, timeout=30)
    found = environment_of(logfold, env={"LD_PRELOAD": f"{first} {second}"})
    assert found["LD_PRELOAD"] == f"{first}:{second}:{preload.resolve()}"


def test_the_streams_are_the_files_behind_stdout_and_stderr(logfold, tmp_path):
    with open(tmp_path / "out", "w+") as out, open(tmp_path / "err", "w+") as err:
        logfold("run", "--summary", "none", "--", "sh", "-c", 'echo "$LOGFOLD_STREAMS"',
                stdout=out, stderr=err)
        out.seek(0)
        stats = [os.fstat(file.fileno()) for file in (out, err)]
        assert out.read() == ",".join(f"{st.st_dev}:{st.st_ino}" for st in stats) + "\n"


def with_closed(logfold, redirection, *command):
    """`logfold run` from a shell that closes fds."""
    line = shlex.join([str(logfold.binary), "run", "--summary", "none", "--", *command])
    return subprocess.run(["sh", "-c", f"exec {line} {redirection}"], env=logfold.environment(None),
                          capture_output=True, text=True, timeout=30)


def test_a_closed_stream_stays_closed_and_is_not_among_the_streams(logfold):
    tell = 'echo "$LOGFOLD_STREAMS" >&2; [ -e /proc/$$/fd/1 ] && echo open >&2; exit 0'
    done = with_closed(logfold, ">&-", "sh", "-c", tell)
    assert re.fullmatch(r"\d+:\d+\n", done.stderr), done.stderr
    tell = 'echo "$LOGFOLD_STREAMS" >"$0"; [ -e /proc/$$/fd/0 ] && echo open >>"$0"; exit 0'
    told = logfold.folder / "told"
    with_closed(logfold, "<&- >&- 2>&-", "sh", "-c", tell, str(told))
    assert told.read_text() == "0:0\n"


def test_what_is_said_to_a_closed_stderr_lands_in_no_file_of_ours(logfold):
    with_closed(logfold, "2>&-", "sh", "-c", "exit 0")
    for _ in range(2):
        assert with_closed(logfold, "<&- 2>&-", "/nonexistent/program").returncode == 127
    assert logfold("ls").stderr == ""


def test_the_command_has_the_fds_of_its_caller_and_no_other(hooked, tmp_path):
    read, write = os.pipe()
    try:
        bare, under = hooked("ls", "/proc/self/fd", pass_fds=(read, write))
    finally:
        os.close(read)
        os.close(write)
    assert under == bare


def test_signal_mask_and_dispositions_are_those_of_the_caller(hooked):
    def prepare():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGRTMIN + 2})
        for ignored in (signal.SIGHUP, signal.SIGUSR2, signal.SIGTSTP, signal.SIGCHLD):
            signal.signal(ignored, signal.SIG_IGN)

    for how in ({}, {"preexec_fn": prepare}):
        bare, under = hooked("grep", "-E", "^Sig(Pnd|Blk|Ign|Cgt)|^ShdPnd", "/proc/self/status", **how)
        assert under == bare


def test_a_caller_that_ignores_sigchld_still_learns_the_status(hooked):
    bare, under = hooked("sh", "-c", "exit 5",
                         preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert under == bare
    assert under.status == 5


def test_umask_directory_and_limits_are_those_of_the_caller(hooked, tmp_path):
    bare, under = hooked("sh", "-c", "umask; pwd; ulimit -a", cwd=tmp_path,
                         preexec_fn=lambda: os.umask(0o027))
    assert under == bare


def test_stdin_goes_to_the_command(hooked):
    bare, under = hooked("cat", input=b"one\ntwo\n\x00\xff")
    assert under == bare
    assert under.stdout == b"one\ntwo\n\x00\xff"


def test_the_command_is_in_the_process_group_of_logfold(logfold):
    process = logfold.start("run", "--summary", "none", "--", "sh", "-c", "ps -o pgid= -p $$",
                            stdout=subprocess.PIPE)
    assert int(process.communicate(timeout=30)[0]) == process.pid


# ---- run: signals -----------------------------------------------------------------------------------

TELLS = r"""
$| = 1;
my %got;
for my $name (qw(TERM HUP USR1 USR2 INT QUIT ALRM CONT WINCH)) {
    $SIG{$name} = sub { $got{$name}++; print "$name\n" };
}
print "ready $$\n";
while (!$got{USR2}) { select(undef, undef, undef, 0.02) }
print "all: ", join(" ", map { "$_=$got{$_}" } sort keys %got), "\n";
exit 7;
"""


def start_teller(logfold, **how):
    """A command that tells each signal that it gets, and at the end, which is USR2, how many."""
    process = logfold.start("run", "--summary", "none", "--", "perl", "-e", TELLS,
                            stdout=subprocess.PIPE, text=True, **how)
    ready = process.stdout.readline()
    assert ready.startswith("ready "), ready
    return process, int(ready.split()[1])


def end_teller(process):
    """What it says at the end.  Of signals that wait at the same time USR2 can overtake a few, so what
    was sent before must have been told."""
    process.send_signal(signal.SIGUSR2)
    told = process.communicate(timeout=30)[0]
    assert process.returncode == 7
    return told.splitlines()[-1]


@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1", "ALRM", "WINCH", "INT", "QUIT"])
def test_a_signal_that_a_process_sends_to_logfold_reaches_the_command_once(logfold, name):
    process, _ = start_teller(logfold)
    process.send_signal(getattr(signal, f"SIG{name}"))
    assert process.stdout.readline() == f"{name}\n"
    assert set(end_teller(process).split()) == {"all:", f"{name}=1", "USR2=1"}


@pytest.mark.parametrize("name", ["INT", "QUIT"])
def test_what_the_keyboard_sends_to_the_whole_group_is_not_passed_on_a_second_time(logfold, name):
    # A terminal is not needed for it: a process of the group sends to all of the group, too.
    sends = ("import os, signal, subprocess, sys\n"
             "job = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)\n"
             "signal.signal(int(sys.argv[1]), signal.SIG_IGN)\n"
             "input(); os.kill(0, int(sys.argv[1]))\n"
             "input(); job.send_signal(signal.SIGUSR2); sys.exit(job.wait())\n")
    number = getattr(signal, f"SIG{name}")
    process = subprocess.Popen([sys.executable, "-c", sends, str(int(number)), logfold.binary, "run",
                                "--summary", "none", "--", "perl", "-e", TELLS],
                               env=logfold.environment(), stdin=subprocess.PIPE, text=True,
                               stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout.readline().startswith("ready ")
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == f"{name}\n"
    told = process.communicate("\n", timeout=30)[0]
    assert process.returncode == 7
    assert told.splitlines()[-1] == f"all: {name}=1 USR2=1"


def test_an_interrupt_from_outside_the_container_is_passed_on(logfold, wait_for):
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL, timeout=30).returncode != 0:
        pytest.skip("needs the right to make a pid namespace")
    process = subprocess.Popen([*unshare, logfold.binary, "run", "--summary", "none", "--", "perl", "-e",
                                TELLS], env=logfold.environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("ready ")
        [inside] = wait_for(lambda: children_of(process.pid), "logfold in its namespace")
        os.kill(int(inside), signal.SIGINT)
        assert process.stdout.readline() == "INT\n"
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_a_command_that_is_ended_by_a_passed_on_signal_says_so_in_the_status(logfold):
    process = logfold.start("run", "--summary", "none", "--", "sh", "-c", "echo ready; exec sleep 60",
                            stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    assert process.wait(timeout=30) == 128 + signal.SIGTERM


def test_an_alarm_that_was_set_before_exec_still_ends_the_command(logfold):
    for seconds in (0.5, 4, 16):  # one that rings before the command is there ends logfold itself
        done = logfold("run", "--summary", "none", "--", "sleep", "60",
                       preexec_fn=lambda: signal.setitimer(signal.ITIMER_REAL, seconds))
        if done.returncode != -signal.SIGALRM:
            break
    assert done.returncode == 128 + signal.SIGALRM


def test_a_command_that_signals_its_own_group_does_not_hear_its_echo(logfold):
    again = r"""
        $| = 1;
        $SIG{TERM} = sub { $n++ }; $SIG{USR1} = sub { $n += 10 }; $SIG{PWR} = sub { $done = 1 };
        kill TERM => 0; kill USR1 => getppid;
        print "sent\n";
        select(undef, undef, undef, 0.02) until $done;
        print "$n\n";
    """
    process = logfold.start("run", "--summary", "none", "--", "perl", "-e", again,
                            stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"sent\n"
    process.send_signal(signal.SIGPWR)  # taken after the others, which have lower numbers
    assert process.communicate(timeout=30)[0] == b"1\n"
    assert process.returncode == 0


def test_a_command_that_is_stopped_alone_does_not_stop_logfold(logfold, wait_for):
    process, command = start_teller(logfold)
    os.kill(command, signal.SIGSTOP)
    wait_for(lambda: state_of(command) == "T", "the command is stopped")
    process.send_signal(signal.SIGTERM)
    assert state_of(process.pid) != "T"
    os.kill(command, signal.SIGCONT)
    assert {process.stdout.readline(), process.stdout.readline()} == {"CONT\n", "TERM\n"}
    assert end_teller(process) == "all: CONT=1 TERM=1 USR2=1"


def test_a_stopped_command_goes_on_when_logfold_is_told_to(logfold, wait_for):
    process, command = start_teller(logfold)
    os.kill(command, signal.SIGSTOP)
    wait_for(lambda: state_of(command) == "T", "the command is stopped")
    process.send_signal(signal.SIGCONT)
    assert process.stdout.readline() == "CONT\n"
    assert end_teller(process) == "all: CONT=1 USR2=1"


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


def test_an_interrupt_from_the_terminal_reaches_the_command_once_and_does_not_end_logfold(
        logfold, terminal):
    job = terminal(logfold.binary, "run", "--summary", "none", "--", "perl", "-e", TELLS)
    job.expect("ready")
    for key, name in (("\x03", "INT"), ("\x1c", "QUIT")):
        job.send(key)
        job.expect(f"{name}\r\n")
    os.kill(job.process.pid, signal.SIGUSR2)
    output, status = job.wait()
    assert "all: INT=1 QUIT=1 USR2=1" in output
    assert status == 7


def test_an_interrupt_ends_a_command_that_does_not_catch_it_and_the_summary_comes(logfold, terminal):
    job = terminal(logfold.binary, "run", "--", "sh", "-c", "echo ready; exec sleep 60")
    job.expect("ready")
    job.send("\x03")
    output, status = job.wait()
    assert status == 128 + signal.SIGINT
    assert re.search(r"logfold: \d+ calls?, \d+ messages?, [\d.]+ s", output)


def test_a_job_can_be_stopped_and_continued_from_the_terminal(logfold, terminal):
    shell = terminal("bash", "--norc", "--noprofile", "-i", env={"TERM": "dumb", "PS1": "prompt> "})
    shell.expect("prompt> ")
    shell.send(f"{logfold.binary} run --summary none -- sh -c 'echo began; exec cat'\n")
    shell.expect("\nbegan")
    shell.send("first\n")
    shell.expect("first\r\nfirst\r\n")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.expect("prompt> ")
    shell.send("jobs -s | wc -l; fg\n")
    shell.expect("\n1\r\n")
    shell.expect("began")
    shell.send("second\n")
    shell.expect("second\r\nsecond\r\n")
    shell.send("\x04")
    shell.expect("prompt> ")
    shell.send('echo "status: $?"\n')
    shell.expect("status: 0")


def test_the_command_sees_the_terminal_as_a_terminal(logfold, terminal):
    job = terminal(logfold.binary, "run", "--summary", "none", "--", "sh", "-c",
                   "tty <&0 && tty <&1 && tty <&2 && stty size", columns=91, rows=33)
    output, status = job.wait()
    assert status == 0
    assert re.fullmatch(r"(/dev/pts/\d+\r\n){3}33 91\r\n", output)


# ---- run: never the host's problem -----------------------------------------------------------------

SPEAKS = ["sh", "-c", "echo out; echo err >&2; exit 3"]


def unusable_stores(folder):
    (folder / "file").write_text("")
    (folder / "directory").mkdir()
    (folder / "noise").write_bytes(bytes(range(256)) * 64)
    return [folder / "file" / "entries.db", folder / "directory", folder / "noise"]


@pytest.mark.parametrize("which", range(3), ids=["below a file", "a directory", "noise"])
def test_with_an_unusable_store_the_command_runs_all_the_same_and_its_counts_wait(
        logfold, tmp_path, which):
    store = unusable_stores(tmp_path)[which]
    before = store.read_bytes() if store.is_file() else None
    done = logfold("run", "--store", store, "--summary", "none", *SPEAKS)
    assert (done.stdout, done.returncode) == ("out\n", 3)
    said = done.stderr.splitlines()
    assert said.count("err") == 1
    assert any(str(store.parent if which == 0 else store) in line for line in said)
    waiting = [line for line in said if "counts wait in" in line]
    assert len(waiting) == 1
    assert list(logfold.run_dir.glob("run-*/segments/*.seg"))
    assert (store.read_bytes() if store.is_file() else None) == before


def test_the_counts_of_an_unusable_store_are_taken_over_when_it_has_been_removed(logfold, tmp_path):
    store = unusable_stores(tmp_path)[2]
    logfold("run", "--store", store, *SPEAKS)
    store.unlink()
    taken = logfold.entries("--store", store)
    assert sum(entry["countTotal"] for entry in taken) == 2
    assert logfold.entries("--store", store) == taken
    assert not list(logfold.run_dir.glob("run-*"))


@pytest.mark.parametrize("place", ["/dev/null/x", "/proc/none"])
def test_without_a_run_directory_the_command_runs_uncounted_as_if_alone(logfold, hooked, place):
    done = logfold("run", *SPEAKS, env={"LOGFOLD_RUN_DIR": place})
    assert (done.stdout, done.returncode) == ("out\n", 3)
    said, err = done.stderr.splitlines()
    assert err == "err"
    assert place in said and "uncounted" in said and "set LOGFOLD_RUN_DIR to" in said
    found = logfold("run", "env", env={"LOGFOLD_RUN_DIR": place}).stdout
    assert "\nLD_PRELOAD=" not in found
    assert logfold("run", "/nonexistent/program", env={"LOGFOLD_RUN_DIR": place}).returncode == 127


def test_a_summary_file_that_cannot_be_written_is_told_and_the_summary_is_not_lost(logfold):
    done = logfold("run", "--summary-file", "/nonexistent/summary", *SPEAKS)
    assert (done.stdout, done.returncode) == ("out\n", 3)
    assert "'/nonexistent/summary' cannot be written" in done.stderr
    assert re.search(r"^logfold: 2 calls, 2 messages, ", done.stderr, re.M)


def test_a_reader_of_the_summary_that_went_away_does_not_change_the_status(logfold):
    read, write = os.pipe()
    process = logfold.start("run", "--", "sh", "-c", "read line; exit 3", stdin=subprocess.PIPE,
                            stderr=write)
    os.close(write)
    os.close(read)
    process.communicate(b"go\n", timeout=30)
    assert process.returncode == 3


@pytest.mark.parametrize("place", ["counted", "uncounted"])
def test_a_complaint_that_nobody_reads_does_not_keep_the_command_from_running(logfold, tmp_path, place):
    env = {"LOGFOLD_RUN_DIR": "/dev/null/x"} if place == "uncounted" else {}
    read, write = os.pipe()
    os.close(read)
    pending = "grep -E '^Sig(Blk|Pnd|Ign)' /proc/self/status; exit 3"
    done = logfold("run", "--store", tmp_path, "--", "sh", "-c", pending, env=env, stderr=write,
                   stdout=subprocess.PIPE)
    os.close(write)
    bare = subprocess.run(["sh", "-c", pending], stdout=subprocess.PIPE, text=True, timeout=30)
    assert (done.stdout, done.returncode) == (bare.stdout, 3)


def test_a_stderr_that_the_command_made_nonblocking_gets_the_whole_summary(logfold):
    words = "for a in a b c d e f; do for b in a b c d e f g; do echo wort$a$b >&2; done; done"
    nonblocking = ("import fcntl, os, subprocess, sys; fcntl.fcntl(2, fcntl.F_SETFL, "
                   "fcntl.fcntl(2, fcntl.F_GETFL) | os.O_NONBLOCK); fcntl.fcntl(2, 1031, 4096); "
                   f"os.execvp('bash', ['bash', '-c', {words!r}])")
    process = logfold.start("run", "--summary", "json", "--", sys.executable, "-c", nonblocking,
                            stderr=subprocess.PIPE, text=True)
    # The pipe holds 4 KiB; a summary of 42 entries is larger, and is read only when it has to wait.
    poll_until_sleeping_or_done(process)
    err = process.communicate(timeout=30)[1]
    objects = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert len(objects) == 42


def test_a_full_stderr_that_the_command_made_nonblocking_gets_the_announcements(logfold):
    fills = ("import fcntl, os; ready, tell = os.pipe(); os.set_inheritable(tell, True); "
             "os.system(f'(echo hi; echo >&{tell}; sleep 30) 2>/dev/null &'); os.read(ready, 1); "
             "fcntl.fcntl(2, fcntl.F_SETFL, fcntl.fcntl(2, fcntl.F_GETFL) | os.O_NONBLOCK); "
             "fcntl.fcntl(2, 1031, 4096); os.write(2, b'x' * 4095 + b'\\n')")
    process = logfold.start("run", "--summary", "none", "--", sys.executable, "-c", fills,
                            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    poll_until_sleeping_or_done(process)
    assert "still run" in process.communicate(timeout=30)[1]


def poll_until_sleeping_or_done(process):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with open(f"/proc/{process.pid}/wchan", encoding="ascii", errors="replace") as wchan:
            if "poll" in wchan.read() and not children_of(process.pid):
                return
        time.sleep(0.01)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return children.read().split()


def test_processes_that_outlive_the_command_are_told_and_counted_later(logfold, wait_for, tmp_path):
    go, begun = tmp_path / "go", tmp_path / "begun"
    os.mkfifo(go)
    os.mkfifo(begun)
    late = (f"echo early; (exec >&2; echo begun; : >{begun}; read line <{go}; echo late) & "
            f"read line <{begun}; exit 0")
    done = logfold("run", "--summary", "none", "--", "bash", "-c", late,
                   stdout=subprocess.PIPE, stderr=open(tmp_path / "err", "w"))
    assert done.stdout == "early\n"
    said = (tmp_path / "err").read_text()
    assert "1 process still runs; `logfold ls`" in said, said
    with open(go, "w") as fifo:
        fifo.write("go\n")
    wait_for(lambda: "late\n" in (tmp_path / "err").read_text(), "the late line")
    assert wait_for(lambda: [e for e in logfold.entries() if e["messageTemplate"].startswith("late")],
                    "the late line is counted")


# ---- run: nested -------------------------------------------------------------------------------------


def test_a_run_within_a_run_counts_for_itself(logfold, preload):
    inner = [str(logfold.binary), "run", "--summary", "none", "--", "env", "-0"]
    done = logfold("run", "--summary", "none", "--", *inner)
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert found["LD_PRELOAD"] == str(preload.resolve())
    assert re.fullmatch(rf"{logfold.run_dir}/run-[0-9a-f]{{16}}", found["LOGFOLD_RUN_DIR"])
    assert not list(logfold.run_dir.glob("run-*"))


# ---- run: the summary --------------------------------------------------------------------------------

SAYS = ["bash", "-c", "for i in 1 2 3; do echo often; done; echo once >&2"]


def test_the_summary_is_a_line_and_a_table_most_frequent_first(logfold):
    done = logfold("run", *SAYS)
    assert done.stdout == "often\n" * 3
    once, headline, titles, *rows = done.stderr.splitlines()
    assert once == "once"
    assert re.fullmatch(r"logfold: 4 calls, 2 messages, \d+\.\d s", headline)
    assert titles.split() == ["COUNT", "METHOD", "MESSAGE", "FRAME", "HASH"]
    assert [row.split()[0] for row in rows] == ["3", "1"]
    assert "often" in rows[0] and "once" in rows[1]
    entries = {entry["hash"][:10] for entry in logfold.entries()}
    assert {row.split()[-1] for row in rows} == entries


def test_the_summary_is_of_this_run_alone(logfold):
    logfold("run", *SAYS)
    done = logfold("run", "bash", "-c", "echo often")
    assert re.search(r"^logfold: 1 call, 1 message, ", done.stderr, re.M)
    assert [entry["countTotal"] for entry in logfold.entries()] == [4, 1]


def test_the_json_summary_is_nothing_but_objects_with_all_fields_in_order(logfold, tmp_path):
    done = logfold("run", "--summary", "json", *SAYS)
    lines = done.stderr.splitlines()
    assert lines.pop(0) == "once"
    objects = [json.loads(line) for line in lines]
    assert [list(entry) for entry in objects] == [FIELDS, FIELDS]
    assert [entry["countTotal"] for entry in objects] == [3, 1]
    for entry in objects:
        assert entry["enabled"] is True and entry["tags"] == []
        assert entry["countTotal"] == sum(entry[name] for name in FIELDS if re.match("count(?!T)", name))
        identity = b"".join(len(text).to_bytes(8, "little") + text for text in
                            (entry[name].encode() for name in ("method", "messageTemplate", "topFrame")))
        assert hashlib.sha256(identity).hexdigest()[:32] == entry["hash"]


@pytest.mark.parametrize("kind", ["table", "json"])
def test_a_summary_file_takes_the_summary_from_stderr(logfold, tmp_path, kind):
    file = tmp_path / "summary"
    file.write_text("old\n" * 1000)
    done = logfold("run", "--summary", kind, f"--summary-file={file}", *SAYS)
    assert done.stderr == "once\n"
    assert ("logfold: 4 calls" in file.read_text()) == (kind == "table")
    assert "often" in file.read_text() and "old\n" not in file.read_text()


def test_without_a_summary_nothing_is_said(hooked):
    bare, under = hooked(*SAYS)
    assert under == bare


def test_a_long_table_is_cut_and_says_where_the_rest_is(logfold, tmp_path):
    many = "for a in {a..i}; do for b in {a..e}; do echo wort$a$b; done; done"
    done = logfold("run", "--store", tmp_path / "s.db", "bash", "-c", many)
    lines = done.stderr.splitlines()
    assert len(lines) == 2 + 40 + 1
    assert lines[-1] == f"… 5 more: logfold ls --store {tmp_path / 's.db'}"
    assert len(logfold.entries("--store", tmp_path / "s.db")) == 45


def test_muted_calls_are_announced_whatever_the_summary(logfold):
    logfold("run", *SAYS)
    assert logfold("mute", "template~=often").returncode == 0
    for kind in ("none", "json", "table"):
        done = logfold("run", "--summary", kind, *SAYS)
        assert done.stdout == ""
        assert "logfold: 3 calls were muted in 1 message\n" in done.stderr
    titles, first, _ = done.stderr.splitlines()[-3:]
    assert titles.split()[-1] == "MUTED"
    assert first.endswith("3 now")


# ---- terminals ----------------------------------------------------------------------------------------


def fill(logfold, *rows):
    """Puts entries into the store; returns their hashes."""
    assert logfold("run", "--summary", "none", "true").returncode == 0
    hashes = []
    with sqlite3.connect(logfold.store) as db:
        for row in rows:
            row = {"namespace": "console-manager-entries", "method": "printf", "topFrame": "prog!main",
                   "messageTemplate": "hello", "templateKind": "format", "countPassed": 1,
                   "firstSeenAt": "2024-05-06T07:08:09.123Z",
                   "lastSeenAt": "2024-05-06T07:08:10.123Z"} | row
            identity = row["method"] + row["messageTemplate"] + row["topFrame"]
            row.setdefault("hash", hashlib.sha256(identity.encode()).hexdigest()[:32])
            hashes.append(row["hash"])
            db.execute(f"INSERT INTO entries ({', '.join(row)}) VALUES "
                       f"({', '.join(':' + name for name in row)})", row)
    db.close()
    return hashes


WIDE = {"messageTemplate": "日本語 " + "a long message " * 20, "topFrame": "program!a_function_with_a_name"}


def cells(line):
    return sum(2 if ord(c) >= 0x1100 and c != "…" and ord(c) > 0x2fff else 1 for c in line)


@pytest.mark.parametrize("columns", [30, 60, 100])
def test_a_table_fits_the_terminal(logfold, terminal, columns):
    fill(logfold, WIDE)
    output, status = terminal(logfold.binary, "ls", columns=columns, env={"NO_COLOR": "1"}).wait()
    assert status == 0
    titles, row = output.replace("\r", "").splitlines()
    assert "…" in row
    assert cells(titles) <= columns and cells(row) <= columns


def test_without_a_terminal_nothing_is_cut_unless_COLUMNS_says_so(logfold):
    fill(logfold, WIDE)
    assert WIDE["messageTemplate"] in logfold("ls").stdout
    assert max(map(cells, logfold("ls", env={"COLUMNS": "50"}).stdout.splitlines())) <= 50
    assert WIDE["messageTemplate"] in logfold("ls", env={"COLUMNS": "wide"}).stdout


@pytest.mark.parametrize("env, coloured", [
    ({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False),
    ({"TERM": None}, False),
])
def test_colours_are_for_terminals_that_want_them(logfold, terminal, env, coloured):
    fill(logfold, {})
    output, _ = terminal(logfold.binary, "ls", env=env).wait()
    assert ("\x1b[" in output) == coloured
    assert "\x1b" not in logfold("ls", env=env).stdout


def test_control_characters_of_a_message_never_reach_the_terminal(logfold):
    hostile = "\x1b]0;owned\x07 \x9b2J\u202e tab\there\r\n"
    fill(logfold, {"messageTemplate": hostile})
    for how in (["ls"], ["show", "method=printf"], ["mute", "method=printf"]):
        shown = logfold(*how).stdout
        assert r"\x1b]0;owned\x07 \u009b2J\u202e tab\there\r\n" in shown
        assert not set(shown) & set("\x1b\x07\x9b\u202e\t\r")


def test_utf8_is_cut_between_characters_in_any_locale(logfold):
    fill(logfold, WIDE)
    for locale in ("C", "C.UTF-8", "xx_XX"):
        out = logfold("ls", env={"LC_ALL": locale, "COLUMNS": "60"}, text=False).stdout.decode("utf-8")
        assert "日本語" in out


# ---- ls -----------------------------------------------------------------------------------------------


def test_ls_of_a_store_that_is_not_there_is_an_empty_table_and_a_hint(logfold):
    done = logfold("ls")
    assert done.returncode == 0
    assert done.stdout.split() == ["COUNT", "METHOD", "MESSAGE", "FRAME", "HASH"]
    assert str(logfold.store) in done.stderr and done.stderr.count("\n") == 1
    done = logfold("ls", "--json")
    assert (done.returncode, done.stdout) == (0, "")
    assert not logfold.store.exists()


def test_ls_lists_the_most_frequent_first(logfold):
    fill(logfold, {"messageTemplate": "few", "countPassed": 2},
         {"messageTemplate": "many", "countPassed": 7, "countMuted": 100},
         {"messageTemplate": "one", "countPassed": 1})
    rows = logfold("ls").stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["107", "2", "1"]
    assert len(logfold("ls", "-n", "2").stdout.splitlines()) == 1 + 2
    assert [e["messageTemplate"] for e in logfold.entries("-n1")] == ["many"]


def test_ls_chooses_by_selectors_and_namespace(logfold):
    hashes = fill(logfold, {"messageTemplate": "alpha"}, {"messageTemplate": "beta", "method": "puts"},
                  {"messageTemplate": "gamma", "namespace": "shop", "tags": '["noisy"]'},
                  {"messageTemplate": "delta", "family": "77bc", "topFrame": "prog!other"})

    def chosen(*arguments):
        return sorted(e["messageTemplate"] for e in logfold.entries(*arguments))

    assert chosen(hashes[0][:6]) == ["alpha"]
    assert chosen(hashes[0][:6].upper(), hashes[1]) == ["alpha", "beta"]
    assert chosen("method=puts") == ["beta"]
    assert chosen("template~=^(alpha|gamma)$") == ["alpha", "gamma"]
    assert chosen("frame~=other") == ["delta"]
    assert chosen("tag=noisy") == ["gamma"]
    assert chosen("family=77bc") == ["delta"]
    assert chosen("--namespace", "shop") == ["gamma"]
    assert chosen("method=printf", "frame~=main") == ["alpha", "gamma"]
    assert chosen("-n", "1", "template~=beta|gamma", "--namespace=shop") == ["gamma"]


def test_json_of_a_hostile_store_is_still_json(logfold):
    fill(logfold, {"messageTemplate": "quote \" back \\ \x01 é 😀", "tags": '["a" {', "countPassed": 2**62,
                   "policy": "p"})
    with sqlite3.connect(logfold.store) as db:
        db.execute("UPDATE entries SET method = CAST(x'61ff62' AS TEXT)")
    db.close()
    out = logfold("ls", "--json", text=False).stdout.decode("utf-8")
    entry = json.loads(out)
    assert entry["messageTemplate"] == "quote \" back \\ \x01 é 😀"
    assert entry["method"] == "a\\xffb"
    assert entry["tags"] == []
    assert entry["countTotal"] == 2**62
    assert list(entry) == [*FIELDS, "policy"]


@pytest.mark.parametrize("which", range(3), ids=["below a file", "a directory", "noise"])
@pytest.mark.parametrize("command", [["ls"], ["show", "abcd"], ["mute", "abcd"]])
def test_an_unusable_store_is_a_failure_with_a_sentence(logfold, tmp_path, which, command):
    store = unusable_stores(tmp_path)[which]
    done = logfold(*command, "--store", store)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("logfold: ") and str(tmp_path) in done.stderr


def test_a_reader_that_stops_reading_ends_ls_without_a_word(logfold):
    fill(logfold, *({"messageTemplate": f"{n} " + "x" * 1000} for n in range(500)))
    for arguments in (["ls"], ["ls", "--json"]):
        line = shlex.join([str(logfold.binary), *arguments])
        done = subprocess.run(["bash", "-c", f"{line} | head -n 1; exit ${{PIPESTATUS[0]}}"],
                              env=logfold.environment(None), capture_output=True, text=True, timeout=30)
        assert done.stdout.count("\n") == 1
        assert (done.stderr, done.returncode) == ("", 128 + signal.SIGPIPE)


@pytest.mark.parametrize("arguments", [["ls"], ["ls", "--json"], ["help"], ["version"],
                                       ["show", "method=printf"]])
def test_output_that_cannot_be_written_is_a_failure(logfold, arguments):
    fill(logfold, {})
    with open("/dev/full", "w") as full:
        done = logfold(*arguments, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "logfold: output cannot be written: No space left on device\n"


# ---- show, mute, unmute -----------------------------------------------------------------------------


def test_show_prints_every_field_on_a_line(logfold):
    [which] = fill(logfold, {"messageTemplate": "user %s in\n", "countMuted": 4, "tags": '["a"]'})
    done = logfold("show", which[:8])
    assert done.returncode == 0
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert list(lines) == FIELDS
    assert lines["messageTemplate"] == "user %s in\\n"
    assert (lines["enabled"], lines["countTotal"], lines["tags"]) == ("true", "5", '["a"]')
    assert list(json.loads(logfold("show", "--json", which[:8]).stdout)) == FIELDS


@pytest.mark.parametrize("command", ["show", "mute", "unmute"])
def test_what_matches_nothing_is_a_failure_with_a_sentence(logfold, command):
    fill(logfold, {})
    for selector in ("0123", "template~=nowhere"):
        done = logfold(command, selector)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(r"logfold: nothing matches.*logfold ls.*\n", done.stderr)


@pytest.mark.parametrize("command", ["show", "mute", "unmute"])
def test_a_hash_prefix_of_several_entries_lists_the_candidates_and_does_nothing(logfold, command):
    first, second = "abcd" + "0" * 28, "abcd" + "1" * 28
    fill(logfold, {"hash": first}, {"hash": second, "namespace": "shop"})
    done = logfold(command, "abcd")
    assert (done.returncode, done.stdout) == (1, "")
    assert first in done.stderr and second in done.stderr and "shop" in done.stderr
    assert all(entry["enabled"] for entry in logfold.entries())
    assert logfold(command, "abcd", "--namespace", "shop").returncode == 0


def test_mute_and_unmute_change_what_they_print_and_nothing_else(logfold):
    hashes = fill(logfold, {"messageTemplate": "user %s in\n"}, {"messageTemplate": "other"})
    done = logfold("mute", hashes[0][:4])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"muted {hashes[0][:10]}…  printf  user %s in\\n\n"
    assert [e["hash"] for e in logfold.entries() if not e["enabled"]] == [hashes[0]]
    assert " 0 now" in logfold("ls").stdout
    done = logfold("mute", hashes[0])
    assert (done.returncode, done.stdout) == (0, "")
    assert "already" in done.stderr
    done = logfold("unmute", "--json", hashes[0])
    entry = json.loads(done.stdout)
    assert list(entry) == FIELDS
    assert (entry["hash"], entry["enabled"]) == (hashes[0], True)
    assert all(e["enabled"] for e in logfold.entries())


def test_mute_takes_many_entries_at_once(logfold):
    fill(logfold, {"messageTemplate": "noise one"}, {"messageTemplate": "noise two"},
         {"messageTemplate": "signal"})
    done = logfold("mute", "template~=^noise")
    assert done.stdout.count("\n") == 2
    assert [e["messageTemplate"] for e in logfold.entries() if e["enabled"]] == ["signal"]


def test_the_overflow_entry_cannot_be_muted(logfold):
    overflow = {"method": "overflow", "messageTemplate": "messages that the map had no room for",
                "topFrame": "logfold!overflow", "templateKind": "overflow"}
    [which, _] = fill(logfold, overflow, {"messageTemplate": "other"})
    done = logfold("mute", which)
    assert (done.returncode, done.stdout) == (1, "")
    assert "overflow" in done.stderr
    done = logfold("mute", "template~=.")
    assert done.returncode == 0
    assert "overflow" in done.stderr and done.stdout.count("\n") == 1
    assert [e["method"] for e in logfold.entries() if e["enabled"]] == ["overflow"]


def test_a_mute_reaches_a_running_program_and_an_unmute_takes_it_back(logfold, wait_for):
    loops = "while read -t 0.01 line || [ $? -gt 128 ]; do echo tick; done"
    process = logfold.start("run", "--summary", "none", "--", "bash", "-c", loops,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.set_blocking(process.stdout.fileno(), False)

    def printed():
        return process.stdout.read() or b""

    def counted(name):
        return sum(e[name] for e in logfold.entries("template~=tick"))

    wait_for(lambda: counted("countPassed"), "the program is counted")
    assert logfold("mute", "template~=tick").stdout.startswith("muted ")
    wait_for(lambda: counted("countMuted"), "calls are muted")
    printed()
    before = counted("countMuted")
    wait_for(lambda: counted("countMuted") > before, "more calls are muted")
    assert printed() == b""
    assert logfold("unmute", "template~=tick").stdout.startswith("unmuted ")
    wait_for(printed, "the program prints again")
    process.stdin.close()
    process.wait(timeout=30)
    assert b"were muted in 1 message" in process.stderr.read()


def test_a_mute_reaches_a_program_that_no_agent_looks_after(logfold, wait_for):
    loops = "while read -t 0.01 line || [ $? -gt 128 ]; do echo tick; done"
    done, orphan = os.pipe()
    process = logfold.start("run", "--summary", "none", "--", "bash", "-c",
                            f"echo begins; ({loops}) <&{done} & exit 0", pass_fds=[done],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.close(done)
    assert process.wait(timeout=30) == 0
    wait_for(lambda: logfold.entries("template~=tick"), "the orphan is counted")
    assert logfold("mute", "template~=tick").stdout.startswith("muted ")
    wait_for(lambda: sum(e["countMuted"] for e in logfold.entries("template~=tick")), "it is muted")
    os.set_blocking(process.stdout.fileno(), False)
    process.stdout.read()
    before = logfold.entries("template~=tick")[0]["countMuted"]
    wait_for(lambda: logfold.entries("template~=tick")[0]["countMuted"] > before, "more is muted")
    assert process.stdout.read() is None
    os.close(orphan)
    wait_for(lambda: process.stdout.read() == b"", "the orphan ends")
    logfold("ls")
    assert not list(logfold.run_dir.glob("run-*"))


def test_a_stopped_run_holds_up_no_other_command_for_long(logfold):
    [known] = fill(logfold, {"messageTemplate": "of another run"})
    job = logfold.start("run", "--summary", "none", "--", "sh", "-c", "echo ready; exec sleep 60",
                        stdout=subprocess.PIPE)
    assert job.stdout.readline() == b"ready\n"
    assert logfold("ls").stderr == ""  # now its agent is idle
    job.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    listed = logfold("ls")
    muted = logfold("mute", known)
    assert time.monotonic() - began < 10, "less than twice the time that one has who is not stopped"
    for done in (listed, muted):
        assert done.returncode == 0
        assert done.stderr.count("\n") == 1 and "does not answer, it may be stopped" in done.stderr
    assert "of another run" in listed.stdout and muted.stdout.startswith("muted")
    job.send_signal(signal.SIGCONT)


def test_an_agent_can_be_named_by_its_socket(logfold, wait_for):
    process = logfold.start("run", "--summary", "none", "--", "bash", "-c", "echo hello; read line",
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"hello\n"
    [socket] = wait_for(lambda: list(logfold.run_dir.glob("run-*/control")), "the agent's socket")
    elsewhere = {"XDG_STATE_HOME": logfold.folder / "home", "LOGFOLD_RUN_DIR": logfold.folder / "home"}
    done = logfold("ls", "--agent", socket, "--json", env=elsewhere)
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["countTotal"] for line in done.stdout.splitlines()] == [1]
    done = logfold("ls", "--agent", "/nonexistent/control")
    assert done.returncode == 1
    assert "'/nonexistent/control'" in done.stderr
