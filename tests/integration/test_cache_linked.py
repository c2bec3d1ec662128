"""liblogfold-cache.so as programs link it: what it exports, what is installed, the program in the README, a fleet."""

import os
import re
import subprocess

import pytest

from conftest import DEADLINE_S, ROOT
from linking import SOURCES, run
from test_linked import shown


def test_the_library_exports_what_the_header_declares(build):
    table = run("nm", "-D", "--defined-only", build / "liblogfold-cache.so.1")
    names = {line.split()[2].split("@")[0] for line in table.splitlines()}
    header = re.sub(r"/\*.*?\*/", "", (ROOT / "include/logfold/cache.h").read_text(), flags=re.S)
    declared = set(re.findall(r"^(?!typedef|\s)[^;{(]*?\b(lf_cache_\w+)\(", header, re.M))
    assert names - {"LOGFOLD_CACHE_1"} == declared and len(declared) >= 60


@pytest.mark.parametrize("cc, options", [("gcc", ["-std=c99", "-x", "c"]), ("g++", ["-std=c++17", "-x", "c++"])])
def test_the_header_compiles_as_strictly_as_anybody_does(cc, options, tmp_path):
    source = tmp_path / "program"
    source.write_text("#include <logfold/cache.h>\n#include <logfold/cache.h>\nint main(void) { return 0; }\n")
    run(cc, *options, "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsyntax-only", f"-I{ROOT}/include", source)


def test_pkg_config_and_an_installed_library_are_all_that_a_cached_program_needs(tmp_path):
    install = ["make", "-C", ROOT, f"DESTDIR={tmp_path}", "UNITDIR=/nowhere", "PREFIX=/usr/local"]
    run(*install, "install")
    library = tmp_path / "usr/local/lib"
    env = os.environ | {"PKG_CONFIG_PATH": f"{library}/pkgconfig", "PKG_CONFIG_SYSROOT_DIR": str(tmp_path)}
    flags = run("pkg-config", "--cflags", "--libs", "logfold-cache", env=env).split()
    source = tmp_path / "program.c"
    source.write_text(shown("a cached program", "c"))
    run("gcc", source, "-o", tmp_path / "program", *flags)
    assert "liblogfold-cache.so.1" in run("readelf", "-d", tmp_path / "program")
    for _ in range(2):  # the second time over the file of the first
        stdout = run(tmp_path / "program", cwd=tmp_path, env=os.environ | {"LD_LIBRARY_PATH": str(library)})
        assert stdout == "Ada\nthere: 0\n"
    run("g++", "-x", "c++", "-", "-o", tmp_path / "program", *flags, input="""
        #include <logfold/cache.h>
        int main() { lf_cache_options options; lf_cache_options_init(&options); return options.memory.off; }""")
    run(tmp_path / "program", env=os.environ | {"LD_LIBRARY_PATH": str(library)})
    run(*install, "uninstall")
    assert [path for path in tmp_path.rglob("*") if "logfold" in path.name and not path.is_dir()] == []


def test_of_processes_that_share_a_redis_one_makes_a_value_for_all(build, redis, tmp_path):
    program = tmp_path / "fleet"
    run("gcc", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", SOURCES / "fleet.c", "-o", program, f"-L{build}",
        "-llogfold-cache", f"-Wl,-rpath,{build}")
    env = os.environ | {"LOGFOLD_MODULE_DIR": str(build)}
    fleet = [subprocess.Popen([program, redis.url, "cold"], env=env, text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    try:
        assert [one.stdout.readline() for one in fleet] == len(fleet) * ["ready\n"]
        for one in fleet:
            one.stdin.write("\n")
            one.stdin.flush()
        said = [one.communicate(timeout=DEADLINE_S)[0].splitlines() for one in fleet]
    finally:
        for one in fleet:
            one.kill()
            one.wait()
    assert sorted(map(len, said)) == [1, 1, 1, 2], said
    assert [lines[0] for lines in said if len(lines) == 2] == ["loads"]
    assert len({lines[-1] for lines in said}) == 1 and said[0][-1].startswith("made by ")
