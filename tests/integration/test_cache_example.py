"""The example of the cache, tests/progs/cached_shop.c: its answers are the database's, and few of them are asked of it."""

import json
import re
import sqlite3
import subprocess

import pytest

from conftest import DEADLINE_S, ROOT

READS, CHANGE_EACH = 20000, 100


@pytest.fixture(scope="module")
def day(build, tmp_path_factory):
    """A day in the shop, without the cache and with it, and what is in the database in the end."""
    database = tmp_path_factory.mktemp("shop") / "shop.db"
    done = subprocess.run([build / "progs" / "cached_shop", database, str(READS), str(CHANGE_EACH), "check"],
                          capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    without, cached, *accounts = done.stdout.splitlines()
    return json.loads(without), json.loads(cached), accounts, sqlite3.connect(database)


def test_every_answer_is_the_databases(day):
    without, cached, _, _ = day
    assert (without["cached"], cached["cached"]) == (False, True)
    assert without["reads"] == cached["reads"] == READS
    assert without["wrong"] == cached["wrong"] == 0


def test_what_is_cached_in_the_end_is_what_another_reader_of_the_database_computes(day):
    *_, accounts, database = day
    expected = [f"{id} {name}: {orders} orders, {cents} cents" for id, name, orders, cents in database.execute(
        'SELECT customers.id, name, count(DISTINCT orders.id), sum(quantity * cents) FROM customers'
        ' JOIN orders ON customer = customers.id JOIN lines ON "order" = orders.id'
        ' JOIN products ON products.id = product GROUP BY customers.id ORDER BY customers.id')]
    assert accounts == expected
    assert any("of" in line for line in accounts), "no row was changed"


def test_four_of_five_answers_come_from_the_cache_and_so_most_queries_are_saved(day):
    without, cached, _, _ = day
    assert without["hitRate"] == 0
    assert cached["hitRate"] >= 80
    assert cached["queries"] * 4 <= without["queries"]


def test_what_the_readme_shows_of_it_is_its_code():
    shown = re.search(r"<!-- cached_shop.c -->\n```c\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    program = (ROOT / "tests/progs/cached_shop.c").read_text()
    functions = shown.split("\n}\n")[:-1]
    assert len(functions) == 3
    for function in functions:
        assert function.strip("\n") + "\n}\n" in program
