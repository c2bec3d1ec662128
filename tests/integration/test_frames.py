"""The top frame of calls in real programs: compiled here in every form that a module can have."""

import bisect
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROGS = SOURCE / "tests/progs/frames"
HASHING = [SOURCE / "hashing" / name for name in
           ("frame.c", "module.c", "symbols.c", "symbols_build.c", "utf8.c")]
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", f"-I{SOURCE}", f"-I{SOURCE}/include", "-g", "-O2"]
SUFFIX = re.compile(r"\.(isra|part|cold|constprop|llvm|lto_priv|__uniq|localalias)(\.\d+)?$")


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def gcc(out, *arguments):
    run("gcc", *FLAGS, *arguments, "-o", out)
    return out


def reports(output):
    """label -> (frame, return address in the file), the last of equal labels."""
    rows = [line.split("\t") for line in output.splitlines()]
    return {label: (frame, int(address, 16)) for label, frame, address in rows}


def frames(output):
    return {label: frame for label, (frame, _) in reports(output).items()}


@pytest.fixture(scope="session")
def objects(tmp_path_factory):
    """What every program below links: our code and report()."""
    folder = tmp_path_factory.mktemp("objects")
    return [gcc(folder / f"{source.stem}.o", "-c", "-fPIC", source)
            for source in [*HASHING, PROGS / "report.c"]]


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """name -> a library of that name, exporting a function of that name."""
    folder = tmp_path_factory.mktemp("libraries")

    def build(name, *flags):
        return gcc(folder / f"lib{name}.so", "-shared", "-fPIC", f"-DEXPORTED={name}_call", *flags,
                   PROGS / "library.c")
    return build


@pytest.fixture(scope="session")
def host(tmp_path_factory, objects, library):
    linked = library("linked")

    def build(*flags):
        folder = tmp_path_factory.mktemp("host")
        return gcc(folder / "host", PROGS / "host.c", *objects, *flags, linked,
                   f"-Wl,-rpath,{linked.parent}")
    return build


@pytest.fixture(scope="session")
def plain(host):
    return host()


@pytest.fixture(scope="session")
def loader(tmp_path_factory, objects):
    return gcc(tmp_path_factory.mktemp("loader") / "loader", PROGS / "loader.c", *objects)


NAMED = {
    "main": "host!main",
    "local": "host!local_function",
    "exported": "host!exported_function",
    "constprop": "host!multiply",
    "isra": "host!second_of",
    "cold": "host!mostly_quiet",
    "alias": "host!alias_m",
    "library": "liblinked.so!linked_call",
    "hidden": "liblinked.so!hidden_call",
    "untyped": "host!untyped_function",
    "label": "host!untyped_function",
    "last": "host!last_call",
}


@pytest.mark.parametrize("flags", [
    ["-pie", "-fPIE"],
    ["-no-pie", "-fno-pie"],
    ["-no-pie", "-fno-pie", "-Wl,-z,noseparate-code"],
    ["-O0"],
    ["-Os", "-fomit-frame-pointer"],
    ["-Wl,-Ttext-segment=0x40000000", "-no-pie", "-fno-pie"],
    ["-Wl,--section-start=.text=0x200000"],
], ids=" ".join)
def test_every_kind_of_call_is_named_by_its_function(host, flags):
    assert frames(run(host(*flags))) == NAMED


def test_where_the_linker_made_every_function_local_the_byte_order_of_aliases_counts(host):
    assert frames(run(host("-flto"))) == NAMED | {"alias": "host!alias_a"}


def test_the_compiler_did_make_the_clones_that_the_test_above_is_about(plain):
    names = run("nm", plain)
    for clone in ("multiply.constprop.0", "second_of.isra.0", "mostly_quiet.cold"):
        assert f" {clone}\n" in names


def test_the_return_address_of_the_last_call_belongs_to_the_next_function(plain):
    _, address = reports(run(plain))["last"]
    for line in run("nm", "-S", plain).splitlines():
        if line.endswith(" t last_call"):
            start, size = (int(number, 16) for number in line.split()[:2])
    assert address == start + size, "the compiler put code behind the call: the test shows nothing"


