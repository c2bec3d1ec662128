"""`logfold run` where a daemon runs: it counts the command, and the run sums up what was its own."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from agents import Agent
from conftest import DEADLINE_S
from test_mute import slow  # noqa: F401  a fixture: a chatter that prints when it is told to



@pytest.fixture
def agent(logfold):
    """A daemon on the run directory of the test's logfold, with a store of its own."""
    folder = logfold.run_dir.parent / "daemon"
    folder.mkdir()
    daemon = Agent(logfold.binary, folder, logfold.environment())
    daemon.run_dir = logfold.run_dir
    daemon.config["run_dir"] = str(logfold.run_dir)
    yield daemon.start()
    daemon.end()


def run(logfold, *command, **how):
    return logfold("run", "--summary", "json", "--", *map(str, command), **how)


def of_agent(logfold, agent):
    return {e["messageTemplate"]: e["countTotal"]
            for e in logfold.entries("--agent", str(agent.run_dir))}


def summed(text):
    return {e["messageTemplate"]: e["countTotal"] for e in map(json.loads, text.splitlines())}


def own_directories(logfold):
    return [name for name in os.listdir(logfold.run_dir) if name.startswith("run-")]


def without_times(text):
    return re.sub(r"\d+\.\d s\n", "", re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "", text))


class TestSummary:
    SCRIPT = "printf 'one\\n'; printf 'two\\n'; printf 'two\\n'; echo 'a \"b\" \\\\ ä'; exit 7"

    @pytest.mark.parametrize("summary", ("table", "json", "none"))
    def test_the_summary_and_the_status_are_those_of_a_run_with_its_own_agent(self, logfold, agent,
                                                                              tmp_path, summary):
        command = ("run", "--summary", summary, "--", "sh", "-c", self.SCRIPT)
        here = logfold(*command)
        own = logfold(*command, env={"LOGFOLD_RUN_DIR": tmp_path / "elsewhere"})
        assert (here.returncode, own.returncode) == (7, 7)
        assert here.stdout == own.stdout
        assert without_times(here.stderr) == without_times(own.stderr)
        assert sum(of_agent(logfold, agent).values()) == 4, "the daemon has not counted"
        assert sum(e["countTotal"] for e in logfold.entries()) == 4, "the other has not"

    def test_a_run_makes_no_agent_of_its_own(self, logfold, agent):
        started = logfold.start("run", "--summary", "none", "--", "cat", stdin=subprocess.PIPE)
        try:
            assert own_directories(logfold) == []
        finally:
            started.stdin.close()
        assert started.wait(timeout=DEADLINE_S) == 0
        assert not pathlib.Path(logfold.env["XDG_STATE_HOME"], "logfold").exists()

    def test_runs_at_once_each_sum_up_their_own_calls_only(self, logfold, agent, build, tmp_path):
        counts = (1000, 2000, 3000)
        jobs = [logfold.start("run", "--summary", "json", "--", build / "progs" / "chatter", "format",
                              tmp_path / f"progress-{count}", str(count), stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) for count in counts]
        for job, count in zip(jobs, counts):
            assert job.wait(timeout=DEADLINE_S) == 0
            assert list(summed(job.stderr.read()).values()) == [count]
        assert sum(of_agent(logfold, agent).values()) == sum(counts)

    def test_thousands_of_messages_are_all_in_the_summary(self, logfold, agent):
        lines = "for (1..3000) { my $w = join '', map { chr(97 + $_) } split //, $_; print \"$w\\n\" }"
        done = run(logfold, "perl", "-e", "$| = 1; " + lines, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)
        assert done.returncode == 0
        assert sum(summed(done.stderr).values()) == 3000
        assert len(summed(done.stderr)) > 2000

    def test_what_was_muted_is_announced_whatever_the_kind(self, logfold, agent):
        run(logfold, "sh", "-c", "echo quiet; echo loud")
        (entry,) = (e for e in logfold.entries("--agent", str(agent.run_dir))
                    if e["messageTemplate"] == "quiet")
        muted = logfold("mute", "--agent", str(agent.run_dir), entry["hash"])
        assert muted.returncode == 0, muted.stderr
        done = logfold("run", "--summary", "none", "--", "sh", "-c", "echo quiet; echo loud")
        assert done.stdout == "loud\n"
        assert done.stderr == "logfold: 1 call was muted in 1 message\n"

    def test_processes_that_run_on_are_told_and_counted_later(self, logfold, agent, tmp_path,
                                                              wait_for):
        hold, release = os.pipe()
        started, told = os.pipe()
        script = f"(echo first; echo x >&{told}; read x <&{hold}; echo later) & read x <&{started}"
        with open(tmp_path / "errors", "w") as errors:
            job = logfold.start("run", "--", "bash", "-c", script, stdout=subprocess.DEVNULL,
                                stderr=errors, pass_fds=(hold, started, told))
        try:
            assert job.wait(timeout=DEADLINE_S) == 0
        finally:
            os.write(release, b"x\n")
            for fd in (hold, release, started, told):
                os.close(fd)
        said = (tmp_path / "errors").read_text()
        assert "logfold: 1 process still runs; the agent goes on counting it\n" in said, said
        wait_for(lambda: of_agent(logfold, agent).get("later") == 1, "what it printed later")


