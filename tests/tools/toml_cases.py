"""TOML documents for the comparison of two parsers: VALID, INVALID, and generated(seed, count).

Which of the written ones are valid is stated here, so that both parsers can be wrong; of the generated
ones, only that both must agree.
"""

import random

VALID = [
    # nothing, comments, line ends
    b"", b"\n", b"  \t\n", b"# only a comment", b"# comment\n", b"#\t tab \xc3\xa4\n", b"\r\n", b"a = 1\r\n",
    b"a = 1 # x\r\n\r\nb = 2", b"a=1", b"  a  =  1  ", b"\ta\t=\t1\t", b"a = 1\n\n\n\n# end",
    # keys
    b"bare_key-1 = 1", b"1234 = 1", b"- = 1", b"_ = 1", b"--- = 1", b'"" = 1', b"'' = 1",
    b'"quoted key" = 1', b"'literal\\key' = 1", b'"\\u00e4\\n" = 1', b'"a.b" = 1', b"a.b.c = 1",
    b"a . b = 1", b"a\t.\tb=1", b'a."b.c".d = 1', b"'a'.\"b\".c = 1", b"3.14159 = 'pi'",
    b"a.b = 1\na.c = 2", b"a.b.c = 1\na.d = 2", b"apple.type = 1\norange.type = 2\napple.skin = 3",
    b"true = 1\ninf = 2\nnan = 3\n2024-01-01 = 4", b'"\xc3\xa9" = 1\n"e" = 2', b"a-b = 1\na_b = 2",
    # basic strings
    b'a = ""', b'a = "x"', b'a = "\\b\\t\\n\\f\\r\\"\\\\"', b'a = "\\u0000"', b'a = "\\u00E9\\U0001F600"',
    b'a = "\\uD7FF\\uE000\\U0010FFFF"', b'a = "tab\there"', b'a = "# no comment"', b"a = \"it's\"",
    b'a = "\xf0\x9f\x98\x80 \xc3\xa4"', b'a = "\\\\u0041"', b'a = "\xc2\x85\xe2\x80\xa8"',
    # literal strings
    b"a = ''", b"a = 'C:\\path\\n'", b"a = 'say \"hi\"'", b"a = '\t'", b"a = '\\'",
    # several lines
    b'a = """"""', b'a = """\n"""', b'a = """\r\nx\r\ny\r\n"""', b'a = """x"""', b'a = """\n\nx"""',
    b'a = """a "quoted" b"""', b'a = """two ""quotes"""', b'a = """one\\""""', b'a = """x""""', b'a = """x"""""',
    b'a = """"x"""', b'a = """""x"""', b'a = """a\\\n   b"""', b'a = """a\\   \n\n\t b"""', b'a = """\\\n"""',
    b'a = """\\\r\n  x"""', b'a = """a\\\n"""', b'a = """\\u0041"""', b'a = """\\t\t"""',
    b"a = ''''''", b"a = '''\nx'''", b"a = '''x\\'''", b"a = '''it's'''", b"a = '''x''''", b"a = '''x'''''",
    b"a = '''\n\\n\n'''", b"a = ''''x'''", b'a = """x"""\nb = 1', b"a = '''\r\n\r\n'''",
    # integers
    b"a = 0", b"a = +0", b"a = -0", b"a = 1", b"a = +99", b"a = -17", b"a = 1_000", b"a = 1_2_3",
    b"a = 9223372036854775807", b"a = -9223372036854775808", b"a = 0x0", b"a = 0xDEADbeef",
    b"a = 0xdead_beef", b"a = 0x00ff", b"a = 0o01234567", b"a = 0o7_7", b"a = 0b0", b"a = 0b1101_0110",
    b"a = 0x7fffffffffffffff",
    # floats
    b"a = 1.0", b"a = +1.0", b"a = -0.01", b"a = 5e+22", b"a = 1e06", b"a = -2E-2", b"a = 6.626e-34",
    b"a = 224_617.445_991_228", b"a = 1e1_0", b"a = 0.0", b"a = -0.0", b"a = 0e0", b"a = inf", b"a = +inf",
    b"a = -inf", b"a = nan", b"a = +nan", b"a = -nan", b"a = 1e999", b"a = 1e-999", b"a = 3.0e007",
    b"a = 1." + b"3" * 700, b"a = 0.1_1e-1_0",
    # booleans
    b"a = true", b"a = false", b"a = true# x",
    # dates and times
    b"a = 1979-05-27", b"a = 1979-05-27 ", b"a = 1979-05-27 # x", b"a = 1979-05-27T07:32:00",
    b"a = 1979-05-27t07:32:00", b"a = 1979-05-27 07:32:00", b"a = 1979-05-27T07:32:00Z",
    b"a = 1979-05-27T07:32:00z", b"a = 1979-05-27T00:32:00-07:00", b"a = 1979-05-27T00:32:00+23:59",
    b"a = 1979-05-27T00:32:00.999999-07:00", b"a = 1979-05-27 07:32:00.5", b"a = 07:32:00",
    b"a = 00:32:00.999999", b"a = 00:32:00.123456789", b"a = 23:59:59.000001", b"a = 2000-02-29",
    b"a = 2024-02-29", b"a = 0001-01-01", b"a = 9999-12-31T23:59:59.999999Z", b"a = 2024-05-06T00:00:00-00:00",
    b"a = [1979-05-27,07:32:00]", b"a = {d = 1979-05-27}", b"a = [1979-05-27 , 07:32:00 ]",
    # arrays
    b"a = []", b"a = [ ]", b"a = [\n]", b"a = [1]", b"a = [1,]", b"a = [1, 2, ]", b"a = [ [1,2], ['x'] ]",
    b"a = [1, 'x', true, {b = 2}]", b"a = [ # c\n 1, # d\n # e\n 2 # f\n, # g\n]", b"a = [\n1\n,\n2\n]",
    b"a = [[[[]]]]", b"a = [{}, {a=1}, []]", b'a = ["""x\ny""", \'\'\'z\'\'\']', b"a = [\r\n1\r\n]", b"a=[1]#x",
    # inline tables
    b"a = {}", b"a = { }", b"a = {b = 1}", b"a = { b = 1, c = 'x' }", b"a = {b.c = 1, b.d = 2}",
    b"a = {b = {c = {}}}", b"a = {'x y' = 1}", b"a = {b = [\n1,\n2\n]}", b"a = {b = 1}\n[c]\na.x = 1",
    b'a = {b = """\n"""}', b"a = {b.c = {d = 1}, b.e = 2}",
    # tables
    b"[a]", b"[a]\n", b"[ a ]", b"[a.b.c]", b"[ a . b ]", b'["a.b"]', b"['']", b"[a]\nb = 1\n[c]\nb = 2",
    b"[a.b]\nx = 1\n[a]\ny = 2", b"[a]\n[a.b]\n[a.b.c]", b"[a.b.c]\n[a.b]\n[a]", b"[a] # comment",
    b"[a]\nb.c = 1\n[a.d]", b"[a]\nb.c = 1\n[a.b.d]", b"[a.b.c]\n[a]\nb.d = 1", b"a.b = 1\n[a.c]", b"[x.y.z.w]\n[x]",
    b"  [a]\n  b = 1", b"x = 1\n[y]\nx = 1", b"[a.b.c]\nz = 9\n[a]\nb.d.e = 1",
    # arrays of tables
    b"[[a]]", b"[[a]]\n[[a]]", b"[[ a ]]", b"[[a]]\nb = 1\n[[a]]\nb = 2", b"[[a.b]]\n[[a.b]]",
    b"[[a]]\n[a.b]\nx = 1\n[[a]]\n[a.b]\nx = 2", b"[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]\n[[a.b]]",
    b"[a]\n[[a.b]]", b"[[a.b]]\n[a]\nc = 1", b"[[a]]\nb.c = 1\n[[a]]\nb.c = 2", b"[[a]]\n[a.b.c]\n[a.b]",
    b"[[a.b]]\nx = 1\n[a.c]\ny = 1", b"[[a]]\nb.c = 1\n[a.b.d]\n[[a]]\n[a.b]",
]

