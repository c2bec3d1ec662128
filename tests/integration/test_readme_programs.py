"""The README's table of what other languages' output looks like, made anew and compared."""

import fnmatch
import re
import shutil
import subprocess
import warnings

import pytest

from conftest import DEADLINE_S, ROOT

LINES = b"user 1 in\nready\nuser 2 in\nready\nuser 3 in\nready\n"

C = r'''
#include <stdio.h>
int main(void) { for (int i = 1; i <= 3; i++) { printf("user %d in\n", i); puts("ready"); } return 0; }
'''
CPP = r'''
#include <iostream>
int main() {
    std::ios::sync_with_stdio(SYNC);
    for (int i = 1; i <= 3; i++) { std::cout << "user " << i << " in" << std::endl << "ready" << std::endl; }
}
'''
RUST = r'''
fn main() { for i in 1..=3 { println!("user {} in", i); println!("ready"); } }
'''
JAVA = r'''
public class Two {
    public static void main(String[] unused) {
        for (int i = 1; i <= 3; i++) { System.out.println("user " + i + " in"); System.out.println("ready"); }
    }
}
'''
SQL = "select 'user ' || value || ' in' || char(10) || 'ready' from generate_series(1, 3)"

# The program's name in the table; what must be installed; what to do with the source; the command.
PROGRAMS = {
    "C": ("gcc", ("two.c", C), ["gcc", "-O2", "-o", "two", "two.c"], ["./two"]),
    "C++": ("g++", ("two.cpp", CPP.replace("SYNC", "true")), ["g++", "-O2", "-o", "two", "two.cpp"], ["./two"]),
    "C++ without stdio": ("g++", ("two.cpp", CPP.replace("SYNC", "false")),
                          ["g++", "-O2", "-o", "two", "two.cpp"], ["./two"]),
    "Rust": ("rustc", ("two.rs", RUST), ["rustc", "-O", "-o", "two", "two.rs"], ["./two"]),
    "bash": ("bash", None, None, ["bash", "-c",
             r'for i in 1 2 3; do printf "user %d in\n" $i; echo ready; done']),
    "dash": ("dash", None, None, ["dash", "-c", 'for i in 1 2 3; do echo "user $i in"; echo ready; done']),
    "perl": ("perl", None, None, ["perl", "-e", r'for (1..3) { printf "user %d in\n", $_; print "ready\n" }']),
    "python3": ("/usr/bin/python3", None, None, ["/usr/bin/python3", "-c",
                "for i in 1, 2, 3: print('user', i, 'in'); print('ready')"]),
    "ruby": ("ruby", None, None, ["ruby", "-e", '1.upto(3) { |i| puts "user #{i} in"; puts "ready" }']),
    "node": ("node", None, None, ["node", "-e",
             "for (let i = 1; i <= 3; i++) { console.log(`user ${i} in`); console.log('ready') }"]),
    "java": ("java", ("Two.java", JAVA), None, ["java", "Two.java"]),
    "sqlite3": ("sqlite3", None, None, ["sqlite3", ":memory:", SQL]),
}
# Too large for whoever just runs the tests: their rows are compared where they are.
NOT_ASKED_FOR = {"Rust", "node", "java"}


def rows():
    table = (ROOT / "README.md").read_text().split("<!-- programs -->")[1].split("<!--")[0]
    found = {}
    for line in table.strip().splitlines()[2:]:
        program, method, template, frame = (cell.strip() for cell in line.strip("|").split("|"))
        unquoted = [re.fullmatch("`(.*)`", cell)[1] for cell in (method, template, frame)]
        found.setdefault(program or last, []).append(tuple(unquoted))
        last = program or last
    return found


def matches(frame, pattern):
    """`…` stands for what differs from version to version."""
    quoted = "".join({"[": "[[]", "*": "[*]", "?": "[?]", "…": "*"}.get(c, c) for c in pattern)
    return fnmatch.fnmatchcase(frame, quoted)


def test_the_table_has_a_row_for_each_program():
    assert list(rows()) == list(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_looks_like_its_row(name, logfold, tmp_path):
    tool, source, compile_it, command = PROGRAMS[name]
    if not shutil.which(tool):
        assert name in NOT_ASKED_FOR, f"{tool} is not installed: run make test-deps"
        warnings.warn(f"{tool} is not installed: the README's row of {name} was not compared")
        pytest.skip(f"{tool} is not installed")
    if source:
        (tmp_path / source[0]).write_text(source[1])
    if compile_it:
        subprocess.run(compile_it, cwd=tmp_path, check=True, capture_output=True, timeout=2 * DEADLINE_S)
    done = subprocess.run([logfold.binary, "run", "--summary", "none", "--", *command], cwd=tmp_path,
                          env=logfold.environment(), stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=2 * DEADLINE_S)
    assert (done.stdout, done.stderr) == (LINES, b"")
    entries = [(e["method"], e["messageTemplate"].rstrip("\n"), e["topFrame"]) for e in logfold.entries()]
    assert [entry[:2] for entry in sorted(entries)] == [row[:2] for row in sorted(rows()[name])]
    for entry in entries:
        assert any(entry[:2] == row[:2] and matches(entry[2], row[2]) for row in rows()[name]), entry
    assert {e["countTotal"] for e in logfold.entries()} == {3}
