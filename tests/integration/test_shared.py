"""One daemon, without any privilege, for the processes of several users; and `logfold.service`.

The users are numbers that nobody has: root can be them.
"""

import configparser
import ctypes
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile

import pytest

from agents import Agent, as_user
from conftest import DEADLINE_S, ROOT

DAEMON, ALICE, BOB = 4300, 4321, 4322
SERVICE = ROOT / "agent" / "systemd" / "logfold.service"


@pytest.fixture
def host(logfold, preload, build):
    """A machine with a daemon for all users: host.agent, host.run(user, …), host.user(user)."""
    if os.geteuid() != 0:
        pytest.fail("needs root, to be several users: run the tests as root")

    class Host:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="logfold-shared-"))

        def home(self, uid):
            home = self.folder / str(uid)
            if not home.exists():
                home.mkdir(mode=0o700)
                os.chown(home, uid, uid)
            return home

        def environment(self, uid):
            home = self.home(uid)
            (home / "run").mkdir(mode=0o700, exist_ok=True)
            os.chown(home / "run", uid, uid)
            return logfold.environment({
                "HOME": home, "XDG_STATE_HOME": home / "state", "XDG_RUNTIME_DIR": home / "run",
                "LOGFOLD_RUN_DIR": self.agent.run_dir, "LOGFOLD_PRELOAD_LIB": self.preload})

        def user(self, uid, *command, **how):
            """A command of that user, with no umask to help."""
            how = {"capture_output": True, "text": True, "timeout": DEADLINE_S, "cwd": "/",
                   "stdin": subprocess.DEVNULL, "umask": 0o077, **how}
            env = self.environment(uid) | how.pop("env", {})
            return subprocess.run(list(map(str, command)), env=env, preexec_fn=as_user(uid), **how)

        def run(self, uid, *arguments):
            return self.user(uid, self.binary, "run", "--summary", "none", *arguments)

        def hooked(self, uid, *command, **env):
            """As a service that was not started by `logfold run`: its output is a file."""
            with tempfile.TemporaryFile() as out:
                return self.user(uid, *command, env={"LD_PRELOAD": str(self.preload), **env},
                                 capture_output=False, stdout=out, stderr=out)

        def counted(self):
            """Σ countTotal by user, namespace and message, as root reads the daemon's store."""
            self.agent.ask("drain")
            done = subprocess.run([self.binary, "ls", "--json", "--store", self.agent.store],
                                  env=logfold.environment({"LOGFOLD_RUN_DIR": self.home(0) / "none"}),
                                  capture_output=True, text=True, timeout=DEADLINE_S)
            lines = re.findall(r'"namespace":"([^"]*)".*"messageTemplate":"([^"]*)".*"countTotal":(\d+)',
                               done.stdout)
            return {(namespace, message): int(count) for namespace, message, count in lines}

        def segments(self):
            return os.listdir(self.agent.run_dir / "segments")

    self = Host()
    self.folder.chmod(0o755)
    # Where the build lies, other users may not come.
    for name, file in (("binary", logfold.binary), ("preload", preload)):
        setattr(self, name, pathlib.Path(shutil.copy(file, self.folder)))
    shutil.copy(logfold.binary.with_name("logfold-locate"), self.folder)
    daemon = self.home(DAEMON)
    daemon.chmod(0o755)
    self.agent = Agent(self.binary, daemon, logfold.environment(), uid=DAEMON, users="all")
    self.agent.start()
    yield self
    self.agent.end()
    shutil.rmtree(self.folder)


