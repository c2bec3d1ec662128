#!/usr/bin/env python3
"""mask/1 once more, written from the rules in hashing/mask.h to be read beside them.

As a module: mask(line: bytes) -> bytes.  As a program: checks mask1.jsonl beside it, or with
`-` masks the lines of stdin.  Slow and plain on purpose.
"""
import json
import os
import re
import sys

LIMIT = 4096
CLEANED = 1344
PLACEHOLDER = b"<*>"

LOWER = frozenset(b"abcdefghijklmnopqrstuvwxyz")
UPPER = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
LETTER = LOWER | UPPER
DIGIT = frozenset(b"0123456789")
HEX = DIGIT | frozenset(b"abcdefABCDEF")
HIGH = frozenset(range(0x80, 0x100))
BLANK = frozenset(b" \t")
CONTROL = frozenset(range(0x20)) | {0x7F}
ENDING = CONTROL | frozenset(b" ,;:=()[]{}<>\"'|`")
WORD = LETTER | DIGIT | HIGH | frozenset(b"_")
SIGN = frozenset(b"+-")
MARK = frozenset(b"!#$%&*^+-.~@?")
TAIL = frozenset(range(0x80, 0xC0))

ESCAPE = re.compile(rb"\\x[0-9a-f]{2}")
SEQUENCE = re.compile(
    rb"\x1b(?:\[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]?"
    rb"|[\]PX^_](?:[^\x07\x1b]|\x1b(?!\\))*(?:\x07|\x1b\\)?"
    rb"|[\x20-\x2f]*[\x30-\x7e]?)")
ADDRESS = re.compile(rb"(?:[0-9A-Fa-f]{1,4})?(?:::?[0-9A-Fa-f]{1,4})*(?:::)?")
GLUE = {b"", b",", b":", b" ", b", ", b" - ", b'","', b'", "', b"','", b"', '"}

MONTHS = (b"January February March April May June July August September October November "
          b"December").split()
WEEKDAYS = b"Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
ZONES = set(b"AM PM UTC GMT EST EDT CST CDT MST MDT PST PDT WET CET CEST EET EEST BST MSK IST HKT "
            b"JST KST AEST AEDT NZST NZDT".split())
UNITS = set(b"""
    b bit bits byte bytes bps celsius fahrenheit fps rpm percent km mm
    k kb kib kbit kbps kbyte kbytes kilobyte kilobytes
    m mb mib mbit mbps mbyte mbytes megabyte megabytes
    g gb gib gbit gbps gigabyte gigabytes tb tib terabyte terabytes pb pib
    hz khz mhz ghz hertz
    ns nsec nsecs nanos nanosecond nanoseconds us usec usecs micros microsecond microseconds
    ms msec msecs millis millisecond milliseconds s sec secs second seconds
    min mins minute minutes h hr hrs hour hours d day days w week weeks month months
    year years""".split())
CONSTANTS = set(b"True False TRUE FALSE None NULL Null Yes No YES NO On Off ON OFF".split())
MESSAGE_KEYS = b"msg message text log event error err reason level lvl severity".split()


# ---- A: the text that is masked ----

def character_at(data, pos):
    """The length of the UTF-8 character at pos, NUL excepted; 0 when there is none."""
    for length in (1, 2, 3, 4):
        try:
            data[pos:pos + length].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return 0 if data[pos] == 0 else length
    return 0


def escape(data, size):
    out, pos = b"", 0
    while pos < len(data):
        length = character_at(data, pos)
        piece = data[pos:pos + length] if length else b"\\x%02x" % data[pos]
        if len(out) + len(piece) > size:
            break
        out += piece
        pos += length or 1
    return out


def is_clean(line):
    if b"\x1b" in line or b"\0" in line:
        return False
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def text_of(line):
    if len(line) > LIMIT:
        cut = LIMIT
        while cut > LIMIT - 3 and line[cut] in TAIL:
            cut -= 1
        line = line[:cut]
    if not is_clean(line):
        line = escape(SEQUENCE.sub(b"", line)[:CLEANED], CLEANED)
    return line.rstrip(b" \t\r").lstrip(b" \t")


def is_name(word, names):
    return any(word == name or word == name[:3] for name in names)


def is_unit(word):
    parts = word.lower().split(b"/")
    return len(parts) <= 2 and all(part in UNITS for part in parts)


def is_constant(value):
    return (all(c in LOWER or c in b"_+-" for c in value)
            or not any(c in LETTER or c in HIGH for c in value) or value in CONSTANTS)


