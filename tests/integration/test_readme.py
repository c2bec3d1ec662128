"""The README against the tree."""

import os
import re
import signal
import subprocess

from conftest import DEADLINE_S, ROOT, wait_until
from servers_mongo import free_port


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


def test_the_five_commands_end_in_a_query(logfold, build, tmp_path):
    """As they stand there, but for the port, the build that is here already, and the wait."""
    text = (ROOT / "README.md").read_text().split("<!-- five commands -->")[1].split("<!--")[0]
    port = str(free_port())
    script = text.replace("27017", port).replace("make deps build && ", "")
    script = script.replace("$PWD/.build/plain", str(build)).replace("$PWD/mongo.toml",
                                                                     f"{tmp_path}/mongo.toml")
    script = script.replace(">mongo.toml", f">{tmp_path}/mongo.toml")
    script = script.replace("enabled = true", f'enabled = true\\nuri = "mongodb://127.0.0.1:{port}"')
    assert script.count(port) == 3
    *start, run, query, rest = script.strip().splitlines()
    query = query.strip().removeprefix("sleep 3; ") + rest
    # What make test-deps built is of the person who runs the tests.
    cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    job = subprocess.Popen(["bash", "-c", "\n".join(start) + "\nwait"], cwd=ROOT,
                           env=logfold.environment({"XDG_CACHE_HOME": cache}), start_new_session=True)
    try:
        wait_until((logfold.run_dir / "control").exists, "the agent is there")
        ran = subprocess.run(["bash", "-c", start[0] + "\n" + run], cwd=ROOT, capture_output=True,
                             text=True, env=logfold.environment(), timeout=DEADLINE_S)
        assert ran.returncode == 0 and "1000 calls" in ran.stderr, ran.stderr

        def answer():
            return subprocess.run(["bash", "-c", query], capture_output=True, text=True, cwd=ROOT,
                                  env=os.environ | {"PATH": f"/usr/bin:{os.environ['PATH']}"},
                                  timeout=DEADLINE_S).stdout

        wait_until(lambda: "{'countTotal': 1000, 'messageTemplate': 'request %Lg served'}" in answer(), answer)
    finally:
        os.killpg(job.pid, signal.SIGTERM)
        job.wait(timeout=DEADLINE_S)