class TestUsers:
    def test_the_daemon_has_no_privilege_at_all(self, host):
        status = pathlib.Path(f"/proc/{host.agent.process.pid}/status").read_text()
        assert re.search(r"^Uid:\s+4300\s+4300\s+4300", status, re.M)
        assert set(re.findall(r"^Cap(?:Inh|Prm|Eff|Amb):\s+(\w+)", status, re.M)) == {"0" * 16}

    def test_runs_of_all_users_are_counted_in_one_store(self, host):
        for uid in (ALICE, BOB, ALICE):
            done = host.run(uid, "--", "sh", "-c", "echo together")
            assert (done.returncode, done.stdout, done.stderr) == (0, "together\n", "")
        done = subprocess.run([host.binary, "run", "--summary", "none", "--", "echo", "root"],
                              env=host.environment(0), capture_output=True, text=True,
                              timeout=DEADLINE_S)
        assert (done.returncode, done.stderr) == (0, "")
        assert list(host.counted().values()) == [3, 1]
        assert host.segments() == []
        assert host.agent.stop() == ""

    def test_services_that_nobody_runs_under_logfold_are_counted_too(self, host, wait_for):
        for uid in (ALICE, BOB):
            assert host.hooked(uid, "sh", "-c", "echo served").returncode == 0
        wait_for(lambda: list(host.counted().values()) == [2], "both users' lines")
        wait_for(lambda: host.segments() == [], "an empty directory")

    def test_what_is_counted_while_no_daemon_runs_waits_for_the_next(self, host):
        host.agent.stop()
        for uid in (ALICE, BOB):
            assert host.hooked(uid, "sh", "-c", "echo waiting").returncode == 0
        assert len(host.segments()) == 2
        host.agent.start()
        assert list(host.counted().values()) == [2]

    def test_without_the_daemon_a_run_has_an_agent_of_its_own(self, host):
        host.agent.stop()
        done = host.run(ALICE, "--", "echo", "alone")
        assert (done.returncode, done.stdout, done.stderr) == (0, "alone\n", "")
        listed = host.user(ALICE, host.binary, "ls", "--json")
        assert '"messageTemplate":"alone"' in listed.stdout, listed.stderr
        assert host.segments() == []

    def test_each_user_counts_in_the_namespaces_that_are_his(self, host):
        host.agent.stop()
        host.agent.config["namespaces"] = [f"{ALICE}:shop", "open"]
        host.agent.start()
        for uid in (ALICE, BOB):
            for namespace in ("shop", "open"):
                host.hooked(uid, "sh", "-c", "echo x", LOGFOLD_NAMESPACE=namespace)
                host.hooked(uid, "sh", "-c", "echo x", LOGFOLD_NAMESPACE=namespace)
        counted = host.counted()
        assert counted == {("shop", "x"): 2, ("open", "x"): 4}
        said = host.agent.stop()
        assert said.count("is not counted") == 1 and f'"{BOB}:shop"' in said, said
        assert host.segments() == []

    def test_a_new_configuration_counts_whom_the_old_one_did_not(self, host, wait_for):
        host.agent.stop()
        host.agent.config["namespaces"] = ["shop"]
        host.agent.start()
        script = "echo x; read line"
        with tempfile.TemporaryFile() as out:
            job = subprocess.Popen(["sh", "-c", script], preexec_fn=as_user(ALICE), cwd="/",
                                   stdin=subprocess.PIPE, stdout=out, stderr=out,
                                   env=host.environment(ALICE) | {"LD_PRELOAD": str(host.preload)})
            try:
                wait_for(lambda: "is not counted" in host.agent.log.read_text(), "that it is told")
                assert host.counted() == {}
                host.agent.configure(namespaces=["*"])
                host.agent.process.send_signal(1)
                host.agent.told("READY=1")
                wait_for(lambda: list(host.counted().values()) == [1], "what was left before")
            finally:
                job.stdin.close()
                job.wait(timeout=DEADLINE_S)


