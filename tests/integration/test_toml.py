"""The TOML parser against Python's, which shares no code with ours."""

import datetime
import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "tools"))
import toml_cases  # noqa: E402

try:
    import tomllib
except ImportError:
    tomllib = None

SEED = int(os.environ.get("LOGFOLD_TOML_SEED", "20240506"))
GENERATED = 200_000 if os.environ.get("LOGFOLD_SUITES") else 12_000
LF = b"\n"


@pytest.fixture(scope="module")
def parse(build):
    """parse([document, …]) → for each what our parser says: {"table": …} or {"error": …}"""
    tool = build / "tools" / "dump_toml"
    if not tool.exists():
        pytest.fail(f"{tool} is not built: run make tools")

    def parse_all(documents):
        packed = b"".join(b"%d\n%s" % (len(d), d) for d in documents)
        done = subprocess.run([tool], input=packed, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        answers = done.stdout.decode().split("\n")[:-1]
        assert len(answers) == len(documents)
        return [json.loads(a) for a in answers]

    return parse_all


@pytest.fixture(scope="module")
def reference():
    """What Python's parser says, in the same form; an error is only {"error": …}."""
    if tomllib is None:
        pytest.fail(f"{sys.executable} has no tomllib: run the tests with Python 3.11 or newer "
                    "(make test PYTHON=python3.11)")

    def answer(document):
        try:
            return plain(tomllib.loads(document.decode()))
        except (ValueError, RecursionError) as why:  # UnicodeDecodeError is one, too
            return {"error": str(why)}

    return answer


class Unfit(ValueError):
    """An integer that ours refuses on purpose."""


def plain(value):
    if isinstance(value, dict):
        return {"table": {k: plain(v) for k, v in value.items()}}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, bool) or isinstance(value, str):
        return value
    if isinstance(value, int):
        if not -2**63 <= value < 2**63:
            raise Unfit("beyond 64 bits")
        return value
    if isinstance(value, float):
        return {"float": repr(value)}
    assert isinstance(value, (datetime.date, datetime.time))
    return {"time": value.isoformat()}


def floats_as_python_writes_them(value):
    if isinstance(value, list):
        return [floats_as_python_writes_them(v) for v in value]
    if isinstance(value, dict):
        if set(value) == {"float"} and isinstance(value["float"], str):
            return {"float": repr(float(value["float"]))}
        return {k: floats_as_python_writes_them(v) for k, v in value.items()}
    return value


def differences(documents, parse, reference):
    for document, ours in zip(documents, parse(documents)):
        theirs = reference(document)
        if "error" in ours and "error" in theirs:
            continue
        if floats_as_python_writes_them(ours) != theirs:
            yield f"{document!r}\n  ours:   {ours}\n  theirs: {theirs}"


def test_valid_documents_are_read_and_mean_what_python_reads(parse, reference):
    refused = [(d, a["error"]) for d, a in zip(toml_cases.VALID, parse(toml_cases.VALID)) if "error" in a]
    assert refused == []
    assert list(differences(toml_cases.VALID, parse, reference)) == []


def test_invalid_documents_are_refused_as_python_refuses_them(parse, reference):
    taken = [d for d, a in zip(toml_cases.INVALID, parse(toml_cases.INVALID)) if "error" not in a]
    assert taken == []
    assert list(differences(toml_cases.INVALID, parse, reference)) == []


def test_generated_documents_are_judged_and_read_as_python_does(parse, reference):
    documents = list(toml_cases.generated(SEED, GENERATED))
    found = list(differences(documents, parse, reference))
    assert not found, f"{len(found)} differ (LOGFOLD_TOML_SEED={SEED}):\n" + "\n".join(found[:5])
    refused = sum("error" in answer for answer in parse(documents))
    assert 0.2 < refused / len(documents) < 0.8, "the documents are no longer both right and wrong"


def test_every_error_is_one_line_that_names_the_line_of_the_document(parse):
    for document, answer in zip(toml_cases.INVALID, parse(toml_cases.INVALID)):
        place, _, sentence = answer["error"].partition(": ")
        name, _, line = place.partition(":")
        assert name == "doc" and 1 <= int(line) <= document.count(b"\n") + 1, answer
        assert sentence and min(sentence) >= " " and "\x7f" not in sentence, (document, answer)


@pytest.mark.parametrize("lines_before", [0, 1, 7])
def test_the_line_is_counted_through_all_that_spans_lines(parse, lines_before):
    spans = [b"x = 1\n", b'x = """\na\n\\\n\n b\n"""\n', b"x = '''\n\n'''\n", b"x = [\n# c\n1,\n\n2]\n", b"x = 1\r\n\r\n"]
    documents = [b"\n" * lines_before + span + b"bad" for span in spans]
    for document, answer in zip(documents, parse(documents)):
        assert answer["error"].startswith(f"doc:{document.count(LF) + 1}: "), (document, answer)


def test_limits_are_errors_and_not_crashes(parse):
    deep = [b"a = " + b"[" * n + b"]" * n for n in (63, 65, 100_000)]
    deep += [b"a = " + b"{a = " * 100_000, b"a" + b".a" * 100_000 + b" = 1", b"[a" + b".a" * 100_000 + b"]"]
    answers = parse(deep)
    assert "table" in answers[0]
    assert all("nested deeper than 64 levels" in a["error"] for a in answers[1:]), answers[1:]
    limit = 1 << 20
    large = parse([b"#" * limit, b"#" * (limit + 1)])
    assert "table" in large[0] and "larger than 1 MiB" in large[1]["error"]
    beyond = parse([b"a = 9223372036854775808", b"a = -9223372036854775809", b"a = 0x8000000000000000"])
    assert all("beyond 64 bits" in a["error"] for a in beyond)


def test_a_file_of_a_hundred_thousand_keys_takes_no_quadratic_time(parse):
    document = b"".join(b"%x=1\n" % i for i in range(100_000))
    assert len(parse([document])[0]["table"]) == 100_000
