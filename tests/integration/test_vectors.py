"""The published known answers agree with an implementation that shares no code with ours."""

import json
import pathlib
import subprocess
import sys

import pytest

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors"
ENTRY_IDS = VECTORS / "entry_id.jsonl"


def check_entry_ids(*arguments):
    command = [sys.executable, VECTORS / "check_entry_id.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_every_published_entry_id_is_what_hashlib_computes():
    checked = check_entry_ids()
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(ENTRY_IDS.read_text().splitlines())} entry ids checked, 0 wrong" in checked.stdout


@pytest.mark.parametrize("field", ["method", "messageTemplate", "topFrame", "hash"])
def test_the_checker_names_the_line_of_a_corrupted_vector(tmp_path, field):
    rows = [json.loads(line) for line in ENTRY_IDS.read_text(encoding="utf-8").splitlines()]
    rows[4][field] = rows[4][field][:-1] + ("0" if rows[4][field][-1] != "0" else "1")
    corrupted = tmp_path / "corrupted.jsonl"
    corrupted.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    checked = check_entry_ids(corrupted)
    assert checked.returncode == 1, checked.stdout
    assert "corrupted.jsonl:5:" in checked.stdout
    assert "1 wrong" in checked.stdout


def test_the_checker_is_not_content_with_an_empty_file(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert check_entry_ids(empty).returncode == 1
