"""What a program may be built as, started in or do to itself, and still is the same under the hook.

    setuid, privileges given up, chroot       TestPrivileges
    seccomp, entered or inherited             TestSandboxes
    limits: file size, fds, memory, stack     TestLimits
    nowhere to count to, a full disk          TestNowhere
    static, 32-bit, sanitizers, other         TestBuilds
    allocators, preloads, RTLD_DEEPBIND
    traced, in namespaces, in no directory    TestAround

Closed and redirected fds, /dev/full, broken pipes: test_one_liners.py.  vfork, _Fork, clone,
posix_spawn, close_range: test_torture.py.  Not tested is what README.md, Limits, says a preload cannot
be in: a 32-bit program that is dynamically linked, where the 32-bit loader itself says on stderr that
it ignores the library; Go programs and those of another machine, which are as static ones.
"""

import glob
import os
import pathlib
import platform
import re
import subprocess

import pytest

from harness import BUILD, ROOT, compare, harness, need, tally  # noqa: F401

SANDBOX = BUILD / "progs" / "sandbox"
NOBODY = 65534
PIPES, ALONE = ("pipes",), ("pipes", "files")  # each stream for itself
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

PRINTING = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	for (int i = 0; i < 200; i++)
		printf("row %d of %s\n", i, "some");
	fprintf(stderr, "error %d\n", argc);
	fflush(stdout);
	return write(1, "raw\n", 4) == 4 ? 3 + !argv[0] : 1;
}
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """compiled(source, option, …) → the program; each once."""
    folder = tmp_path_factory.mktemp("compiled")
    for above in (folder, folder.parent, folder.parent.parent):
        above.chmod(0o755)
    made = {}

    def make(source, *options):
        key = (source, *options)
        if key not in made:
            made[key] = folder / f"program-{len(made)}"
            done = subprocess.run(["gcc", "-O1", "-g", "-o", made[key], "-x", "c", "-", *options], input=source,
                                  text=True, capture_output=True)
            assert done.returncode == 0, done.stderr
        return made[key]
    return make


class TestPrivileges:
    @ROOT_ONLY
    def test_a_setuid_program_runs_without_the_hook_and_says_nothing_of_it(self, compare, compiled):  # noqa: F811
        program = compiled(PRINTING + "/* setuid */")
        program.chmod(0o4755)
        whoami = compiled("#include <stdio.h>\n#include <unistd.h>\n#include <sys/auxv.h>\n"
                          'int main(void) { printf("%d %d %lu\\n", getuid(), geteuid(), getauxval(AT_SECURE)); return 0; }')
        whoami.chmod(0o4755)
        become = lambda: os.setuid(NOBODY)  # noqa: E731
        seen = compare(whoami, become=become, counts=False, name="setuid whoami")
        assert seen.stdout == b"65534 0 1\n", "it is one, on this file system"
        compare(program, become=become, counts=False, name="setuid")

    @ROOT_ONLY
    def test_a_program_that_gives_up_its_privileges_prints_on(self, compare):  # noqa: F811
        for before in ("print 'before', \"\\n\";", ""):
            compare("perl", "-e", "$| = 1;" + before + "$) = $( = 65534; $> = $< = 65534; print \"uid $<\\n\" for 1..9; "
                    "print STDERR \"e $_\\n\" for 1..400; open F, '>', '/etc/no' or print \"$!\\n\"; system 'id -u'",
                    counts=None, name="perl setuid " + before)

    @ROOT_ONLY
    def test_a_program_in_a_chroot_prints_on(self, compare):  # noqa: F811
        for before in ("print \"before\\n\";", ""):
            compare("perl", "-e", "$| = 1;" + before + "chroot 'sub' or die; chdir '/'; print <deep/*>, \"\\n\"; "
                    "print STDERR \"word \", chr(97 + $_ % 26) x ($_ / 26 + 1), \"\\n\" for 1..400; die 'end'",
                    counts=None, name="perl chroot " + before)

    @ROOT_ONLY
    def test_another_user_than_the_run_directorys_prints_uncounted(self, compare):  # noqa: F811
        compare("bash", "-c", "echo $UID; ls nosuch; seq 10", become=lambda: os.setuid(NOBODY),
                counts=False, name="bash of another user")