INVALID = [
    # lines
    b"a", b"a =", b"= 1", b"a = 1 b = 2", b"a = 1, b = 2", b"a == 1", b"a = \n1", b"a\n= 1", b"a = 1 2",
    b"a = # x", b"a: 1", b"a = 1;", b"// x", b"\"a", b"!a = 1", b"{a = 1}", b"]", b"a = 1 ]",
    # bytes
    b"\xef\xbb\xbfa = 1", b"a = '\xff'", b"# \xff", b"a = '\xc0\x80'", b"a = '\xed\xa0\x80'", b"a = '\xf4\x90\x80\x80'",
    b"a = '\xc3'", b"a = 1\rb = 2", b"\r", b"a = 1\r", b"# x\ry", b"a = 1 # x\r", b"a = 1\r\r\n", b"\x00", b"a = 1\x00",
    b"# \x00", b"# \x7f", b"# \x1f", b"a = '\x00'", b"\x0ca = 1", b"\xc2\xa0a = 1", b"a =\xc2\xa01", b"\x0b", b"\x1aa = 1",
    # keys
    b"a b = 1", b"a. = 1", b".a = 1", b"a..b = 1", b". = 1", b"\xc3\xa4 = 1", b"a+b = 1", b'"""a""" = 1', b"'''a''' = 1",
    b'"a\nb" = 1', b"'a\nb' = 1", b'"a = 1', b"'a = 1", b'"\\x" = 1', b"a.'b = 1", b"a\nb = 1", b'"a"b = 1', b"a#b = 1",
    b'a."""b""" = 1',
    # strings
    b'a = "', b"a = '", b'a = "x', b"a = 'x", b'a = "x\ny"', b"a = 'x\ny'", b'a = "\\a"', b'a = "\\x41"', b'a = "\\e"',
    b'a = "\\"', b'a = "\\ "', b'a = "\\\n"', b'a = "\\u12"', b'a = "\\u123g"', b'a = "\\U0000004"', b'a = "\\ud800"',
    b'a = "\\uDFFF"', b'a = "\\U00110000"', b'a = "\\UFFFFFFFF"', b'a = "\x01"', b'a = "\x7f"', b"a = '\x01'",
    b"a = '\x7f'", b'a = "x" "y"', b'a = "x"y', b"a = 'it's'", b"a = x", b'a = "x\ry"', b"a = 'x\ry'",
    b'a = """', b'a = """x', b'a = """x"', b'a = """x""', b'a = """x\\"""', b'a = """x""""""', b'a = """\x01"""',
    b'a = """\r"""', b'a = """a\rb"""', b'a = """\\ x"""', b'a = """\\a"""', b'a = """\\u00"""', b'a = """\\', b'a = """\\  ',
    b"a = '''", b"a = '''x", b"a = '''x''", b"a = '''x''''''", b"a = '''\x01'''", b"a = '''\r'''", b'a = """\\\t\tx"""',
    b'a = """a\\ \r b"""', b'a = "\\U0010FFF"', b'a = "\\',
    # integers
    b"a = 01", b"a = -01", b"a = +01", b"a = 00", b"a = 1_", b"a = _1", b"a = 1__0", b"a = +_1", b"a = ++1", b"a = --1",
    b"a = +-1", b"a = + 1", b"a = 0x", b"a = 0xg", b"a = 0x_1", b"a = 0x1_", b"a = 0x1__1", b"a = +0x1", b"a = -0o7",
    b"a = 0o8", b"a = 0b2", b"a = 0X1", b"a = 0O7", b"a = 0B1", b"a = 0_1", b"a = 1x", b"a = 0b", b"a = 0o", b"a = 1 000",
    b"a = +", b"a = -", b"a = _", b"a = 0x1.0", b"a = 0b1e1", b"a = 1,000", b"a = \xd9\xa1",
    # floats
    b"a = .5", b"a = 5.", b"a = 1.e5", b"a = 1e", b"a = 1e+", b"a = 1e1.5", b"a = 1._5", b"a = 1_.5", b"a = 1.5_",
    b"a = 1.5__5", b"a = 1e_5", b"a = 1e5_", b"a = 01.5", b"a = 00.5", b"a = +.5", b"a = 1.2.3", b"a = 1ee5", b"a = e5",
    b"a = Inf", b"a = NaN", b"a = infinity", b"a = +-inf", b"a = inf_", b"a = i", b"a = in", b"a = na", b"a = 1.5f",
    b"a = --inf", b"a = 0e", b"a = 1_e5", b"a = 1.0e_1",
    # booleans
    b"a = True", b"a = TRUE", b"a = tru", b"a = truer", b"a = t", b"a = false1", b"a = yes", b"a = null", b"a = truefalse",
    # dates and times
    b"a = 1979-5-27", b"a = 1979-05-7", b"a = 1979-13-01", b"a = 1979-00-01", b"a = 1979-01-00", b"a = 1979-01-32",
    b"a = 1979-02-29", b"a = 1900-02-29", b"a = 2024-02-30", b"a = 2024-04-31", b"a = 0000-01-01", b"a = 1979-05-27T",
    b"a = 1979-05-27T07", b"a = 1979-05-27T07:32", b"a = 1979-05-27T24:00:00", b"a = 1979-05-27T07:60:00",
    b"a = 1979-05-27T07:32:60", b"a = 1979-05-27T07:32:61", b"a = 1979-05-27T07:32:00.", b"a = 1979-05-27T07:32:00.Z",
    b"a = 1979-05-27T07:32:00+7:00", b"a = 1979-05-27T07:32:00+24:00", b"a = 1979-05-27T07:32:00+07:60",
    b"a = 1979-05-27T07:32:00+07", b"a = 1979-05-27T07:32:00ZZ", b"a = 1979-05-27  07:32:00", b"a = 1979-05-27 07:32",
    b"a = 07:32", b"a = 7:32:00", b"a = 24:00:00", b"a = 07:32:00Z", b"a = 07:32:00+01:00", b"a = 07:32:60",
    b"a = 197-05-27", b"a = 19790-05-27", b"a = 1979-05", b"a = 1979-05-27x", b"a = 07:32:00.", b"a = 1979/05/27",
    b"a = 1979-05-27T07:32:00 Z", b"a = 1979-05-27\t07:32:00", b"a = 1979-05-27T07:32:00,5", b"a = -1979-05-27",
    b"a = 1979-05-27Z", b"a = 1979-05-27 1",
    # arrays
    b"a = [", b"a = [1", b"a = [1,", b"a = ]", b"a = [1 2]", b"a = [,]", b"a = [1,,2]", b"a = [,1]", b"a = [1]]", b"a = [[1]",
    b"a = [1, # x", b"a = [1 # x ]", b"a = [a]", b"a = [\r1]", b"a = [b = 1]", b"a = [1;2]", b"a = [1\n2]", b"a = [1]\n2",
    # inline tables
    b"a = {", b"a = {b", b"a = {b =", b"a = {b = 1", b"a = {b = 1,", b"a = {b = 1,}", b"a = {,}", b"a = {b = 1 c = 2}",
    b"a = {b = 1,, c = 2}", b"a = {\nb = 1}", b"a = {b = 1\n}", b"a = {b = 1,\nc = 2}", b"a = {b = 1, b = 2}",
    b"a = {b = 1, b.c = 2}", b"a = {b.c = 1, b = 2}", b"a = {b = {}, b.c = 1}", b"a = {b = [], b.c = 1}", b"a = {1}",
    b"a = {b = 1} }", b"a = {b: 1}", b"a = {b = 1 # x\n}", b"a = {[b]}", b"a = {b.c = {}, b.c.d = 1}", b"a = {b = [{}], b.c = 1}",
    # tables
    b"[", b"[]", b"[a", b"[a.", b"[a.]", b"[.a]", b"[a..b]", b"[a b]", b"[a]]", b"[a] b = 1", b"[a]\n[a]", b"[ ]",
    b"[a\n]", b"[a]x", b"[a#b]", b"[a]\n[b]\n[a]", b"a = 1\n[a]", b"a = 1\n[a.b]", b"a = {}\n[a]", b"a = {}\n[a.b]",
    b"a = []\n[a]", b"a = []\n[a.b]", b"[a]\nb = 1\n[a.b]", b"[a]\nb = 1\n[a.b.c]", b"[a.b]\n[a]\nb = 1", b"[a = 1]",
    b"[a]\nb = {}\n[a.b.c]", b"[\"a\"]\n[a]", b"['a\n']", b"[a]\nx = 1\nx = 2", b"a = 1\na = 2", b"a = 1\n'a' = 2",
    b"a = 1\na.b = 2", b"a.b = 1\na = 2", b"a.b = 1\na.b = 2", b"a.b = 1\na.b.c = 2", b"a.b.c = 1\na.b = 2",
    b"a = {}\na.b = 1", b"a = {b.c = 1}\na.b.d = 2", b"a.b = {}\na.b.c = 1", b"a.b = 1\n[a]", b"a.b.c = 1\n[a.b]",
    b"[a]\nb.c = 1\n[a.b]", b"[a.b]\nx = 1\n[a]\nb.y = 2", b"[a.b.c]\n[a]\nb.c.d = 1", b"[a]\n[a.b]\n[a]",
    b"[a.b.c]\n[a]\nb.d = 1\n[a.b]", b"a = [1]\na.b = 1", b"[ [a]]", b"[a]\nb.c = 1\n[x]\n[a.b]", b"a.b = 1\n[c]\n[a]",
    # arrays of tables
    b"[[", b"[[]]", b"[[a", b"[[a]", b"[[a] ]", b"[[a]]]", b"[a]\n[[a]]", b"[[a]]\n[a]", b"a = []\n[[a]]", b"a = [{}]\n[[a]]",
    b"a = 1\n[[a]]", b"[a.b]\n[[a]]", b"[[a.b]]\n[[a]]", b"[[a]]\n[[a.b]]\n[a.b]", b"[[a]]\nb = 1\n[[a.b]]", b"[[a]]\n[a.b]\n[[a.b]]",
    b"a = [{b = 1}]\n[a.c]", b"a = [{}]\na.b = 1", b"a = {}\n[[a]]", b"a.b = 1\n[[a]]", b"[[a.b]]\n[a]\nb.c = 1",
    b"[[a]]\nb.c = 1\n[[a.b]]", b"[[a]]\nb.c = 1\n[a.b]", b"[[a\n]]", b"[a]\nb = []\n[[a.b]]", b"[[a]]x", b"[[a]]\n[a.b]\n[a.b]",
]


