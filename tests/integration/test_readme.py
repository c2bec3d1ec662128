"""The README against the tree."""

import re
import subprocess

from conftest import ROOT


def sources():
    listed = subprocess.run(["git", "ls-files", "include", "hashing", "agent", "sinks"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.split()
    if not listed:  # an archive without git
        listed = [str(p.relative_to(ROOT)) for d in ("include", "hashing", "agent", "sinks")
                  for p in (ROOT / d).rglob("*") if p.is_file()]
    return {path.rsplit("/", 1)[1] for path in listed}


def named():
    table = (ROOT / "README.md").read_text().split("## The tree")[1].split("\n## ")[0]
    names = set()
    for quoted in re.findall(r"`([^`]+)`", table):
        base = quoted.rsplit("/", 1)[-1]
        if base.endswith(".[ch]"):
            names |= {base[:-4] + "c", base[:-4] + "h"}
        else:
            names.add(base)
    return names


def test_the_map_of_the_tree_names_every_source_file():
    assert sources() - named() == set()


def test_the_map_of_the_tree_names_no_file_that_is_gone():
    files = {n for n in named() if n.endswith((".c", ".h", ".def"))}
    assert files - sources() == set()


def test_the_two_commands_are_targets_of_the_makefile():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for command in ("make demo", "make test"):
        assert command in readme
        assert f"\n{command.split()[1]}:" in makefile