class Run:
    """text[start:end], the core text[start:core], and the bytes that count in it."""

    def __init__(self, text, start):
        self.start = self.end = start
        self.bytes = set()
        while self.end < len(text) and text[self.end] not in ENDING:
            if ESCAPE.match(text, self.end):
                self.bytes.add(0xFF)
                self.end += 4
            else:
                self.bytes.add(text[self.end])
                self.end += 1
        self.core = start + len(text[start:self.end].rstrip(b".!?"))


class Mask:
    def __init__(self, text):
        self.text = text
        self.pos = 0
        self.out = bytearray()
        self.joint = None
        self.bracketed = None   # the joint that a bracketed placeholder remembers
        self.in_quotation = False
        self.full = False

    def at(self, pos):
        """The byte there; None, which is in no set, outside of the text."""
        return self.text[pos] if 0 <= pos < len(self.text) else None

    def is_ending(self, pos):
        return not 0 <= pos < len(self.text) or self.text[pos] in ENDING

    def behind_blanks(self, pos):
        while self.at(pos) in BLANK:
            pos += 1
        return pos

    def before_blanks(self, pos):
        while self.at(pos - 1) in BLANK:
            pos -= 1
        return pos

    # ---- B: from left to right ----

    def run(self):
        while self.pos < len(self.text) and len(self.out) < LIMIT and not self.full:
            self.step()
        if self.out.endswith(b" "):
            del self.out[-1]
        return bytes(self.out)

    def step(self):
        c = self.text[self.pos]
        if c not in ENDING:
            self.step_run()
        elif c in BLANK:
            self.out += b" "
            self.pos = self.behind_blanks(self.pos)
        elif c in b"\"'`":
            self.step_quote()
        elif self.text.startswith(PLACEHOLDER, self.pos):
            self.placeholder(self.pos + 3)
        elif c == ord("<") and self.is_less_than():
            self.pos += 1
        elif c == ord(":") and self.colon_address():
            self.placeholder(self.colon_address())
        else:
            self.step_other(c)

    def step_other(self, c):
        if c in b")]" and self.joint is not None and self.out[self.joint:] == b" ":
            del self.out[-1]
        if c == ord(")") and self.takes_bracket_back():
            self.pos += 1
        else:
            self.write_byte()

    def write_byte(self):
        c = self.text[self.pos]
        if not (self.out.endswith(bytes([c]) * 3) and (c in MARK or c == ord("="))):
            self.out.append(c)
        self.pos += 1

    def is_less_than(self):
        if self.at(self.pos + 1) not in DIGIT:
            return False
        if self.pos > 0 and self.at(self.pos - 1) not in BLANK and self.at(self.pos - 1) != ord("="):
            return False
        return self.at(Run(self.text, self.pos + 1).end) != ord(">")

    def colon_address(self):
        if self.at(self.pos + 1) == ord(":") and self.is_ending(self.pos - 1):
            return self.address_end(self.pos)
        return None

    def step_run(self):
        run = Run(self.text, self.pos)
        stop = self.variable_end(run)
        if stop is None:
            self.write_run(run)
        elif stop == run.end and run.bytes <= DIGIT | SIGN | {ord(".")} and run.bytes & DIGIT:
            self.placeholder(self.unit_end(stop))
        else:
            self.placeholder(stop)

    def write_run(self, run):
        while self.pos < run.end and len(self.out) < LIMIT:
            self.write_byte()
        if self.pos == run.end:
            return
        self.full = True
        while self.text[self.pos] in TAIL:
            self.pos -= 1
            del self.out[-1]

    # ---- C: writing a placeholder ----

    def placeholder(self, stop):
        self.pos = stop
        if self.out.endswith(b"[ ") or self.out.endswith(b"( "):
            del self.out[-1]
        glue = None if self.joint is None else bytes(self.out[self.joint:])
        if glue in GLUE:
            del self.out[self.joint:]
        elif len(self.out) + len(PLACEHOLDER) > LIMIT:
            self.full = True
        else:
            self.out += PLACEHOLDER
            self.bracketed = self.joint if glue == b" (" else None
            self.joint = len(self.out)

    def takes_bracket_back(self):
        if self.joint is None:
            return False
        if self.bracketed is not None and self.joint == len(self.out):
            self.joint, self.bracketed = self.bracketed, None
        elif self.out[self.joint:] != b" (":
            return False
        del self.out[self.joint:]
        return True

    # ---- D: variable runs ----

    def variable_end(self, run):
        """Where the variable thing ends that starts with this run; None when it is not variable."""
        core = self.text[run.start:run.core]
        if not core:
            return None
        if self.at(run.end) == ord(":"):
            stop = self.variable_end_with_colon(run)
            if stop is not None:
                return stop
        if core.startswith(b"/") and b"?" in core:
            return self.url_end(run.start)
        if (self.has_variable_shape(run, core) or self.is_value(run, core)
                or self.is_date_word(run, core) or self.is_zone(run, core)):
            return run.core
        return None

    def variable_end_with_colon(self, run):
        whole = self.text[run.start:run.end]
        behind = run.end + 1
        if (self.text.startswith(b"//", behind) and whole[0] in LETTER
                and all(c in LETTER | DIGIT or c in b"+-." for c in whole)):
            return self.url_behind_scheme(behind + 2)
        if (len(whole) == 1 and whole[0] in LETTER and self.at(behind) == ord("\\")
                and not ESCAPE.match(self.text, behind)):
            return Run(self.text, behind).core
        if self.at(behind) in DIGIT:
            name, dot, suffix = whole.rpartition(b".")
            if (dot and name and name[-1] in WORD and 1 <= len(suffix) <= 5
                    and all(c in LOWER for c in suffix)):
                return run.end
        if all(c in HEX for c in whole):
            return self.address_end(run.start)
        return None

    def url_behind_scheme(self, pos):
        host = re.compile(rb"\[[^ \t\[\]]*\]").match(self.text, pos)
        return self.url_end(host.end() if host else pos)

    def url_end(self, pos):
        rest = re.compile(rb"[^\x00-\x20\x7f\"'<>()\[\]{}|`]*").match(self.text, pos).group()
        return pos + len(rest.rstrip(b".,;:!?"))

    def has_variable_shape(self, run, core):
        if run.bytes & DIGIT:
            return True
        dots = sum(core[i] == ord(".") and core[i - 1] in WORD and core[i + 1] in WORD
                   for i in range(1, len(core) - 1))
        slashes = core.count(b"/")
        backslashes = core.count(b"\\") - len(ESCAPE.findall(core))
        return (core.startswith(b"/") and self.at(run.start - 1) != ord("<")
                or core.startswith((b"./", b"../")) and len(core) >= 3
                or slashes >= 2 or slashes == 1 and dots >= 1 or backslashes >= 2
                or dots >= 2 and not core.endswith((b"Exception", b"Error"))
                or core.startswith(b"~") and len(core) > 1
                or b"@" in core[1:-1]
                or len(core) >= 8
                and (all(c in b"abcdef" for c in core) or all(c in b"ABCDEF" for c in core))
                or self.has_curly_quotes(core))

    @staticmethod
    def has_curly_quotes(core):
        return len(core) > 6 and (core[:3], core[-3:]) in (
            ("\u2018".encode(), "\u2019".encode()), ("\u201c".encode(), "\u201d".encode()))

    def is_value(self, run, core):
        return (self.is_behind_key(run.start) and not is_constant(core)
                and not self.is_message_key(run.start - 1))

    def is_behind_key(self, pos):
        return (pos >= 2 and self.at(pos - 1) == ord("=")
                and (not self.is_ending(pos - 2) or self.at(pos - 2) in b"])>"))

    def is_message_key(self, end):
        return any(self.text[:end].endswith(key) and self.is_ending(end - len(key) - 1)
                   for key in MESSAGE_KEYS)

    def is_number(self, pos):
        digits = re.compile(rb"[0-9]*").match(self.text, pos).group()
        return 1 <= len(digits) <= 4 and self.at(pos + len(digits)) not in WORD

    def is_date_word(self, run, core):
        if is_name(core, MONTHS):
            behind = self.behind_blanks(run.core)
            return (behind > run.core and self.is_number(behind)) or self.has_day_before(run.start)
        if run.core == run.end and is_name(core, WEEKDAYS):
            pos = run.end + (self.at(run.end) == ord(","))
            behind = self.behind_blanks(pos)
            word = re.compile(rb"[A-Za-z]*").match(self.text, behind).group()
            return behind > pos and (self.is_number(behind) or (
                is_name(word, MONTHS) and self.at(behind + len(word)) not in WORD))
        return False

    def has_day_before(self, pos):
        end = start = self.before_blanks(pos)
        while self.at(start - 1) in DIGIT:
            start -= 1
        return end < pos and 1 <= end - start <= 2 and self.is_ending(start - 1)

    def is_zone(self, run, core):
        before = self.before_blanks(run.start)
        return core in ZONES and before < run.start and self.at(before - 1) in DIGIT

    def unit_end(self, pos):
        start = self.behind_blanks(pos)
        if start == pos or self.at(start) not in LETTER:
            return pos
        run = Run(self.text, start)
        if self.at(run.end) in (ord("="), ord("(")) or not is_unit(self.text[start:run.core]):
            return pos
        return run.core

    # ---- E: quotes ----

    def step_quote(self):
        opening = self.pos
        quote = self.text[opening]
        is_double = quote == ord('"')
        self.write_byte()
        if is_double and self.in_quotation:
            self.in_quotation = False
            return
        if not self.is_ending(opening - 1) or self.text[:opening].endswith(PLACEHOLDER):
            return
        closing = self.closing_quote(opening)
        if closing is not None and self.is_quoted_key(opening, closing):
            self.joint = self.bracketed = closing = None
        if closing is None or not self.is_quoted_value(opening, closing):
            self.in_quotation = self.in_quotation or is_double
            return
        self.placeholder(closing)
        if len(self.out) < LIMIT and not self.full:
            self.write_byte()

    def closing_quote(self, opening):
        quotes = b"`'" if self.text[opening] == ord("`") else self.text[opening:opening + 1]
        for pos in range(opening + 1, len(self.text)):
            if self.text[pos] in quotes:
                goes_on = self.at(pos + 1) in WORD or self.text.startswith(PLACEHOLDER, pos + 1)
                return None if goes_on else pos
            if self.text[pos] in CONTROL | {0x20}:
                return None
        return None

    def is_quoted_key(self, opening, closing):
        before = self.before_blanks(opening) - 1
        return (self.text[opening] in b"\"'"
                and self.at(self.behind_blanks(closing + 1)) == ord(":")
                and (before < 0 or self.text[before] in b"{,"))

    def key_end(self, opening):
        if self.is_behind_key(opening):
            return opening - 1
        colon = self.before_blanks(opening) - 1
        if self.at(colon) != ord(":"):
            return None
        quote = self.before_blanks(colon) - 1
        return quote if quote >= 0 and self.text[quote] in b"\"'" else None

    def is_quoted_value(self, opening, closing):
        value = self.text[opening + 1:closing]
        key = self.key_end(opening)
        if key is None:
            return any(c in WORD for c in value)
        return not is_constant(value) and not self.is_message_key(key)

    # ---- F: addresses ----

    def address_end(self, pos):
        """Where the address ends that starts there; None when none does."""
        found = ADDRESS.match(self.text, pos).group()
        end = pos + len(found)
        groups = len(re.findall(rb"[0-9A-Fa-f]+", found))
        doubles = found.count(b"::")
        if found == b"::":
            return end if (self.at(pos - 1) in (None, *b" \t[(")
                           and self.at(end) in (None, *b" \t])")) else None
        if not (doubles == 0 and 6 <= groups <= 20
                or doubles == 1 and groups <= 7 and any(c in DIGIT for c in found)):
            return None
        if self.at(end) in (ord("%"), ord("/")) or (
                self.at(end) == ord(".") and self.at(end + 1) in DIGIT):
            return Run(self.text, end).core
        return None if self.at(end) in WORD | SIGN else end


def mask(line):
    """The masked text of one line, given without its newline."""
    return Mask(text_of(line)).run()


def line_of(case):
    """The bytes of a vector's line: "line" is text, "hex" bytes; "times" repeats them."""
    line = bytes.fromhex(case["hex"]) if "hex" in case else case["line"].encode()
    return line * case.get("times", 1)


def answer_of(case):
    return case["masked"].encode() * case.get("masked_times", 1)


def check(path):
    bad = count = 0
    with open(path, encoding="utf-8") as vectors:
        for number, row in enumerate(vectors, 1):
            case = json.loads(row)
            line, answer = line_of(case), answer_of(case)
            got = mask(line)
            count += 1
            if got != answer:
                bad += 1
                print("%s:%d: %r\n  is        %r\n  should be %r" % (path, number, line, got, answer))
    print("mask1: %d of %d vectors hold" % (count - bad, count))
    return bad == 0 and count > 0


def main():
    if sys.argv[1:] == ["-"]:
        for line in sys.stdin.buffer:
            sys.stdout.buffer.write(mask(line.rstrip(b"\n")) + b"\n")
        return 0
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mask1.jsonl")
    return 0 if check(path) else 1


if __name__ == "__main__":
    sys.exit(main())