class Writer:
    """Writes random documents: most of them nearly right, with few names, so that they collide."""

    def __init__(self, random_):
        self.r = random_

    def one_of(self, *choices):
        return self.r.choice(choices)

    def key_part(self):
        return self.one_of("a", "b", "c", "d", "a", "b", "c", '"a"', "'b'", '"\\u0063"', "x-1", "''", '"ä"')

    def key(self):
        dot = self.one_of(".", ".", ".", " . ", "\t.")
        return dot.join(self.key_part() for _ in range(self.one_of(1, 1, 1, 2, 2, 3)))

    def text(self):
        return "".join(self.one_of("a", "ß", "😀", " ", "\t", '"', "'", "\\", "\\n", "\\u00e9", "\\U0001F600", "#", "\n",
                                   "\r\n", "\\\n  ", "=", "]", '""', "''", "\\ud800", "\\q")
                       for _ in range(self.r.randrange(5)))

    def string(self):
        quote = self.one_of('"', "'", '"""', "'''")
        text = self.text()
        if self.r.random() < 0.8:  # make it fit
            if len(quote) == 1:
                text = text.replace("\n", "").replace("\r", "")
            text = text.replace(quote[0], "").replace("\\ud800", "").replace("\\q", "")
            if quote[0] == '"' and text.endswith("\\"):
                text += "\\"
        return quote + text + quote

    def number(self):
        return self.one_of(
            str(self.r.randrange(-1000, 1000)), str(self.r.getrandbits(64) - 2**63), repr(self.r.uniform(-1e6, 1e6)),
            f"{self.r.random():e}", hex(self.r.getrandbits(40)), oct(self.r.getrandbits(20)), bin(self.r.getrandbits(9)),
            f"{self.r.randrange(10**9):_}", "inf", "-nan", "0", "-0.0", "007", "1_", "9223372036854775808",
            "".join(self.one_of(*"0123456789_.eExob+-") for _ in range(self.r.randrange(1, 8))))

    def time(self):
        r = self.r
        date = f"{r.choice([1, 1999, 2000, 2024, 1900, 0]):04}-{r.randrange(14):02}-{r.randrange(33):02}"
        clock = f"{r.randrange(25):02}:{r.randrange(61):02}:{r.randrange(61):02}" + r.choice(["", "", ".5", ".1234567", "."])
        zone = r.choice(["", "Z", "z", "+01:30", "-23:59", "+24:00", "-0:00"])
        return r.choice([date, date + r.choice("Tt ") + clock + zone, clock, date + "T" + clock])

    def value(self, depth=0):
        kind = self.r.randrange(10 if depth < 4 else 7)
        if kind < 2:
            return self.string()
        if kind < 4:
            return self.number()
        if kind < 5:
            return self.one_of("true", "false", "true", "false", "True", "")
        if kind < 7:
            return self.time()
        if kind < 8:
            return "{" + self.one_of(", ", ",", " , ").join(
                f"{self.key()} = {self.value(depth + 1)}" for _ in range(self.r.randrange(4))) + "}"
        gap = self.one_of("", " ", "\n", " # c\n", "\r\n")
        return "[" + gap + f",{gap}".join(self.value(depth + 1) + gap for _ in range(self.r.randrange(4))) + \
            self.one_of("", "", ",") * bool(gap) + gap + "]"

    def line(self):
        kind = self.r.randrange(12)
        if kind < 6:
            return f"{self.key()} = {self.value()}"
        if kind < 8:
            return f"[{self.key()}]"
        if kind < 10:
            return f"[[{self.key()}]]"
        return self.one_of("", "# comment", "  ", f"{self.key()} = 1", f"{self.key()} = {{}}")

    def short_line(self):
        """Only about tables: what may be defined where."""
        kind = self.r.randrange(10)
        key = ".".join(self.one_of("a", "b", "c") for _ in range(self.one_of(1, 1, 2, 2, 3)))
        if kind < 4:
            return f"{key} = " + self.one_of("1", "1", "{}", "[]", "{b.c = 1}", "[{}]")
        return f"[{key}]" if kind < 7 else f"[[{key}]]"

    def mutate(self, document):
        """Spoils a few bytes of a document that was fine."""
        spoilt = bytearray(document)
        for _ in range(self.r.randrange(1, 3)):
            at = self.r.randrange(len(spoilt) + 1)
            new = self.r.choice([b"\"", b"'", b"\\", b"\n", b"\r", b"[", b"]", b"{", b"}", b",", b".", b"=", b"#", b"0", b"_",
                                 b"\xff", b"\x00", b"\x7f", b" ", b"e", b"-", b":", b"T", b"u", b"\xc3\xa4", b"\"\"\"", b"\\\n"])
            spoilt[at:at + self.r.randrange(3)] = new if self.r.random() < 0.7 else b""
        return bytes(spoilt)


def generated(seed, count):
    random_ = random.Random(seed)
    writer = Writer(random_)
    for i in range(count):
        if i % 3 == 0:
            yield writer.mutate(random_.choice(VALID) + random_.choice([b"", b"\n" + random_.choice(VALID)]))
        elif i % 3 == 1:
            yield "\n".join(writer.short_line() for _ in range(random_.randrange(1, 6))).encode()
        else:
            yield random_.choice(["\n", "\n", "\r\n"]).join(
                writer.line() for _ in range(random_.randrange(1, 5))).encode()