class TestSandboxes:
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("how", ["strict", "prctl", "seccomp", "errno"])
    def test_a_filter_that_kills_for_what_the_program_does_not_need_kills_no_one(self, how, when, compare):  # noqa: F811
        seen = compare(SANDBOX, how, when, name=f"sandbox {how} {when}")
        assert seen.status == 7

    def test_a_sandbox_that_is_refused_leaves_the_hook_as_it_was(self, compare, harness):  # noqa: F811
        script = ("import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\n"
                  "print(c.prctl(22, 2, 0, 0, 0), ctypes.get_errno(), c.syscall(317, 1, 0, 0), ctypes.get_errno(), flush=True)\n"
                  "if not os.fork(): print('a child', flush=True); os._exit(0)\n"
                  "os.wait()\n[print('w' * n) for n in range(1, 500)]")
        compare("/usr/bin/python3", "-c", script, on=PIPES, under=("run",), name="sandbox refused")
        listed = subprocess.run(["sqlite3", harness.base / "state/logfold/entries.db",
                                 "select countTotal from entries where messageTemplate = 'a child'"],
                                capture_output=True, text=True)
        assert listed.stdout == "1\n", "a child is counted, so nothing was sealed"

    def test_an_inherited_filter_needs_to_allow_what_the_readme_lists(self, compare):  # noqa: F811
        listed = re.search(r"started under a seccomp filter must be allowed(.*?)\.\n",
                           (ROOT / "README.md").read_text(), re.S)[1]
        names = set(re.findall(r"`(\w+)`", listed))
        assert "fallocate" in names
        # What ld.so and echo themselves ask for.
        names |= set("read write close openat newfstatat fstat mmap mprotect munmap pread64 brk access arch_prctl "
                     "set_tid_address set_robust_list rseq prlimit64 getrandom futex exit_group execve ioctl "
                     "lseek fadvise64".split())
        defined = subprocess.run(["gcc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
                                 capture_output=True, text=True, check=True).stdout
        numbers = [n for name, n in re.findall(r"#define __NR_(\w+) (\d+)$", defined, re.M) if name in names]
        for command in (["/bin/echo", "hi"], ["/bin/cat", "fruit", "nosuch"], ["/usr/bin/seq", "2000"]):
            seen = compare(SANDBOX, ",".join(numbers), "before", *command, under=("preload", "daemon"),
                           name=f"filtered {command[0]}")
            assert seen.status >= 0, "the list is enough for the bare program"


LIMITED = {
    "file size 0": "ulimit -f 0; ls; perl -e 'print 1'; seq 2000 | tail -n1; echo x",
    "file size 1": "ulimit -f 1; ls; perl -e 'print 1'; seq 2000 | tail -n1; (cat bytes >copy; exit $?) 2>/dev/null; echo $?",
    "no fd to spare": "ulimit -n 4; ls; echo x; exec 3<fruit; read a <&3; echo $a; exec 3<&-; cat fruit",
    "little memory": "ulimit -v 12000; ls; seq 100 | tail -n1; sort fruit; echo x",
    "small stack": "ulimit -s 128; ls; perl -e 'printf \"%s\\n\", \"x\" x 9000'; mawk 1 fruit; awk nosuch",
    "no locked memory": "ulimit -l 0; ls; python3 -c 'print(1)'",
    "few processes": "ulimit -u 5000; (echo a); ls | cat",
    "cpu": "ulimit -t 1; ls; echo x",
    "no core": "ulimit -c 0; (perl -e 'print \"x\\n\"; kill 11, $$'; exit $?) 2>/dev/null; echo $?",
}


class TestLimits:
    @pytest.mark.parametrize("name", LIMITED)
    def test_under_a_limit_of(self, name, compare):  # noqa: F811
        if name.startswith("file size"):  # which holds for stdout, too
            compare("bash", "-c", LIMITED[name], counts=None, on=("pipes", "terminal"), under=("preload",))
        else:
            compare("bash", "-c", LIMITED[name], under=("preload", "daemon"), counts=None)


COMMANDS_ANYWHERE = (
    ("bash", "-c", "for i in 1 2 3; do echo line $i; done; ls nosuch; seq 200; exit 4"),
    ("perl", "-e", "print \"$_\\n\" for 1..300; warn 'w'; if (!fork) { print 'c'; exit } wait; die"),
    ("/usr/bin/python3", "-c", "import os; print('a', flush=True); os.fork() or os._exit(0); os.wait(); print(1 / 0)"),
    ("mawk", "{ print $2; print > \"/dev/stderr\" }", "fruit"),
    ("sqlite3", ":memory:", "select 1; select nosuch"),
    ("git", "init"),
)


class TestNowhere:
    @pytest.mark.parametrize("way", ["nowhere", "full", "unwritable"])
    def test_a_program_that_cannot_be_counted_is_left_alone(self, way, compare, harness):  # noqa: F811
        folder = harness.base / way
        if way == "unwritable":
            folder.mkdir()
            (folder / "run").write_text("a file, not a directory")
            harness.ways["nowhere"], way = folder / "run", "nowhere"
        if way == "full":
            if os.geteuid() != 0:
                pytest.skip("needs root to mount a disk that is full")
            folder.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", folder], check=True)
            (folder / "run").mkdir(mode=0o700)
            (folder / "fill").write_bytes(b"x" * 16384)
        try:
            for command in COMMANDS_ANYWHERE:
                compare(*command, under=(way,), name=f"{command[0]} with a run directory {way}")
        finally:
            harness.ways.pop("nowhere", None)
            if way == "full":
                subprocess.run(["umount", folder], check=True)


THREADS = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *work(void *nothing)
{
	for (int i = 0; i < 300; i++) {
		char *copy = strdup("the same line");
		printf("%s\n", copy);
		fputs("the same error\n", stderr);
		free(copy);
	}
	return nothing;
}
int main(void)
{
	pthread_t threads[4];
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return 5;
}
"""
FAULTY = THREADS.replace("return 5;", r"""
	volatile int shift = 40;
	printf("%d\n", 1 << shift);
	fflush(stdout);
	char *volatile gone = malloc(10);
	free(gone);
	return gone[2];""")

# What another interposer does, before or behind the hook.
ANOTHER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
ssize_t write(int fd, const void *data, size_t len)
{
	ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
	return next(fd, data, len);
}
int puts(const char *text)
{
	int (*next)(const char *) = dlsym(RTLD_NEXT, "puts");
	return next(text);
}
int printf(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int result = vfprintf(stdout, format, args);
	va_end(args);
	return result;
}
__attribute__((constructor)) static void start(void) { write(2, "another is there\n", 17); }
"""
# Both on the same strings, whose ends and beginnings lie beside pages that cannot be read.
BYTES = r"""
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <wchar.h>
#define BOTH(result, name, ...) extern result own_##name(__VA_ARGS__);
BOTH(void *, memcpy, void *, const void *, size_t) BOTH(void *, memmove, void *, const void *, size_t)
BOTH(void *, memset, void *, int, size_t) BOTH(int, memcmp, const void *, const void *, size_t)
BOTH(void *, memchr, const void *, int, size_t) BOTH(void *, memrchr, const void *, int, size_t)
BOTH(size_t, strlen, const char *) BOTH(size_t, strnlen, const char *, size_t)
BOTH(char *, strchr, const char *, int) BOTH(int, strcmp, const char *, const char *)
BOTH(int, strncmp, const char *, const char *, size_t) BOTH(size_t, strspn, const char *, const char *) BOTH(size_t, strcspn, const char *, const char *)
BOTH(size_t, wcslen, const wchar_t *) BOTH(wchar_t *, wcsrchr, const wchar_t *, wchar_t)
#define SAME(ours, libcs) \
	do { if ((ours) != (libcs)) { printf("%s, round %d, %zu bytes\n", #ours, round, len); return 1; } } while (0)
static int sign(int n) { return (n > 0) - (n < 0); }
static char *room(void)
{
	char *all = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(all + 4096, 4096, PROT_READ | PROT_WRITE);
	return all + 4096;
}
int main(void)
{
	char *one = room(), *two = room(), a[300], b[300];
	srandom(1);
	for (int round = 0; round < 200000; round++) {
		size_t len = (size_t)random() % (round % 4 ? 40 : 250);
		char *s = round & 1 ? one : one + 4096 - len, *t = round & 2 ? two : two + 4096 - len;
		int c = "xyz\0\x80\xff\x01"[random() % 7];
		for (size_t i = 0; i < len; i++)
			s[i] = "xxxxyz\0\x80\xff\x01"[random() % 10];
		SAME(own_memcpy(t, s, len), (void *)t);
		SAME(memcmp(t, s, len), 0);
		if (len && random() % 3)
			t[(size_t)random() % len] ^= (char)random();
		SAME(sign(own_memcmp(s, t, len)), sign(memcmp(s, t, len)));
		SAME(own_memchr(s, c, len), memchr(s, c, len));
		SAME(own_memrchr(s, c, len), memrchr(s, c, len));
		SAME(own_strnlen(s, len), strnlen(s, len));
		if (len >= 4) {
			size_t from = (size_t)random() % len, to = (size_t)random() % len;
			size_t some = (size_t)random() % (len - (from > to ? from : to));
			memcpy(a, s, len), memcpy(b, s, len);
			SAME(own_memmove(a + to, a + from, some), (void *)(a + to));
			memmove(b + to, b + from, some);
			SAME(memcmp(a, b, len), 0);
			own_memset(a + from, c, len - from), memset(b + from, c, len - from);
			SAME(memcmp(a, b, len), 0);
			s[len - 1] = t[len - 1] = 0;
			SAME(own_strlen(s), strlen(s));
			SAME(own_strchr(s, c), strchr(s, c));
			SAME(sign(own_strcmp(s, t)), sign(strcmp(s, t)));
			SAME(sign(own_strncmp(s, t, from)), sign(strncmp(s, t, from)));
			SAME(own_strspn(s, "xz\x80"), strspn(s, "xz\x80"));
			SAME(own_strcspn(s, "xz\x80"), strcspn(s, "xz\x80"));
			if (((uintptr_t)s & 3) == 0) {
				memset(s + len / 4 * 4 - 4, 0, 4);
				SAME(own_wcslen((wchar_t *)s), wcslen((wchar_t *)s));
				SAME(own_wcsrchr((wchar_t *)s, *(wchar_t *)s), wcsrchr((wchar_t *)s, *(wchar_t *)s));
			}
		}
	}
	return 0;
}
"""
ALLOCATORS = ("jemalloc", "tcmalloc_minimal")


def library(name):
    found = sorted(glob.glob(f"/usr/lib/*/lib{name}.so.*") + glob.glob(f"/usr/lib*/lib{name}.so.*"))
    if not found:
        pytest.fail(f"lib{name} is not installed: `make test-deps` installs it")
    return found[0]


class TestBuilds:
    def test_a_static_program_is_never_loaded_into(self, compare, compiled):  # noqa: F811
        compare(compiled(PRINTING, "-static"), counts=False, name="static")

    @pytest.mark.skipif(platform.machine() != "x86_64", reason="32-bit programs of x86")
    def test_a_static_32_bit_program_is_never_loaded_into(self, compare, compiled):  # noqa: F811
        program = compiled(r"""
void _start(void)
{
	static const char text[] = "32 bits\n";
	int written;
	__asm__ volatile("int $0x80" : "=a"(written) : "a"(4), "b"(1), "c"(text), "d"(8) : "memory");
	__asm__ volatile("int $0x80" : : "a"(1), "b"(written));
}
""", "-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector")
        assert compare(program, counts=False, name="32-bit").status in (8, -11), "or the kernel has no such calls"

    @pytest.mark.parametrize("options", [("-fsanitize=address",), ("-fsanitize=undefined",), ("-fsanitize=thread",),
                                         ("-fsanitize=address,undefined", "-static-libasan"),
                                         ("-fsanitize=leak",)], ids=lambda options: options[0][11:] + " static" * (len(options) - 1))
    def test_a_program_with_a_sanitizer_runs_and_reports_the_same(self, options, compare, compiled):  # noqa: F811
        # Where it is built shared, AddressSanitizer itself refuses whatever is preloaded before it.
        order = ":verify_asan_link_order=0" if options == ("-fsanitize=address",) else ""
        env = {"ASAN_OPTIONS": "exitcode=9" + order, "TSAN_OPTIONS": "exitcode=9"}
        command = [compiled(THREADS, *options)]
        if options == ("-fsanitize=leak",):
            # Of a thread that ends just when it looks, it says so, with and without us.
            command = ["sh", "-c", '"$0" 2>said; status=$?; grep -v "Unable to get registers" said >&2; rm said; exit $status',
                       *command]
        compare(*command, env=env, on=ALONE, under=("preload", "daemon"), name=f"{options[0]} threads")
        if "address" in options[0]:
            compare("sh", "-c", '"$0" 2>faults; echo $?; grep -c . faults >/dev/null; grep -o "runtime error.*" faults; '
                    'grep -o "ERROR: AddressSanitizer: heap-use-after-free" faults; rm faults',
                    compiled(FAULTY, *options), env=env, name=f"{options[0]} faulty")

    @pytest.mark.parametrize("order", ["{hook}:%s", "%s:{hook}"], ids=["before", "behind"])
    @pytest.mark.parametrize("name", ALLOCATORS)
    def test_an_allocator_preloaded_too_gets_along(self, name, order, compare, compiled):  # noqa: F811
        preload = order % library(name)
        compare(compiled(THREADS), preload=preload, on=ALONE, under=("preload", "daemon"), name=f"{name} {order[:3]}")
        compare("bash", "-c", "for i in {1..50}; do echo $i; done; seq 50; (echo sub)", preload=preload, under=("preload",),
                name=f"bash {name} {order[:3]}")
        compare(BUILD / "progs" / "torture", "7", "20", preload=preload, under=("preload", "daemon"),
                name=f"torture {name} {order[:3]}")

    @pytest.mark.parametrize("order", ["{hook}:%s", "%s:{hook}"], ids=["before", "behind"])
    def test_another_library_that_interposes_the_same_calls_gets_along(self, order, compare, compiled):  # noqa: F811
        preload = order % compiled(ANOTHER, "-shared", "-fPIC")
        compare(compiled(PRINTING), preload=preload, under=("preload", "daemon"), name=f"interposer {order[:3]}")
        compare("bash", "-c", "echo x; seq 3; perl -e 'print 1'", preload=preload, under=("preload",), name=f"bash interposer {order[:3]}")

    def test_a_library_bound_deep_passes_uncounted(self, compare, compiled):  # noqa: F811
        deep = compiled('#include <stdio.h>\nint deep(int n) { return printf("deep %d\\n", n) + fflush(stdout); }', "-shared", "-fPIC")
        compare("/usr/bin/python3", "-c", "import ctypes, os, sys\nsys.stdout.flush()\n"
                "d = ctypes.CDLL(sys.argv[1], mode=os.RTLD_DEEPBIND | os.RTLD_NOW)\nprint(d.deep(5), flush=True)\n"
                "d = ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)\nprint(d.deep(6))", deep, name="RTLD_DEEPBIND")

    def test_the_library_calls_nothing_of_the_hosts_that_sees_its_memory(self):
        for name in ("liblogfold-preload.so", "liblogfold.so"):
            listed = subprocess.run(["nm", "-D", "--undefined-only", BUILD / name], capture_output=True, text=True,
                                    check=True).stdout
            assert re.findall(r" U ((?:mem|str|wcs|wmem)\w*)", listed) == [], "agent/hook/stub_bytes.c has its own"

    def test_its_own_functions_on_bytes_do_what_libcs_do(self, compiled, tmp_path):
        flags = ["-O2", "-ffreestanding", "-fno-tree-loop-distribute-patterns", "-I", ROOT]
        own = tmp_path / "bytes.o"
        subprocess.run(["gcc", *flags, "-D_GNU_SOURCE", "-c", "-o", own, ROOT / "agent/hook/stub_bytes.c"], check=True)
        subprocess.run(["objcopy", "--prefix-symbols=own_", own], check=True)
        done = subprocess.run([compiled(BYTES, "-fno-builtin", "-x", "none", str(own))], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout

    def test_programs_of_other_makes_run_the_same(self, compare, compiled):  # noqa: F811
        for options in (("-O0",), ("-O3", "-D_FORTIFY_SOURCE=2"), ("-no-pie",), ("-static-pie",), ("-Wl,-z,now",), ("-s",),
                        ("-pthread", "-rdynamic"), ("-fcf-protection=full",), ("-Wl,--hash-style=sysv",), ("-pg",)):
            compare(compiled(PRINTING, *options), on=PIPES, counts=None if "static" in options[0] else True,
                    files={}, env={"GMON_OUT_PREFIX": "/dev/null/"}, name=f"gcc {options[0]}")


AROUND = {
    "valgrind": ("valgrind", "-q", "--log-file=/dev/null", "/bin/echo", "inside valgrind"),
    "user namespace": ("unshare", "-Ur", "sh", "-c", "id -u; seq 3"),
    "pid namespace": ("unshare", "-Urpf", "--mount-proc", "sh", "-c", "echo $$; ls; seq 3"),
    "mount namespace": ("unshare", "-Urm", "sh", "-c", "mount -t tmpfs none sub && ls sub; seq 3"),
    "no /proc": ("unshare", "-Urm", "sh", "-c", "mount -t tmpfs none /proc && ls /proc; seq 300"),
    "deleted directory": ("sh", "-c", "mkdir gone; cd gone; rmdir ../gone; ls; seq 3; cat ../fruit; echo x"),
    "no environment": ("env", "-i", "sh", "-c", "echo x; seq 3"),
    "much environment": ("sh", "-c", "export A=$(head -c 100000 /dev/zero | tr '\\0' x); seq 3; echo $A | wc -c"),
    "loader called": ("/bin/sh", "-c", "for l in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do [ ! -e $l ] || $l /bin/echo loaded; done"),
    "deleted program": ("sh", "-c", "cp /bin/echo e; ./e before; (sleep 0; rm e; seq 3); cp /bin/cat c; (exec 3<c; rm c; /proc/self/fd/3 fruit)"),
    "a read-only library path": ("sh", "-c", "ldd /bin/true | wc -l >/dev/null; LD_BIND_NOW=1 ls; LD_LIBRARY_PATH=/nosuch ls"),
    "stopped and continued": ("bash", "-c", "(for i in 1 2 3; do echo $i; done; kill -STOP $BASHPID; echo on) & "
                              "until [[ $(ps -o state= -p $!) == T ]]; do :; done; kill -CONT $!; wait $!; echo $?"),
}


class TestAround:
    @pytest.mark.parametrize("name", AROUND)
    def test_in(self, name, compare):  # noqa: F811
        need(AROUND[name][0])
        # `logfold run` says of a process in another pid namespace that it may still run.
        under = ("preload", "daemon") + ("run",) * (name != "pid namespace")
        on = PIPES if name == "valgrind" else ("pipes", "files", "terminal")
        compare(*AROUND[name], on=on, under=under, counts=None, name=name)
