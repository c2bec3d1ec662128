"""Programs that link liblogfold, compiled as anybody's are: the fixture of conftest.py."""

import subprocess

import pytest

from conftest import DEADLINE_S, ROOT

SOURCES = ROOT / "tests" / "linked"


def run(*command, **how):
    """What it printed; it has to end well."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=DEADLINE_S, **how)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@pytest.fixture(scope="session")
def linked(build, tmp_path_factory):
    """linked(name, source or option, …, cc=…): a program that links the library of this build."""
    folder = tmp_path_factory.mktemp("linked")

    def compiled(name, *words, cc="gcc"):
        if not (folder / name).exists():
            run(cc, "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", "-o",
                folder / name, *words, "-pthread", f"-L{build}", "-llogfold", f"-Wl,-rpath,{build}")
        return folder / name

    return compiled
