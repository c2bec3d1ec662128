"""Shells, interpreters and tools, with and without the hook: on pipes, in files, on a terminal."""

import shutil

import pytest

from harness import FILES, SUITES, compare, harness, need, tally  # noqa: F401

PY = "/usr/bin/python3"


def sh(script):
    return ("sh", "-c", script)


def bash(script):
    return ("bash", "-c", script)


COMMANDS = {
    # shells
    "bash loop": bash("for i in {1..300}; do echo line $i; printf '%05d|%s\\n' $i x >&2; done"),
    "bash job control": bash("(sleep 0; echo a) & wait; { echo b; sleep 0; } | cat; echo c | cat >&2; "
                             "{ exit 2; } | exit 3; echo ${PIPESTATUS[*]}"),
    "bash redirections": bash("exec 3>&1; echo x >&3; exec 1>out; echo into; exec 1>&3 3>&-; cat out; "
                              "echo appended >>out; : >|empty; echo both &>both; ls -1"),
    "bash substitution": bash("x=$(echo one; echo two >&2); echo \"<$x>\"; diff <(echo a) <(echo b); mapfile -t a <fruit; "
                              "echo ${#a[@]} \"${a[1]}\""),
    "bash coprocess": bash("coproc { read l; echo \"got $l\"; }; echo hi >&${COPROC[1]}; read r <&${COPROC[0]}; echo $r"),
    "bash errors": bash("nosuch; cd /nosuch; echo $?; ((1/0)); echo ${!x}; declare -r r=1; r=2; echo after"),
    "bash trace": bash("set -x; PS4='> '; f() { echo $1; }; f 1; f 2"),
    "bash traps": bash("trap 'echo int' INT; trap 'echo bye' EXIT; kill -INT $$; echo end; exit 7"),
    "bash killed": bash("echo before; kill -TERM $$; echo never"),
    "bash builtins": bash("type cd; help true; printf '%q %b\\n' 'a b' 'c\\td'; trap -l; ulimit -n; times >/dev/null"),
    "bash echo closed": bash("echo x >&-; echo $?; echo y 2>&- >&2; echo $?; exec >&-; echo z; exit $?"),
    "bash full": bash("echo x >/dev/full; echo $?; printf y >/dev/full; echo $?"),
    "dash loop": ("dash", "-c", "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done; printf '%x\\n' 255; echo e >&2"),
    "dash here-document": ("dash", "-c", "cat <<E\none $((1+1))\nE\necho no end | tr -d '\\n'"),
    "sh script": ("./script.sh", "a", "b"),
    "sh on stdin": ("sh",),
    "env": sh("env -i /bin/echo in an empty environment; env A=1 printenv A; env -u HOME nosuch; echo $?"),
    "nohup": sh("nohup echo hi; nohup nosuch; echo $?"),
    "timeout": ("timeout", "-s", "KILL", "0.5", "sh", "-c", "echo started; sleep 30"),
    "nice, setsid, stdbuf": sh("nice -n 1 echo a; setsid -w echo b; stdbuf -o0 printf 'c\\nd'; stdbuf -oL seq 3"),
    # interpreters
    "python prints": (PY, "-c", "import sys\nfor i in range(1000): print('row', i)\nprint('e', file=sys.stderr, end='')"),
    "python unbuffered": (PY, "-u", "-c", "import os,sys\nprint('a', 1)\nos.write(1, b'\\xff\\0')\nos.writev(2, [b'x', b'y'])\nsys.exit('bye')"),
    "python traceback": (PY, "-c", "def f(n): return f(n - 1) if n else 1 / 0\nf(3)"),
    "python children": (PY, "-c", "import subprocess as s\nprint(s.run('echo out; echo err >&2; exit 4', shell=True).returncode, flush=True)\n"
                                  "print(s.check_output(['cat', 'fruit']))"),
    "python multiprocessing": (PY, "-c", "import multiprocessing as m\nif __name__ == '__main__':\n"
                                         " with m.get_context('fork').Pool(2) as p: print(p.map(abs, range(-20, 0)))"),
    "python threads": (PY, "-c", "import threading as t, sys\nl = t.Lock()\ndef f(n):\n for i in range(100):\n"
                                 "  with l: sys.stdout.write('same\\n')\n"
                                 "ts = [t.Thread(target=f, args=(i,)) for i in range(8)]\n[x.start() for x in ts]; [x.join() for x in ts]"),
    "python ctypes": (PY, "-c", "import ctypes\nc = ctypes.CDLL(None)\nprint(c.printf(b'%s %d\\n', b'libc', 5), c.puts(b'puts'), flush=True)\n"
                                "c.fflush(None)\nprint(c.write(1, None, 3), c.write(77, b'x', 1))"),
    "python fault": bash(f"ulimit -c 0; {PY} -X faulthandler -c $'import os\nprint(1, flush=True)\nos.abort()' 2>&1 | sed 's/0x[0-9a-f]*//'; "
                         "echo ${PIPESTATUS[0]}"),
    "python -m": sh(f"{PY} -m json.tool --help; echo '[1,{{\"a\":2}}]' | {PY} -m json.tool; {PY} -m base64 -e fruit"),
    "perl prints": ("perl", "-e", r'for (1..500) { print "line $_\n"; printf STDERR "%s\n", $_ if $_ % 50 == 0 } warn "w"; die "d"'),
    "perl processes": ("perl", "-e", r'$|=1; print "a"; unless (fork) { print "child\n"; exit 3 } wait; print $? >> 8, "\n"; '
                       r'print `cat fruit`; open F, "|-", "tr a-z A-Z"; print F "loud\n"; close F; exec "echo", "last"'),
    "perl files": ("perl", "-pi.bak", "-e", "s/pears/figs/", "fruit"),
    "perl dup": ("perl", "-e", r'open O, ">&", STDOUT; close STDOUT; open STDOUT, ">", "kept"; print "to file\n"; print O "to console\n"; '
                 r'syswrite STDERR, "raw\n"; binmode O, ":utf8"; print O chr 0x20ac'),
    "mawk": ("mawk", '{ s[$1] += $2 } END { for (k in s) print k, s[k] | "sort"; close("sort"); printf "%5.2f\\n", 3.14159; print "e" > "/dev/stderr" }', "fruit"),
    "awk to files": ("mawk", '{ print > $1 ".txt"; print NR > "/dev/stderr" } END { close("pears.txt"); system("ls *.txt") }', "fruit"),
    "lua": ("lua5.4", "-e", "for i = 1, 200 do print('row', i) end io.stderr:write('e\\n') io.write('no end') error('bad')"),
    "tcl": ("tclsh",),
    "bc-like expr": sh("expr 6 \\* 7; expr abc : 'a\\(.\\)'; factor 360 97; numfmt --to=iec 123456; seq -w 8 11"),
    # tools
    "sed": sh("sed -n '2p;$=' fruit; sed -i.orig 's/3/three/' fruit; sed 's/x/y' fruit; sed -u p numbers | tail -n2; sed 'w copy' other"),
    "grep": sh("grep -n pears fruit other; grep -c . numbers; grep -q nothing fruit; echo $?; grep -r leaf . ; grep --color=always a fruit; grep x nosuch"),
    "find": sh("find . -type f | sort; find . -name leaf -exec cat {} +; find . -empty -print0 | od -c; find /nosuch"),
    "find printf": sh("find . -type f -printf '%f %s %m\\n' | sort; find sub -depth -delete; ls"),
    "xargs": sh("cut -d' ' -f1 fruit | xargs -n1 echo item; seq 20 | xargs -n5 -t echo; echo x | xargs false; echo $?"),
    "tar": sh("tar -cvf a.tar --mtime=@0 --owner=0 --group=0 --sort=name sub fruit; tar -tvf a.tar; rm -r sub; tar -xf a.tar; cat sub/deep/leaf; tar -xf nosuch.tar"),
    "gzip": sh("gzip -nkv fruit; zcat fruit.gz; gzip -t bytes; gzip -dc <fruit.gz | cmp - fruit && echo same; gzip -l fruit.gz | awk '{print $1,$2}'"),
    "openssl": sh("openssl dgst -sha256 fruit; openssl enc -aes-128-cbc -K 00112233445566778899aabbccddeeff -iv 0 -in fruit | base64; "
                  "openssl nosuch; openssl asn1parse -in fruit 2>/dev/null; echo $?; openssl prime 97"),
    "sqlite3": ("sqlite3", "-header", "-column", "new.db", "create table t(a, b); insert into t values (1, 'x'), (2, null); select * from t; "
                ".dump", "select * from nosuch"),
    "sqlite3 script": ("sqlite3", ":memory:"),
    "git": sh("git init -q -b main r; cd r; cp ../fruit .; git add .; git commit -qm first; git log --stat; git mv fruit f; git status --short; "
              "git diff --cached; git commit -m second; git nosuch; git rev-parse HEAD; rm .git/index"),
    "make": sh("cat >Makefile; make; make -j2 one; make -n two; make three; make nosuch; make -s one 2>&1 >&- | wc -l"),
    "gcc": sh("printf '#include <stdio.h>\\nint main(void){int x;puts(\"hi\");fprintf(stderr,\"e\");return 4;}' >h.c; gcc -Wall -o h h.c; ./h; echo $?; "
              "printf 'int main(){return y;}' | gcc -xc -; gcc -E -P h.c | tail -n1; gcc --version; rm h"),
    "redis versions": sh("redis-cli --version; redis-server --version | cut -c-12; redis-cli -p 1 ping; redis-server --nosuch 2>&1 | tail -n2 | head -n1; echo done"),
    "ls": sh("ls -1; ls -C /usr/bin | head -n200; ls -lnd --time-style=+ sub fruit; ls nosuch; ls --color=always -F"),
    "cat": sh("cat fruit - other <numbers | md5sum; cat -A bytes; cat -n fruit; cat nosuch fruit; cat bytes"),
    "sort": sh("sort -n numbers | md5sum; sort -k2n fruit; sort -u fruit other; sort -c numbers; sort -o sorted numbers; sort nosuch"),
    "diff": sh("diff fruit other; diff -u --label a --label b fruit other; diff -y -W40 fruit other; diff -r sub .; cmp fruit other; comm fruit other"),
    "od": sh("od -c bytes | head -n40; od -An -tx4 -N64 bytes; hexdump -C bytes | tail -n3; xxd bytes 2>/dev/null | tail -n1; base64 bytes | tail -n1"),
    "printf": sh("/usr/bin/printf '%s %5d %x %e|%-8s|\\n' a 42 255 3.5 l; /usr/bin/printf '\\101\\x42\\n'; /usr/bin/printf '%d\\n' nan; printf 'no end'"),
    "dd": sh("dd if=bytes of=part bs=100 count=7 skip=2 status=noxfer; dd if=/dev/zero of=/dev/full bs=1 count=1 status=none; dd if=bytes bs=512 count=3 status=none"),
    "tee": sh("echo x | tee a b /dev/stderr; echo y | tee -a a; cat a b; echo z | tee /dev/full; echo $?"),
    "head and tail": sh("head -n3 numbers; tail -n2 numbers; head -c5 bytes; tail -c+250 fruit; split -l300 numbers part-; wc -l part-* numbers; csplit -s fruit 2; cat xx01"),
    "text tools": sh("cut -d' ' -f2 fruit; paste fruit other; join <(:) fruit 2>/dev/null; tr a-z A-Z <fruit; uniq -c fruit; nl fruit; fold -w4 fruit; rev fruit; tac fruit; "
                     "fmt -w10 fruit; pr -t -2 fruit; expand fruit; column -t fruit; shuf --random-source=bytes fruit; tsort <fruit"),
    "sums": sh("md5sum fruit other >sums; md5sum -c sums; sha256sum bytes; cksum bytes; echo x >fruit; md5sum -c sums; b2sum nosuch"),
    "files": sh("cp -rv sub copy; mv -v copy moved; ln -sv fruit link; ln fruit hard; mkdir -m 700 -v d; chmod -v 600 fruit; touch t; rm -v t; rmdir d; "
                "stat -c '%n %a %h' fruit; readlink -f link | xargs basename; mkfifo p; install -m 640 -v other inst; truncate -s 10 other; du -b other; rm nosuch"),
    "processes": sh("ps -o comm= -p $$; pgrep -x no-such-program; echo $?; kill -l TERM; (exit 5) & wait $!; echo $?; sleep 0; pidof no-such-program; free -V; uptime -V"),
    "watch and top": sh("top -v 2>&1 | head -n1; vmstat -V; which sh; whoami; id -u; uname; nproc >/dev/null; tty; date -u -d @0; cal 2020 2>/dev/null | head -n2; true; false"),
    "open files": sh("ls /proc/self/fd; perl -e 'open F, \"fruit\"; print fileno F, \"\\n\"'; umask; perl -e 'printf \"%s\\n\", $SIG{PIPE} // \"default\"; "
                     "print STDERR \"x\"; open F, \">\", \"made\"'; grep -E '^Sig(Ign|Blk|Cgt)' /proc/self/status"),
    "script": sh("script -qec 'echo on a terminal; test -t 1 && echo yes; ls -1' /dev/null </dev/null"),
    "broken pipe": bash("seq 1000000 | head -n1; echo ${PIPESTATUS[*]}; (trap '' PIPE; seq 100000; echo $? >&2) | true; yes | head -n2; yes | true; echo ${PIPESTATUS[*]}"),
    "full device": sh("for c in 'seq 3' 'ls' 'cat fruit' 'echo x' 'sed p fruit' 'grep . fruit' 'sort fruit' 'mawk 1 fruit' 'perl -pe1 fruit' 'od bytes' 'tr a b' 'env' "
                      f"'{PY} -c print(1)' 'tar -cf - sub' 'git --version' 'openssl version' 'sqlite3 :memory: .help' 'printf x' 'dd if=fruit status=none'; do "
                      "$c >/dev/full <fruit; echo $c: $? >&2; done"),
    "closed stdout": sh("for c in 'seq 3' 'ls' 'cat fruit' 'echo x' 'sed p fruit' 'grep . fruit' 'sort fruit' 'mawk 1 fruit' 'perl -pe1 fruit' 'od bytes' 'tr a b' "
                        f"'{PY} -c print(1)' 'git --version' 'printf x' 'dd if=fruit status=none' 'tee t'; do "
                        "$c >&- <fruit; echo $c: $? >&2; done"),
    "closed stderr": sh("for c in 'ls nosuch' 'cat nosuch' 'perl -ewarn(1)' 'sed' 'grep' 'sort nosuch' 'dd if=fruit' 'tar -xf no' "
                        f"'{PY} -c x' 'git nosuch'; do $c 2>&- <fruit; echo $c: $?; done"),
    "closed stdin": sh("for c in 'cat' 'sort' 'wc' 'sed p' 'mawk 1' 'grep x' 'perl -pe1' 'tr a b' 'bash' 'dd status=none' 'tee t'; do $c <&-; echo $c: $?; done"),
    "all closed": sh("(ls; cat nosuch; echo x; seq 3) <&- >&- 2>&-; echo $?; (exec >&- 2>file; cat fruit; echo y); cat file"),
    "into one pipe": sh("{ ls nosuch fruit; echo a; echo b >&2; seq 3; cat nosuch; } 2>&1 | cat -n"),
}
INPUTS = {
    "sh on stdin": b"echo read from stdin\nread x\na value\necho $x\nexit 4\n",
    "tcl": b"puts hello\nputs stderr err\nfor {set i 0} {$i < 20} {incr i} {puts \"row $i\"}\nnosuch\nexec echo child\nexit 3\n",
    "make": b"all: one two\none: ; @echo made $@\ntwo: ; echo $@; echo warned >&2\n\t-false\nthree: ; false\n",
    "sqlite3 script": b".mode csv\nselect 1, 'a,b';\n.echo on\nselect x'00ff';\n.nosuch\nselect;\nwith recursive c(x) as "
                      b"(select 1 union all select x+1 from c limit 300) select x, 'row' from c;\n",
}
# Where they are installed; too slow to start for every day.
LONGER = {
    "java": ("java", "-Xint", "-version"),
    "java prints": ("java", "-Xint", "Hello.java"),
    "node": ("node", "-e", "for (let i = 0; i < 300; i++) console.log('row', i); console.error('e'); "
             "process.stdout.write('no end'); process.exitCode = 3"),
    "node child": ("node", "-e", "const c = require('child_process'); console.log(c.execSync('cat fruit').toString()); "
                   "c.spawnSync('sh', ['-c', 'echo x; echo y >&2'], {stdio: 'inherit'}); throw new TypeError('bad')"),
    "ruby": ("ruby", "-e", "300.times { |i| puts \"row #{i}\" }; warn 'w'; $stderr.print 'e'; print `cat fruit`; raise 'bad'"),
    "rustc": ("sh", "-c", "printf 'fn main(){for i in 0..99{println!(\"row {i}\");eprintln!(\"e\")}panic!(\"bad\")}' >m.rs; "
              "rustc -Cdebuginfo=0 m.rs && ./m 2>&1 | sed '/panicked/s/([0-9]*)//'; rm m"),
    "php": ("php", "-r", "for ($i = 0; $i < 300; $i++) echo \"row $i\\n\"; fwrite(STDERR, 'e'); exit(3);"),
    "gdb": ("gdb", "-batch", "-nx", "-ex", "print 6*7", "-ex", "info nosuch", "-ex", "echo x\\n"),
    "cargo": ("cargo", "--version"),
    "tmux": ("tmux", "-V"), "vim": ("vim", "--version"), "curl": ("curl", "-sS", "http://127.0.0.1:1/"),
}
NOT_COUNTED = {"gcc"}


@pytest.fixture(autouse=True, scope="module")
def programs():
    need(*"bash dash perl mawk sed grep find xargs tar gzip openssl sqlite3 git make gcc redis-cli "
         "redis-server lua5.4 tclsh script diff od".split(), PY)


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_differs_of(name, compare):  # noqa: F811
    compare(*COMMANDS[name], input=INPUTS.get(name, b""))


@pytest.mark.skipif(not SUITES, reason="one of `make suites`: these start slowly, and are not installed everywhere")
@pytest.mark.parametrize("name", LONGER)
def test_where_it_is_installed_nothing_differs_of(name, compare, tally, harness):  # noqa: F811
    program = LONGER[name][0] if LONGER[name][0] != "sh" else name
    if not shutil.which(program, path=harness.environment["PATH"]):
        tally.absent.add(program)
        pytest.skip(f"{program} is not installed")
    hello = (b'class Hello { public static void main(String[] a) { for (int i = 0; i < 300; i++) '
             b'System.out.println("row " + i); System.err.print("e"); throw new RuntimeException("bad"); } }')
    compare(*LONGER[name], files=FILES | {"Hello.java": hello})
