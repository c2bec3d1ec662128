"""The hook on programs of our own: bytes, results and counts, bare, counted and muted."""

import collections
import subprocess

import pytest

from conftest import DEADLINE_S


@pytest.fixture
def progs(build):
    return build / "progs"


def run(logfold, *command, **how):
    return logfold("run", "--summary", "none", "--", *map(str, command), text=False, **how)


def counts(logfold, *fields):
    """Σ countTotal of the store's entries by the given fields."""
    result = collections.Counter()
    for entry in logfold.entries():
        result[tuple(entry[f] for f in fields)] += entry["countTotal"]
    return result


def total(logfold):
    return sum(entry["countTotal"] for entry in logfold.entries())


class TestTwins:
    """Every name of every printing call."""

    def results(self, command, folder, name, env):
        with open(folder / name, "wb") as results:
            done = subprocess.run(["bash", "-c", 'exec "$@" 3>&0 0</dev/null', "-", *map(str, command)],
                                  stdin=results, capture_output=True, env=env, timeout=DEADLINE_S)
        assert done.returncode == 0
        return done.stdout, done.stderr, (folder / name).read_text()

    @pytest.fixture
    def bare(self, progs, tmp_path, logfold):
        return self.results([progs / "twins"], tmp_path, "bare", logfold.env)

    @pytest.fixture
    def under(self, logfold, progs, tmp_path):
        def once(name):
            return self.results([logfold.binary, "run", "--summary", "none", "--", progs / "twins"],
                                tmp_path, name, logfold.env)
        return once

    def test_every_twin_prints_and_returns_what_it_does_without_the_hook(self, bare, under):
        assert under("hooked") == bare

    def test_every_twin_is_counted_once_under_the_name_a_programmer_writes(self, under, logfold):
        under("hooked")
        counted = counts(logfold, "method")
        assert counted == {
            ("printf",): 12, ("fprintf",): 3, ("vprintf",): 1, ("vfprintf",): 4,
            ("dprintf.2",): 2, ("vdprintf.2",): 2, ("puts",): 6, ("fputs",): 4, ("fputc",): 2,
            ("fwrite",): 5, ("write.1",): 4, ("write.2",): 1, ("writev.1",): 2,
        }

    def test_muted_twins_print_nothing_and_return_the_same(self, bare, under, logfold):
        under("hooked")
        muted = logfold("mute", "template~=^")
        assert muted.returncode == 0, muted.stderr
        before = total(logfold)
        out, err, results = under("muted")
        # What has begun to be printed is printed to its end: "c" and "begun" are no muted messages.
        assert out == b"chars!\nbegun and ended\n"
        assert b"".join(l for l in err.splitlines(True) if not l.startswith(b"logfold: ")) == b""
        assert results == bare[2]
        assert total(logfold) == 2 * before
        assert sum(e["countMuted"] for e in logfold.entries()) == before - 2


class TestThreads:
    def test_eight_threads_of_a_million_calls_are_counted_exactly(self, logfold, progs):
        run(logfold, progs / "threads", 8, 1_000_000, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=120)
        by_template = counts(logfold, "method", "messageTemplate")
        assert by_template.pop(("printf", "worker step %ld\n")) == 8_000_000
        assert set(by_template.values()) == {100_000}
        assert len(by_template) == 16

    def test_the_hook_takes_no_lock(self, build):
        symbols = subprocess.run(["nm", "-D", "--undefined-only", build / "liblogfold-preload.so"],
                                 capture_output=True, text=True, check=True).stdout
        used = {line.split()[-1].split("@")[0] for line in symbols.splitlines()}
        forbidden = {name for name in used
                     if name.startswith(("pthread_", "mtx_", "sem_", "flock", "malloc", "calloc",
                                         "free", "realloc", "exit", "abort"))}
        assert not forbidden
        # What it does use: few names, each for a reason.  A new one deserves a look.
        assert used <= {
            "__cxa_finalize", "__environ", "environ", "__errno_location", "__gmon_start__",
            "__libc_single_threaded", "__libc_stack_end", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable",
            "__tls_get_addr", "_dl_find_object", "dlsym", "fwide", "getauxval", "getenv",
            "secure_getenv", "stderr", "stdout", "dlvsym", "__progname", "__progname_full",
            "program_invocation_name", "error_message_count", "error_one_per_line",
            "error_print_progname", "memchr", "memcmp", "memcpy", "memmove",
            "memrchr", "memset", "strchr", "strcmp", "strcspn", "strlen", "strncmp", "strnlen",
            "strspn", "wcslen", "wcsrchr", "__stack_chk_fail",
        }


class TestProcesses:
    def test_children_of_every_kind_count_once(self, logfold, progs, hooked):
        bare, under = hooked(str(progs / "forks"))
        assert under == bare
        assert total(logfold) == bare.stdout.count(b"\n")
        assert counts(logfold, "messageTemplate")[("%s prints\n",)] == 15

    def test_a_program_that_replaces_itself_counts_on(self, logfold):
        run(logfold, "bash", "-c", "echo before the change; exec bash -c 'echo after the change'")
        assert counts(logfold, "messageTemplate") == {("before the change",): 1,
                                                      ("after the change",): 1}

    def test_what_a_program_leaves_unfinished_is_counted_at_its_end(self, logfold):
        done = run(logfold, "bash", "-c", "printf 'no newline'; kill -9 $$")
        assert done.stdout == b"no newline"
        assert counts(logfold, "messageTemplate") == {("no newline",): 1}


