"""The variables of the cache's environment against the README."""
import re

from conftest import ROOT


def known(build):
    """Those that the reader of the environment has in its table."""
    found = set()
    for name in ("environment.o", "environment_redis.o"):
        code = (build / "exe" / "sinks" / "cache" / name).read_bytes()
        found |= set(re.findall(rb"(?<![A-Z0-9_])((?:LOGFOLD_CACHE|CACHE|REDIS)_[A-Z0-9_]+)(?=\0)", code))
    return {name.decode() for name in found} - {"LOGFOLD_CACHE_"}


def test_the_readme_lists_every_variable_of_the_cache(build):
    part = (ROOT / "README.md").read_text().split("### Environment")[1].split("\n## ")[0]
    listed = set(re.findall(r"`((?:LOGFOLD_CACHE|CACHE|REDIS)_[A-Z0-9_]+)`", part))
    assert len(listed) > 60
    assert listed == known(build)
