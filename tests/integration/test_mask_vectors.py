"""mask/1 in C against the independent implementation in tests/vectors/mask1.py."""
import json
import os
import random
import re
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VECTORS = os.path.join(ROOT, "tests", "vectors")
BUILD = os.environ.get("LOGFOLD_BUILD", os.path.join(ROOT, ".build", "plain"))
TOOL = os.path.join(BUILD, "tools", "mask_lines")

sys.path.insert(0, VECTORS)
import mask1  # noqa: E402

# What the rules look for, so that random lines come across all of them.
PIECES = [piece.encode() for piece in (
    "user", "x", "Jan", "May", "Monday", "Sun", "UTC", "PM", "bytes", "MB/s", "ms", "seconds", "KB",
    "msg", "level", "true", "None", "INFO", "abc", "deadbeef", "FACEFEED", "fe80", "::", "::1", "/",
    "/usr", "./a", "../b", "~bob", "a/b.c", "file.c", "x.example.com", "a.b.Error", "Exception",
    "me@host", "C:\\dir\\f",
    "http://", "https://[::1]:8/", "?q=1&b", "aa:bb:cc:dd:ee:ff", "1:2:3", "ffff", "\\xe9", "\\x",
    "<*>", "<", ">", "0", "7", "12", "2024", "4711", "0x1f", "1.5", "-3", "+", "-", " - ", "_", "*",
    ".", "..", "!", "?", "%", "#", "===", "----", "=", ":", "://", ",", ", ", ";", "|", "(", ")",
    " (", "()", "[", "]", "[ ", "{", "}", '"', "'", "`", '":"', '", "', "','", '="', " ", " ", " ",
    "  ", "\t", "\r", "\x07", "\x7f", "é", "日本", "‘x’", "“y”", "😀",
)] + [b"\x1b[31m", b"\x1b[", b"\x1b]0;t\x07", b"\x1b]8;;u\x1b\\", b"\x1b(B", b"\x1b", b"\x00", b"\xff",
      b"\xc3", b"\xe2\x82", b"\xed\xa0\x80"]
DIRTY = PIECES[-11:]


def masked_by_c(lines):
    done = subprocess.run([TOOL], input=b"".join(line + b"\n" for line in lines),
                          stdout=subprocess.PIPE, timeout=120, check=True)
    got = done.stdout.split(b"\n")
    assert got.pop() == b"" and len(got) == len(lines)
    return got


def random_line(rng):
    pieces = PIECES if rng.random() < 0.3 else PIECES[:-len(DIRTY)]
    kind = rng.random()
    if kind < 0.05:
        line = bytes(rng.randrange(256) for _ in range(rng.randrange(80)))
    elif kind < 0.08:    # around the limits of 1344 and 4096 bytes
        some = b"".join(rng.choice(pieces) for _ in range(rng.randrange(1, 9))) or b"1 "
        size = rng.choice((1340, 1350, 2040, 2050, 4090, 4096, 4100, 6000)) + rng.randrange(9)
        line = (some * (size // len(some) + 1))[:size]
    else:
        line = b"".join(rng.choice(pieces) for _ in range(rng.randrange(1, 16)))
    return line.replace(b"\n", b" ")


def random_lines(count, seed):
    rng = random.Random(seed)
    return [random_line(rng) for _ in range(count)]


@pytest.fixture(autouse=True)
def tool():
    if not os.access(TOOL, os.X_OK):
        pytest.fail("needs %s: make tools" % TOOL)


def vectors():
    with open(os.path.join(VECTORS, "mask1.jsonl"), encoding="utf-8") as rows:
        return [json.loads(row) for row in rows]


def test_the_python_implementation_gives_the_published_answers():
    assert mask1.check(os.path.join(VECTORS, "mask1.jsonl"))


def test_the_c_implementation_gives_the_published_answers():
    cases = [(mask1.line_of(case), mask1.answer_of(case)) for case in vectors()]
    for (line, answer), got in zip(cases, masked_by_c([line for line, _ in cases])):
        assert got == answer, line


def test_both_implementations_agree_on_random_lines():
    lines = random_lines(int(os.environ.get("LOGFOLD_FUZZ_LINES", "20000")),
                         int(os.environ.get("LOGFOLD_FUZZ_SEED", "1")))
    for line, got in zip(lines, masked_by_c(lines)):
        assert got == mask1.mask(line), line


def masked_by_alike_lines(lines):
    """The same by what lf_mask_alike() makes of them, and of how many it makes something."""
    done = subprocess.run([TOOL, "-a"], input=b"".join(line + b"\n" for line in lines),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=True)
    return done.stdout.split(b"\n")[:-1], int(done.stderr)


def test_lines_that_differ_in_digits_alone_are_masked_alike():
    lines = random_lines(int(os.environ.get("LOGFOLD_FUZZ_LINES", "20000")), 4)
    lines += [mask1.line_of(case) for case in vectors() if b"\n" not in mask1.line_of(case)]
    rng = random.Random(5)
    lines = [re.sub(rb"[0-9]", lambda _: b"%d" % rng.randrange(10), line) for line in lines]
    got, known = masked_by_alike_lines(lines)
    assert known > len(lines) // 5
    for line, answer in zip(lines, got):
        assert answer == mask1.mask(line), line


def test_masked_text_is_utf8_without_nul_and_within_its_limit():
    for line, got in zip(*(lambda x: (x, masked_by_c(x)))(random_lines(20000, 2))):
        assert len(got) <= 4096 and b"\0" not in got, line
        got.decode("utf-8")


def test_masking_a_masked_line_changes_nothing():
    lines = [mask1.answer_of(case) for case in vectors()]
    for line, got in zip(lines, masked_by_c(lines)):
        assert got == line


def test_masking_twice_hardly_ever_changes_even_random_lines():
    once = masked_by_c(random_lines(20000, 3))
    changed = sum(a != b for a, b in zip(once, masked_by_c(once)))
    assert changed <= len(once) // 500   # runs, quotes and addresses torn apart by chance