class TestStreams:
    def test_redirection_is_noticed_and_only_the_console_is_counted(self, logfold, progs, tmp_path):
        done = run(logfold, progs / "redirect", tmp_path / "file")
        assert done.returncode == 0
        assert done.stdout == b"seen\n" * 10
        assert (tmp_path / "file").read_bytes() == b"elsewhere\n" * 9
        assert {e["messageTemplate"].strip() for e in logfold.entries()} == {"seen"}
        assert total(logfold) == 10

    def test_inner_pipes_and_files_are_data(self, logfold, tmp_path):
        script = f"echo data | tr a-z A-Z | cat; echo more >{tmp_path}/f; cat {tmp_path}/f | wc -l"
        done = run(logfold, "bash", "-c", script)
        assert done.stdout == b"DATA\n1\n"
        assert total(logfold) == 2

    def test_stderr_in_the_same_pipe_as_stdout_is_counted_too(self, logfold):
        run(logfold, "bash", "-c", "echo out; echo err >&2", stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE)
        assert total(logfold) == 2

    def test_a_runtime_that_flushes_in_the_middle_of_a_line_printed_one_line(self, logfold):
        script = "for i in range(100000): print('item', i, 'of the list')"
        done = run(logfold, "python3", "-c", script)
        assert done.stdout.count(b"\n") == 100_000
        assert counts(logfold, "messageTemplate") == {("item <*> of the list",): 100_000}

    def test_the_readme_example_is_one_entry_of_a_thousand(self, logfold, hooked):
        script = 'for i in $(seq 1000); do echo "user $i logged in"; done'
        bare, under = hooked("bash", "-c", script)
        assert under == bare
        assert counts(logfold, "messageTemplate") == {("user <*> logged in",): 1000}


class TestWithoutRun:
    """A plain LD_PRELOAD: counts wait for whoever comes."""

    def test_a_plain_preload_counts_and_the_next_ls_finds_it(self, logfold, preload):
        env = logfold.env | {"LD_PRELOAD": str(preload)}
        done = subprocess.run(["bash", "-c", "echo one; echo two; (echo three)"], env=env,
                              capture_output=True, timeout=DEADLINE_S)
        assert done.stdout == b"one\ntwo\nthree\n"
        assert total(logfold) == 3
        assert total(logfold) == 3, "and counts it once"

    def test_children_know_which_file_was_the_first_ones_console(self, logfold, preload):
        env = logfold.env | {"LD_PRELOAD": str(preload)}
        script = "bash -c 'echo data' | cat; bash -c 'echo seen'"
        subprocess.run(["bash", "-c", script], env=env, capture_output=True, timeout=DEADLINE_S)
        assert counts(logfold, "messageTemplate") == {("data",): 1, ("seen",): 1}
        assert counts(logfold, "method")[("write.1",)] == 1, "cat printed the data, not bash"

    def test_disabled_it_does_nothing(self, logfold, preload):
        env = logfold.env | {"LD_PRELOAD": str(preload), "LOGFOLD_DISABLE": "1"}
        subprocess.run(["bash", "-c", "echo one"], env=env, capture_output=True,
                       timeout=DEADLINE_S)
        assert logfold.entries() == []


class TestExports:
    def test_the_library_exports_the_table_and_nothing_else(self, build):
        table = subprocess.run(["sh", "agent/hook/exports.sh", "names",
                                "agent/hook/interposed.def"], capture_output=True, text=True,
                               check=True).stdout.split()
        symbols = subprocess.run(["nm", "-D", "--defined-only", build / "liblogfold-preload.so"],
                                 capture_output=True, text=True, check=True).stdout
        assert sorted(line.split()[-1].split("@")[0] for line in symbols.splitlines()
                      if " A " not in line) == sorted(table)

    def test_every_twin_that_libc_has_of_a_call_we_take_is_taken(self):
        """Of the families in the table: names that differ by decoration only."""
        table = set(subprocess.run(["sh", "agent/hook/exports.sh", "names",
                                    "agent/hook/interposed.def"], capture_output=True, text=True,
                                   check=True).stdout.split())
        libc = subprocess.run(["bash", "-c", "ldd /bin/bash | awk '/libc.so/ {print $3}'"],
                              capture_output=True, text=True, check=True).stdout.strip()
        symbols = subprocess.run(["nm", "-D", "--defined-only", libc], capture_output=True,
                                 text=True, check=True).stdout
        exported = {line.split()[-1].split("@")[0] for line in symbols.splitlines()}
        families = {"printf", "fprintf", "vprintf", "vfprintf", "dprintf", "vdprintf", "puts",
                    "fputs", "fputc", "putc", "putchar", "fwrite", "write", "writev"}

        def plain(name):
            name = name.removeprefix("_IO_").lstrip("_")
            return name.removesuffix("_chk").removesuffix("_unlocked")

        assert {name for name in exported if plain(name) in families} - table == set()


class TestSharedMemory:
    """Children that run in their parent's memory: vfork, posix_spawn."""

    def test_a_child_that_prints_first_counts_for_its_parent_which_counts_on(self, logfold, tmp_path):
        broken = tmp_path / "broken"
        broken.write_text("#!/no/such/interpreter\n")
        broken.chmod(0o755)
        script = f"{broken}; for i in 1 2 3 4 5; do echo one line; done"
        done = run(logfold, "dash", "-c", script)
        assert done.stdout == b"one line\n" * 5
        assert total(logfold) == 5 + done.stderr.count(b"\n") == 6

    def test_a_childs_redirection_does_not_end_its_parents_line(self, logfold):
        script = ("import subprocess, sys\n"
                  "for i in range(5):\n"
                  "    sys.stdout.write('Checking ... '); sys.stdout.flush()\n"
                  "    subprocess.run(['true'], stdout=subprocess.PIPE)\n"
                  "    print('ok', flush=True)\n")
        done = run(logfold, "python3", "-c", script)
        assert done.stdout == b"Checking ... ok\n" * 5
        assert counts(logfold, "messageTemplate") == {("Checking ... ok",): 5}