class TestApart:
    def test_only_root_and_the_daemons_user_change_something(self, host):
        host.run(ALICE, "--", "echo", "loud")
        hash = subprocess.run(["sqlite3", host.agent.store, "SELECT hash FROM entries"], text=True,
                              capture_output=True, timeout=DEADLINE_S).stdout.strip()
        request = f"mute console-manager-entries {hash}"
        for uid in (ALICE, BOB):
            first, _ = host.agent.ask(request, uid)
            assert first == (f"error only root and the user that the agent runs as may mute: this is "
                             f"user {uid}")
            assert host.agent.ask("status", uid)[0].startswith("ok pid=")
        assert host.run(ALICE, "--", "echo", "loud").stdout == "loud\n"
        assert host.agent.ask(request, DAEMON)[0] == "ok"
        assert host.run(ALICE, "--", "echo", "loud").stdout == ""
        assert host.agent.ask("un" + request)[0] == "ok"
        assert host.run(BOB, "--", "echo", "loud").stdout == "loud\n"

    @pytest.mark.parametrize("place", ("--agent", "--store"))
    def test_root_reads_and_mutes_for_the_daemon_at_once(self, host, place):
        """As root, who has the store but not the run directory: the daemon is asked."""
        host.agent.stop()
        host.agent.config["drain_interval_ms"] = 60_000
        host.agent.start()
        where = (place, {"--agent": host.agent.run_dir, "--store": host.agent.store}[place])

        def root(*arguments):
            done = subprocess.run([host.binary, *arguments], env=host.environment(0), text=True,
                                  capture_output=True, timeout=DEADLINE_S)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
            return done.stdout

        assert host.hooked(ALICE, "sh", "-c", "echo loud").returncode == 0
        assert '"countTotal":1,' in root("ls", "--json", *where)
        root("mute", *where, "template~=loud")
        assert host.user(ALICE, "sh", "-c", "echo loud", env={"LD_PRELOAD": str(host.preload)},
                         ).stdout == ""
        root("unmute", *where, "template~=loud")
        assert host.user(ALICE, "sh", "-c", "echo loud", env={"LD_PRELOAD": str(host.preload)},
                         ).stdout == "loud\n"
        assert os.stat(host.agent.store).st_uid == DAEMON

    def test_users_who_hold_the_socket_together_keep_root_not_out(self, host):
        hold = ("import socket, sys\nheld = []\nfor i in range(12):\n"
                "    held.append(socket.socket(socket.AF_UNIX)); held[-1].connect(sys.argv[1])\n"
                "print('held', flush=True); sys.stdin.read()")
        control = host.agent.run_dir / "control"
        crowd = [subprocess.Popen(["python3", "-c", hold, control], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, preexec_fn=as_user(uid), cwd="/")
                 for uid in (ALICE, BOB, BOB + 1)]
        try:
            assert [job.stdout.readline() for job in crowd] == ["held\n"] * 3
            with socket.socket(socket.AF_UNIX) as root:
                root.settimeout(4.5)  # their places are free again after 5 s
                root.connect(str(control))
                root.sendall(b"status\n")
                assert root.recv(100).startswith(b"ok pid=")
        finally:
            for job in crowd:
                job.communicate(timeout=DEADLINE_S)

    def test_any_user_may_ask_how_the_daemon_is(self, host):
        done = host.user(BOB, host.binary, "health", "--json")
        assert done.returncode == 0 and '"healthy"' in done.stdout, done.stderr

    def test_a_run_is_reported_to_its_own_user_alone(self, host):
        job = subprocess.Popen([host.binary, "run", "--summary", "none", "--", "sh", "-c",
                                "echo $LOGFOLD_RUN_ID; read line || exit 0"], preexec_fn=as_user(ALICE), cwd="/",
                               env=host.environment(ALICE), text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            request = "report " + job.stdout.readline().strip()
            assert host.agent.ask(request, BOB)[0] == "error this run is another user's"
            host.agent.ask("drain")
            *entries, living = host.agent.ask(request, ALICE)[1].splitlines()
            assert len(entries) == 1 and '"countTotal":1,' in entries[0]
            assert living == '{"living":1}'
        finally:
            job.stdin.close()
            job.stdout.close()
            assert job.wait(timeout=DEADLINE_S) == 0

    def test_nobody_looks_up_what_is_in_a_namespace_of_others(self, host):
        host.agent.stop()
        host.agent.config |= {"namespace": "shop", "namespaces": [f"{ALICE}:shop", "open"]}
        host.agent.start()
        host.run(ALICE, "--", "echo", "secret")
        hash = subprocess.run(["sqlite3", host.agent.store, "SELECT hash FROM entries"], text=True,
                              capture_output=True, timeout=DEADLINE_S).stdout.strip()
        for request in (f"find shop {hash}", f"find {hash}"):
            assert host.agent.ask(request, BOB) == ("error namespace 'shop' is not for user 4322", "")
            assert '"secret"' in host.agent.ask(request, ALICE)[1]
            assert '"secret"' in host.agent.ask(request)[1]
        assert '"secret"' in host.user(ALICE, host.binary, "show", "--json", hash).stdout

    def test_no_user_reads_lists_or_removes_what_another_counted(self, host):
        host.agent.kill()
        host.hooked(ALICE, "sh", "-c", "echo secret")
        (name,) = host.segments()
        path = host.agent.run_dir / "segments" / name
        for command in (["cat", path], ["rm", "-f", path], ["ls", path.parent], ["mv", path, "/tmp/x"],
                        ["cat", host.agent.store], ["ls", host.agent.run_dir / "quarantine"],
                        ["touch", host.agent.run_dir / "flags"], ["touch", host.agent.run_dir / "x"]):
            assert host.user(BOB, *command).returncode != 0, command
        assert path.exists()

    def test_nonsense_of_one_user_stops_nobody_else(self, host):
        nonsense = ("cd $0; for i in $(seq 40); do head -c 70000 /dev/urandom >$i.seg; done; "
                    "ln -s /etc/shadow a.seg; mkfifo b.seg; mkdir c.seg; : >d.seg; chmod 0 d.seg")
        done = host.user(BOB, "sh", "-c", nonsense, host.agent.run_dir / "segments")
        assert done.returncode == 0, done.stderr
        host.run(ALICE, "--", "echo", "heard")
        assert list(host.counted().values()) == [1]
        said = host.agent.stop()
        assert f"user {BOB} goes on" in said
        assert len(said.splitlines()) < 25, said

    def test_thousands_of_files_of_one_user_cost_no_more_than_he_may_have(self, host):
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
        folder = host.agent.run_dir / "segments"
        script = ("cd $0; umask 777; i=0; while [ $i -lt 6000 ]; do i=$((i + 1)); "
                  "printf -v name %s-%d-1-%032x.seg $1 $i $i; : >$name; done")
        assert host.user(BOB, "bash", "-c", script, folder, boot).returncode == 0
        host.agent.ask("drain")
        assert "segments=4096 " in host.agent.ask("status")[0]
        host.run(ALICE, "--", "echo", "heard")
        assert list(host.counted().values()) == [1]
        said = host.agent.log.read_text()
        assert "more than this agent takes" not in said and f"user {BOB} has more" in said
        assert len(said.splitlines()) < 25, said
        for name in os.listdir(folder):
            os.unlink(folder / name)
        host.agent.ask("drain")
        assert "segments=0 " in host.agent.ask("status")[0]
        host.run(BOB, "--", "echo", "heard")
        assert list(host.counted().values()) == [2], "there is room for him again"
        assert host.agent.stop().count("\n") < 25

    def test_a_directory_that_a_stranger_made_is_not_used(self, host):
        """In /tmp anybody may be first: there no shared directory counts."""
        trap = pathlib.Path(f"/tmp/logfold-{ALICE}")
        assert not trap.exists(), f"{trap} is there already: remove it"
        try:
            for path, mode in ((trap, 0o755), (trap / "segments", 0o3733)):
                path.mkdir()
                os.chown(path, BOB, BOB)
                path.chmod(mode)
            env = host.environment(ALICE)
            del env["XDG_RUNTIME_DIR"], env["LOGFOLD_RUN_DIR"]
            env["LD_PRELOAD"] = str(host.preload)
            with tempfile.TemporaryFile() as out:
                subprocess.run(["sh", "-c", "echo x"], env=env, preexec_fn=as_user(ALICE), cwd="/",
                               stdout=out, stderr=out, timeout=DEADLINE_S)
            assert os.listdir(trap / "segments") == []
        finally:
            shutil.rmtree(trap, ignore_errors=True)


def calls_of(words):
    """The names behind a SystemCallFilter: those of systemd's sets, and sets in sets."""
    names = set()
    for word in words:
        if not word.startswith("@"):
            names.add(word)
            continue
        listed = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True,
                                text=True, check=True, timeout=DEADLINE_S).stdout.splitlines()[1:]
        names |= calls_of(line.strip() for line in listed if line.strip()[0] != "#")
    return names


