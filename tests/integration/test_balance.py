"""Whatever rules come and go while a program prints, each of its calls has exactly one outcome."""
import os
import re
import subprocess

SEEDS = 5000 if os.environ.get("LOGFOLD_SUITES") else 240


def test_every_call_has_one_outcome_under_random_rules_threads_forks_and_kills(tmp_path, build):
    done = subprocess.run(
        [build / "tools/balance", build / "liblogfold-preload.so",
         build / "progs/balance", tmp_path, "1", str(SEEDS)],
        stdout=subprocess.PIPE, text=True, timeout=600)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    tally = {name: int(n) for n, name in re.findall(r"(\d+) ([a-z]+)", done.stdout)}
    for outcome in ("passed", "muted", "sampled", "limited", "folded", "kills"):
        assert tally[outcome] > 0, f"no call was {outcome}: {done.stdout}"
