"""What every tier of the cache promises (sinks/cache/tier.h): one suite over each of them."""

from servers_mongo import mongo, mongo_server  # noqa: F401 (fixtures)
from servers_redis import redis, redis_server  # noqa: F401
from sink_driver import sink_build, tier_contract  # noqa: F401


def test_memory_keeps_the_contract(tier_contract):  # noqa: F811
    tier_contract("memory", "")


def test_sqlite_keeps_the_contract(tier_contract, tmp_path):  # noqa: F811
    tier_contract("sqlite", tmp_path / "cache.db")


def test_redis_keeps_the_contract(tier_contract, redis):  # noqa: F811
    tier_contract("redis", redis.url)


def test_mongo_keeps_the_contract(tier_contract, mongo):  # noqa: F811
    tier_contract("mongo", mongo.uri)
    client = mongo.client()
    for name in client.list_database_names():
        if name.startswith("logfold_contract_"):
            client.drop_database(name)
