"""What logfold/cache.h promises (tests/contract/cache): one suite over each tier alone, and over several."""

import pytest
from servers_mongo import mongo, mongo_server  # noqa: F401 (fixtures)
from servers_redis import redis, redis_server  # noqa: F401
from sink_driver import cache_contract, sink_build  # noqa: F401


def test_memory_alone_keeps_the_contract(cache_contract):  # noqa: F811
    cache_contract("memory")


def test_sqlite_alone_keeps_the_contract(cache_contract):  # noqa: F811
    cache_contract("sqlite")


def test_redis_alone_keeps_the_contract(cache_contract, redis):  # noqa: F811
    cache_contract("redis", redis=redis.url)


def test_mongo_alone_keeps_the_contract(cache_contract, mongo):  # noqa: F811
    cache_contract("mongo", mongo=mongo.uri)


@pytest.mark.parametrize("how", [{}, {"behind": 1}], ids=["through", "behind"])
def test_all_four_keep_the_contract(cache_contract, mongo, redis, how):  # noqa: F811
    cache_contract("memory sqlite redis mongo", mongo=mongo.uri, redis=redis.url, **how)