def test_a_stripped_program_has_offsets_that_addr2line_knows_and_that_aslr_does_not_change(host):
    unstripped = host("-Wl,--build-id")
    stripped = unstripped.with_name("stripped")
    run("strip", "-s", unstripped, "-o", stripped)
    outputs = {run(stripped) for _ in range(20)}
    assert len(outputs) == 1
    known = frames(run(unstripped))
    for label, (frame, address) in reports(outputs.pop()).items():
        if label in ("library", "hidden"):
            assert frame == NAMED[label]
            continue
        assert frame == f"stripped+0x{address - 1:x}"
        if label in ("main", "local", "exported", "constprop", "isra", "cold", "last"):
            offset = frame.partition("+")[2]
            name = run("addr2line", "-f", "-e", unstripped, offset).splitlines()[0]
            assert SUFFIX.sub("", name) == known[label].partition("!")[2]


def test_a_stripped_library_keeps_the_names_of_its_exported_functions_only(loader, library):
    stripped = library("stripped", "-s")
    calls = reports(run(loader, "open", stripped, "now", "stripped_call"))
    assert calls["library"][0] == "libstripped.so!stripped_call"
    assert calls["hidden"][0] == f"libstripped.so+0x{calls['hidden'][1] - 1:x}"


def test_a_file_without_section_headers_gives_offsets(loader, library, tmp_path):
    bare = tmp_path / "libbare.so"
    content = bytearray(library("bare").read_bytes())
    content[0x28:0x30] = bytes(8)  # e_shoff
    content[0x3c:0x3e] = bytes(2)  # e_shnum
    bare.write_bytes(content)
    calls = reports(run(loader, "open", bare, "now", "bare_call"))
    assert calls["library"][0] == f"libbare.so+0x{calls['library'][1] - 1:x}"


def test_another_library_at_the_address_of_a_closed_one_has_its_own_names(loader, library):
    first, second = library("first"), library("other")
    output = run(loader, "call", first, "first_call", "call", second, "other_call",
                 "call", first, "first_call")
    rows = [line.split("\t") for line in output.splitlines()]
    assert len({address for label, _, address in rows if label == "at"}) == 1, "not at one address"
    assert [frame for label, frame, _ in rows if label == "library"] == [
        "libfirst.so!first_call", "libother.so!other_call", "libfirst.so!first_call"]


def copies(library, tmp_path):
    old, new = tmp_path / "libplugin.so", tmp_path / "new.so"
    shutil.copy(library("plugin"), old)
    shutil.copy(library("plugin", "-DEXTRA", "-O0"), new)
    return old, new


def test_a_library_replaced_since_it_was_loaded_gives_offsets_not_the_new_files_names(
        loader, library, tmp_path):
    old, new = copies(library, tmp_path)
    calls = reports(run(loader, "open", old, "replace", old, new, "now", "plugin_call"))
    assert calls["library"][0] == f"libplugin.so+0x{calls['library'][1] - 1:x}"


def test_a_library_replaced_since_it_was_indexed_gives_offsets_too(loader, library, tmp_path):
    old, new = copies(library, tmp_path)
    output = run(loader, "open", old, "now", "plugin_call", "replace", old, new,
                 "now", "plugin_call")
    seen = [line.split("\t")[1] for line in output.splitlines() if line.startswith("library")]
    assert seen[0] == "libplugin.so!plugin_call"
    assert seen[1].startswith("libplugin.so+0x")


def test_a_fifo_in_the_place_of_the_library_does_not_hold_up_the_host(loader, library, tmp_path):
    old, fifo = tmp_path / "libplugin.so", tmp_path / "fifo"
    shutil.copy(library("plugin"), old)
    os.mkfifo(fifo)
    calls = frames(run(loader, "open", old, "replace", old, fifo, "now", "plugin_call"))
    assert calls["library"].startswith("libplugin.so+0x")