def allow_only(names):
    """For preexec_fn: every other system call fails with EPERM from here on."""
    defined = subprocess.run(["gcc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
                             capture_output=True, text=True, check=True, timeout=DEADLINE_S).stdout
    numbers = sorted(int(n) for name, n in re.findall(r"#define __NR_(\w+) (\d+)$", defined, re.M)
                     if name in names)
    load, allow, refuse = (0x20, 0, 0, 0), (0x06, 0, 0, 0x7fff0000), (0x06, 0, 0, 0x00050001)
    # A jump goes 255 steps at most, so each number has its own answer behind it.
    steps = [load] + [step for n in numbers for step in ((0x15, 0, 1, n), allow)] + [refuse]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
    libc = ctypes.CDLL(None)

    def apply():
        assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, header) == 0
        assert program  # it lives as long as the function
    return apply


class TestService:
    def directives(self):
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str
        parser.read(SERVICE)
        return parser["Service"]

    def test_it_keeps_what_it_must_not_lose_and_gives_up_all_else(self):
        service = self.directives()
        assert service["Type"] == "notify" and service["User"] == "logfold"
        assert service["RuntimeDirectoryPreserve"] == "yes", "counts wait there"
        assert (service["RuntimeDirectoryMode"], service["StateDirectoryMode"]) == ("0755", "0700")
        assert service["CapabilityBoundingSet"] == "" and service["NoNewPrivileges"] == "yes"
        for hidden in ("PrivateUsers", "ProtectProc", "RestrictSUIDSGID", "DynamicUser", "ProcSubset"):
            assert hidden not in service, f"{hidden} would take away what it works with"

    def test_systemd_takes_it_and_finds_it_hardly_exposed(self, logfold, tmp_path):
        if not shutil.which("systemd-analyze"):
            pytest.skip("needs systemd-analyze, of the package systemd, to judge the service")
        unit = tmp_path / "logfold.service"
        unit.write_text(SERVICE.read_text().replace("/usr/local/bin/logfold", str(logfold.binary)))
        verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True,
                                  timeout=DEADLINE_S)
        assert (verified.returncode, verified.stderr) == (0, "")
        judged = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
                                capture_output=True, text=True, timeout=DEADLINE_S)
        level = re.search(r"exposure level for logfold.service: ([\d.]+)", judged.stdout)
        assert level and float(level[1]) <= 1.9, judged.stdout[-200:]

    @pytest.fixture
    def make(self, tmp_path):
        """make(target, …) into a folder of its own, and what is there then: {path: mode}."""
        def make(*arguments):
            done = subprocess.run(["make", "-C", ROOT, f"DESTDIR={tmp_path}", "UNITDIR=/usr/lib",
                                   "SYSCONFDIR=/opt/etc", *arguments], capture_output=True, text=True,
                                  timeout=10 * DEADLINE_S)
            assert done.returncode == 0, done.stderr
            return {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o7777
                    for path in tmp_path.rglob("*") if path.is_file()}
        return make

    def test_what_is_installed_fits_together_and_goes_again(self, logfold, make, tmp_path):
        found = make("install")
        assert found["usr/lib/logfold.service"] == found["opt/etc/logfold/agent.toml"] == 0o644
        assert "-c /opt/etc/logfold/agent.toml\n" in (tmp_path / "usr/lib/logfold.service").read_text()
        installed = tmp_path / "usr/local/bin/logfold"
        checked = subprocess.run([installed, "agent", "--check", "-c", tmp_path / "opt/etc/logfold/agent.toml"],
                                 env=logfold.environment(), capture_output=True, timeout=DEADLINE_S)
        assert checked.returncode == 0, checked.stderr
        assert make("uninstall") == {}
        assert "usr/local/bin/logfold" in make("install", "MODULES="), "without a client library"

    def test_a_configuration_that_is_there_stays_and_stays_closed(self, make, tmp_path):
        configured = tmp_path / "opt/etc/logfold/agent.toml"
        configured.parent.mkdir(parents=True)
        configured.write_text("[mongo]\nuri = 'mongodb://u:geheim@h'\n")
        configured.chmod(0o600)
        before = configured.read_text()
        assert make("install")["opt/etc/logfold/agent.toml"] == 0o600
        assert make("uninstall") == {"opt/etc/logfold/agent.toml": 0o600}
        assert configured.read_text() == before

    def test_the_system_calls_that_it_leaves_are_enough(self, host):
        if not shutil.which("systemd-analyze"):
            pytest.skip("needs systemd-analyze, of the package systemd, to know the service's calls")
        filters = re.findall(r"^SystemCallFilter=(~?)(.*)$", SERVICE.read_text(), re.M)
        taken = calls_of(word for sign, words in filters if sign for word in words.split())
        given = calls_of(word for sign, words in filters if not sign for word in words.split())
        assert "chown" in taken and "openat" in given - taken
        host.agent.stop()
        shutil.rmtree(host.agent.run_dir)
        restrict, become = allow_only(given - taken), host.agent.become
        host.agent.become = lambda: (become(), restrict())
        host.agent.start()
        assert host.run(ALICE, "--", "echo", "served").stderr == ""
        assert list(host.counted().values()) == [1]
        assert host.agent.stop() == ""