class TestWhich:
    def test_with_another_store_the_run_has_its_own_agent(self, logfold, agent, tmp_path):
        assert logfold("run", "--store", str(tmp_path / "x.db"), "--", "echo", "x").returncode == 0
        assert of_agent(logfold, agent) == {}
        assert len(logfold.entries("--store", str(tmp_path / "x.db"))) == 1

    def test_with_the_daemons_store_named_the_daemon_counts(self, logfold, agent):
        done = logfold("run", "--summary", "json", "--store", str(agent.store), "--", "echo", "x")
        assert list(summed(done.stderr).values()) == [1]
        assert own_directories(logfold) == []
        assert sum(of_agent(logfold, agent).values()) == 1

    def test_a_run_within_a_run_counts_for_itself(self, logfold, agent):
        inner = f"{logfold.binary} run --summary none -- echo inner; echo outer"
        done = run(logfold, "sh", "-c", inner)
        assert set(summed(done.stderr)) == {"outer"}
        assert sum(of_agent(logfold, agent).values()) == 2

    def test_an_agent_that_is_stopped_is_not_waited_for(self, logfold, agent):
        agent.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            done = run(logfold, "echo", "x")
        finally:
            agent.process.send_signal(signal.SIGCONT)
        assert time.monotonic() - began < 5, "less than one has who is not stopped"
        assert done.returncode == 0
        assert list(summed(done.stderr).values()) == [1]
        assert sum(e["countTotal"] for e in logfold.entries()) == 1, "in its own store"

    def test_a_namespace_that_the_daemon_does_not_take_is_told_and_counted_by_ones_own(self, logfold,
                                                                                       agent):
        agent.stop()
        agent.config["namespaces"] = ["shop"]
        agent.start()
        done = logfold("run", "--summary", "none", "--namespace", "bank", "--", "echo", "x")
        assert done.returncode == 0 and done.stdout == "x\n"
        assert "does not take this run" in done.stderr and "'bank'" in done.stderr
        assert [e["namespace"] for e in logfold.entries()] == ["bank"]
        done = logfold("run", "--summary", "none", "--namespace", "shop", "--", "echo", "x")
        assert done.stderr == ""
        assert len(of_agent(logfold, agent)) == 1


    def test_a_run_that_names_no_namespace_is_in_the_daemons(self, logfold, agent):
        agent.stop()
        agent.config |= {"namespace": "shop", "namespaces": ["shop"]}
        agent.start()
        done = run(logfold, "echo", "x")
        assert list(summed(done.stderr).values()) == [1], done.stderr
        assert [e["namespace"] for e in logfold.entries("--agent", str(agent.run_dir))] == ["shop"]
        assert own_directories(logfold) == []


class TestDeath:
    """The daemon dies while a command runs: the command does not notice, and no call is lost."""

    def test_without_the_agent_the_command_ends_as_ever_and_its_counts_wait(self, logfold, agent,
                                                                           slow, tmp_path, wait_for):
        talker = slow()
        talker.print(3)
        agent.kill()
        talker.print(4)
        assert talker.end() == 0
        assert talker.printed() == list(range(7))
        assert re.fullmatch(r"logfold: there is no summary of this run, as the agent of '(\S+)' is gone "
                            r"\(.*\): what it has not drained waits in '\1/segments' for the next one\n",
                            (tmp_path / "errors-0").read_text())
        agent.start()
        wait_for(lambda: sum(of_agent(logfold, agent).values()) == 7, "the counts of both agents")

    def test_an_agent_that_was_started_anew_says_so_and_has_the_counts(self, logfold, agent, slow,
                                                                       tmp_path):
        talker = slow()
        talker.print(3)
        agent.kill()
        agent.start()
        talker.print(4)
        assert talker.end() == 0
        said = (tmp_path / "errors-0").read_text()
        assert "started anew during this run" in said and f"--agent {agent.run_dir}" in said
        assert sum(of_agent(logfold, agent).values()) == 7

    def test_a_run_that_is_killed_leaves_nothing_that_is_not_counted(self, logfold, agent, build,
                                                                     tmp_path, wait_for):
        job = logfold.start("run", "--", build / "progs" / "chatter", "format", tmp_path / "progress",
                            "5000", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: of_agent(logfold, agent), "something that is counted")
        job.kill()
        job.wait(timeout=DEADLINE_S)
        wait_for(lambda: sum(of_agent(logfold, agent).values()) == 5000, "all calls of the orphan")
        wait_for(lambda: os.listdir(logfold.run_dir / "segments") == [], "an empty directory")


class TestService:
    def test_it_says_when_it_is_ready_reloads_and_stops(self, logfold, agent):
        agent.configure(drain_interval_ms=200)
        agent.process.send_signal(signal.SIGHUP)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        reloading = agent.told("RELOADING=1")
        assert abs(int(reloading["MONOTONIC_USEC"]) - before) < DEADLINE_S * 1_000_000
        agent.told("READY=1")
        agent.process.terminate()
        agent.told("STOPPING=1")
        assert agent.process.wait(timeout=DEADLINE_S) == 0