def test_a_library_of_a_relative_path_is_found_after_the_host_changed_its_directory(
        loader, library):
    path = library("moved")
    calls = frames(run(loader, "open", f"./{path.name}", "chdir", "/", "now", "moved_call",
                       cwd=path.parent))
    assert calls["library"] == "libmoved.so!moved_call"


def test_a_program_deleted_while_it_runs_keeps_its_name_and_its_names(plain, tmp_path):
    copy = tmp_path / "doomed"
    shutil.copy(plain, copy)
    assert frames(run(copy, "unlink", copy))["local"] == "doomed!local_function"
    assert not copy.exists()


def test_a_program_started_by_another_name_or_through_the_loader_has_its_files_name(
        plain, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(plain)
    assert frames(run(link))["local"] == "host!local_function"
    interpreter = re.search(r"interpreter: (\S+)\]", run("readelf", "-l", plain)).group(1)
    assert frames(run(interpreter, plain))["local"] == "host!local_function"


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot(2) needs root")
def test_a_program_that_can_no_longer_reach_its_file_gives_offsets(plain, tmp_path):
    calls = reports(run(plain, "chroot", tmp_path))
    assert calls["main"][0] == f"host+0x{calls['main'][1] - 1:x}"


def test_a_program_without_a_free_fd_gives_offsets(plain):
    calls = reports(run(plain, "nofile", "3"))
    assert calls["main"][0] == f"host+0x{calls['main'][1] - 1:x}"


# An independent reading of symbol tables: readelf's.

def functions_by_readelf(path):
    """[(start, size, rank, name)] of .symtab, else of .dynsym."""
    tables, rows = {}, []
    for line in run("readelf", "-sW", path).splitlines():
        if line.startswith("Symbol table '"):
            rows = tables.setdefault(line.split("'")[1], [])
        words = line.split()
        if len(words) < 8 or not words[0].rstrip(":").isdigit():
            continue
        kind, bind, section = words[3], words[4], words[6]
        if section in ("UND", "ABS", "COM"):
            continue
        if kind in ("FUNC", "IFUNC") or (kind == "NOTYPE" and bind != "LOCAL"):
            name = words[7].split("@")[0]
            while SUFFIX.search(name):
                name = SUFFIX.sub("", name)
            rank = {"LOCAL": 2, "WEAK": 1}.get(bind, 0)
            rows.append((int(words[1], 16), int(words[2], 0), rank, name))
    return sorted(tables.get(".symtab") or tables[".dynsym"])


def covering(functions, starts, address):
    """The name by the rules of hashing/frame.h, for an address that a sized function covers."""
    for start in reversed(starts[:bisect.bisect_right(starts, address)]):
        at = bisect.bisect_left(functions, (start,))
        found = []
        while at < len(functions) and functions[at][0] == start:
            if address < start + functions[at][1]:
                found.append(functions[at][2:])
            at += 1
        if found:
            return min(found)[1]
    raise AssertionError(hex(address))


def real_files():
    """bash and what this interpreter consists of: with .symtab or without, as it happens to be."""
    maps = pathlib.Path("/proc/self/maps").read_text(encoding="utf-8")
    mapped = re.findall(r"/\S+/(?:libpython\S+|libc\.so\.6|libm\.so\.6)$", maps, re.MULTILINE)
    return sorted({"/bin/bash", *mapped})


@pytest.fixture(scope="session")
def lookup(tmp_path_factory, objects):
    return gcc(tmp_path_factory.mktemp("lookup") / "lookup", PROGS / "lookup.c", *objects)


@pytest.mark.parametrize("path", ["plain", *real_files()])
def test_look_ups_agree_with_readelf_for_every_function_of(path, lookup, plain):
    path = plain if path == "plain" else path  # ours has a .symtab
    functions = functions_by_readelf(path)
    starts = sorted({function[0] for function in functions})
    sized = [(start, size) for start, size, *_ in functions if size]
    assert sized
    addresses = sorted({address for start, size in sized
                        for address in (start, start + size // 2, start + size - 1)})
    answers = run(lookup, path, input="\n".join(map("{:x}".format, addresses))).splitlines()
    expected = [covering(functions, starts, address) for address in addresses]
    wrong = [(hex(address), answer, name) for address, answer, name
             in zip(addresses, answers, expected, strict=True) if answer != name]
    assert not wrong, f"{len(wrong)} of {len(addresses)}: {wrong[:5]}"


def test_between_and_outside_functions_a_dynsym_names_nothing(lookup):
    functions = functions_by_readelf("/bin/bash")
    ends = {start + size for start, size, *_ in functions if size}
    outside = [end for end in ends
               if not any(start <= end < start + max(size, 1) for start, size, *_ in functions)]
    outside += [0, 1, 0x7fffffffffffffff, 0xffffffffffffffff]
    answers = run(lookup, "/bin/bash", input="\n".join(map("{:x}".format, outside))).splitlines()
    assert len(outside) > 100
    assert set(answers) == {"-"}


ASSEMBLY = """
        .macro function name, bytes
        .type \\name, %function
        \\name: .zero \\bytes
        .size \\name, \\bytes
        .endm
        .globl bare, last, outer
        .section .one, "ax"
        function before, 4
bare:   .zero 8
        function after, 4
        .type outer, %function
outer:  .zero 4
        function inner, 4
        .zero 4
        .size outer, 12
        .globl first_version
        function first_version, 4
        .symver first_version, versioned@@V1, remove
        .section .two, "ax"
last:   .zero 4
        .section .three, "ax"
nobody: .zero 4
"""


@pytest.fixture(scope="session")
def assembled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assembled")
    (folder / "code.s").write_text(ASSEMBLY)
    (folder / "versions").write_text("V1 { global: *; local: before; after; inner; };")
    library = gcc(folder / "library.so", "-shared", "-nostdlib", folder / "code.s",
                  f"-Wl,--version-script={folder / 'versions'}", "-Wl,--hash-style=gnu")
    starts = {}
    for line in run("nm", "--defined-only", library).splitlines():
        start, _, name = line.rpartition(" ")
        starts[name.split("@")[0]] = int(start.split()[0], 16)
    return library, starts


def look_up(lookup, path, *addresses):
    return run(lookup, path, input="".join(f"{address:x}\n" for address in addresses)).split()


@pytest.mark.parametrize("label, offset, name", [
    ("bare", 7, "bare"),            # no size: to the next function
    ("after", 3, "after"),
    ("outer", 3, "outer"),
    ("inner", 3, "inner"),          # a function within a function
    ("outer", 8, "outer"),          # and behind it again
    ("versioned", 1, "versioned"),  # in the .symtab it is versioned@@V1, remove
    ("last", 3, "last"),            # no size: not beyond its section
    ("nobody", 1, "-"),
])
def test_a_function_covers_its_size_or_without_one_what_is_up_to_the_next_in_its_section(
        lookup, assembled, label, offset, name):
    library, starts = assembled
    assert look_up(lookup, library, starts[label] + offset) == [name]


def test_in_a_dynsym_a_function_without_size_covers_nothing_as_what_follows_is_unknown(
        lookup, assembled, tmp_path):
    library, starts = assembled
    stripped = tmp_path / "stripped.so"
    run("strip", "-s", library, "-o", stripped)
    assert look_up(lookup, stripped, starts["bare"] + 1, starts["outer"] + 1) == ["-", "outer"]


# Files made by hand, byte by byte.

CODE, NAMES = 0x1000, b"\0one\0two\0"


def symbol(name, start, size, info=0x12, section=1):
    return struct.pack("<IBBHQQ", name, info, 0, section, start, size)


def section(kind, offset, size, link=0, entry=0):
    return struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, offset, size, link, 0, 1, entry)


def elf(path, symbols, names=NAMES, *, link=2, entry=24, shnum=3, behind=b""):
    """Header, one executable segment, three sections: none, .symtab, .strtab."""
    table = bytes(24) + symbols
    names_at = 64 + 56 + len(table)
    sections_at = names_at + len(names) + len(behind)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 64, sections_at, 0, 64,
                         56, 1, 64, shnum, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, CODE, CODE, 1 << 30, 1 << 30, 4096)
    path.write_bytes(header + segment + table + names + behind +
                     section(0, 0, 3) + section(2, 64 + 56, len(table), link, entry) +
                     section(3, names_at, len(names)) + section(3, names_at, len(names)))
    return path


@pytest.mark.parametrize("options, answers", [
    ({}, ["one", "two"]),
    ({"shnum": 0}, ["one", "two"]),           # the first section has the number, as it is large
    ({"shnum": 0xffff}, ["-", "-"]),          # more sections than the file has room for
    ({"link": 3}, ["-", "-"]),                # names in a section that does not count
    ({"link": 0}, ["-", "-"]),                # names in a section that is no table of names
    ({"link": 0xffffffff}, ["-", "-"]),
    ({"entry": 0}, ["-", "-"]),
    ({"entry": 25}, ["-", "-"]),
    ({"names": b"\0one\0two"}, ["one", "-"]),  # a name without end
    ({"names": b"\0one\0", "behind": b"two\0"}, ["one", "-"]),  # a name outside the table
], ids=str)
def test_a_file_that_lies_about_its_tables_gives_no_names(lookup, tmp_path, options, answers):
    path = elf(tmp_path / "file", symbol(1, CODE, 16) + symbol(5, CODE + 16, 16), **options)
    assert look_up(lookup, path, CODE + 3, CODE + 19) == answers


def test_names_are_read_from_a_table_of_names_only(lookup, tmp_path):
    info_byte_of_the_first_symbol = 24 + 4  # a name, if the .symtab were taken for its own names
    path = elf(tmp_path / "file", symbol(info_byte_of_the_first_symbol, CODE, 16), link=1)
    assert look_up(lookup, path, CODE) == ["-"]


def test_of_a_million_functions_and_more_the_first_ones_keep_their_names(lookup, tmp_path):
    most = 1 << 20
    path = elf(tmp_path / "huge", b"".join(symbol(1, CODE + 16 * i, 16) for i in range(most + 5)))
    named = [*range(8), *range(0, most, 4096), *range(most - 8, most)]
    assert set(look_up(lookup, path, *(CODE + 16 * i for i in named))) == {"one"}
    assert set(look_up(lookup, path, *(CODE + 16 * i for i in range(most, most + 6)))) == {"-"}


def test_a_million_aliases_are_not_all_read(lookup, tmp_path):
    path = elf(tmp_path / "aliases", symbol(1, CODE, 16) * 1000000)
    started = time.monotonic()
    assert look_up(lookup, path, *[CODE + 1] * 500) == ["one"] * 500
    assert time.monotonic() - started < 5


# What may never happen in a host.

@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_files_neither_crash_nor_read_out_of_bounds(seed, tmp_path, plain):
    fuzz = gcc(tmp_path / "fuzz", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
               PROGS / "fuzz.c", *HASHING)
    copies_made, _, names, _ = run(fuzz, plain, str(seed), "3000").split()
    assert int(copies_made) > 1000 and int(names) > int(copies_made), "the fuzzer reaches nothing"


def test_the_code_calls_nothing_of_libc_that_could_lock_allocate_or_set_errno(objects):
    allowed = {"memchr", "memcmp", "memcpy", "memmove", "memrchr", "memset", "strchr", "strlen",
               "getauxval", "_dl_find_object", "__errno_location", "__stack_chk_fail"}
    ours = [path for path in objects if path.name != "report.o"]
    needed = set(run("nm", "-u", "-j", *ours).split())
    assert {name for name in needed if not name.startswith(("lf_", "/", "_GLOBAL_OFFSET_TABLE_"))} <= allowed
