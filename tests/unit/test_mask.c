#include "hashing/mask.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "hashing/utf8.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

static void expect_masked(struct lf_text line, const char *expected)
{
	char out[LF_TEMPLATE_MAX];
	uint64_t hash;
	size_t len = lf_mask(line, out, &hash);

	cr_expect(len == strlen(expected) && memcmp(out, expected, len) == 0,
		  "\"%.*s\"\n  is        \"%.*s\"\n  should be \"%s\"", (int)line.len, line.data,
		  (int)len, out, expected);
}

#define MASKED(line, expected) expect_masked(TEXT(line), expected)
#define KEPT(line) expect_masked(TEXT(line), line)

Test(mask, prose_stays_as_it_is)
{
	KEPT("Server started");
	KEPT("could not open file: No such file or directory");
	KEPT("Can't find it, won't look; it's 'several words' here...");
	KEPT("read/write or I/O at 'the end', e.g. foo() and \"two words\"!");
	KEPT("");
}

Test(mask, whatever_holds_a_digit_is_variable)
{
	MASKED("user 17 logged in", "user <*> logged in");
	MASKED("job-3f took -1.5, eth0 #5 50%.", "<*> took <*>.");
	MASKED("id 6ba7b810-9dad-11d1-80b4-00c04fd430c8 at 0xdeadbeef!", "id <*> at <*>!");
}

Test(mask, a_number_takes_its_unit_along_and_a_restatement_is_dropped)
{
	MASKED("retry in 5 seconds, took 1 ms.", "retry in <*>, took <*>.");
	MASKED("sent 1396 bytes (1.36 KB), 10 MB/s", "sent <*>");
	MASKED("lifetime <1 sec", "lifetime <*>");
	MASKED("5 apples, 5 m=3; 5 s(x), x5 ms", "<*> apples, <*> m=<*>; <*> s(x), <*> ms");
}

Test(mask, dates_and_times_of_any_style_are_one_variable)
{
	MASKED("at Sat Jul  9 12:16:49 2005", "at <*>");
	MASKED("Thu, 01 Jan 1970 00:00:00 GMT: epoch", "<*>: epoch");
	MASKED("2023-10-10T13:55:36.123+02:00 up", "<*> up");
	MASKED("[10/Oct/2023:13:55:36 +0000] up", "[<*>] up");
	MASKED("Monday, January 5, 2024 at 10:15:32 PM", "<*> at <*>");
	KEPT("You May not. The Sun is up, March on, Mon ami");
}

Test(mask, addresses_of_every_kind_are_variable)
{
	MASKED("from 10.0.0.1:80 to 00:11:22:aa:bb:cc: ok", "from <*> to <*>: ok");
	MASKED("fe80::1%eth0 | 2001:db8::1/64 | ::1 | aa:bb:cc:dd:ee:ff", "<*> | <*> | <*> | <*>");
	MASKED("on :: port 22, [::]:80", "on <*> port <*>, [<*>]:<*>");
	MASKED("db.example.com:5432 main.c:10:5: me@host", "<*>: <*>");
	KEPT("std::vector a::b ::c panel.clipTop");
}

Test(mask, urls_and_paths_are_variable)
{
	MASKED("see https://[::1]:8/x?y=z, (ftp://a/b).", "see <*>, (<*>).");
	MASKED("open /etc/x and ./a or ~bob/c or a/b/c or a/b.c on /",
	       "open <*> and <*> or <*> or <*> or <*> on <*>");
	MASKED("GET /find?q=a,b:c&d=e HTTP/1.1", "GET <*>");
	MASKED("C:\\Users\\bob; \\\\host\\share", "<*>; <*>");
	MASKED("</p> a/b dom\\user org.example.Main", "</p> a/b dom\\user <*>");
}

Test(mask, the_kind_of_an_error_is_part_of_the_message)
{
	MASKED("Caused by: java.net.ConnectException: refused after 3 tries",
	       "Caused by: java.net.ConnectException: refused after <*> tries");
	MASKED("a.b.C1Error at org.example.Worker", "<*> at <*>");
}

Test(mask, quoted_words_are_variable_and_keep_their_quotes)
{
	MASKED("no \"users\" in 'x' or `y'", "no \"<*>\" in '<*>' or `<*>'");
	MASKED("cannot access 'foo': gone", "cannot access '<*>': gone");
	MASKED("f(\"a\", \"b\", \"c\")", "f(\"<*>\")");
	KEPT("\"\" ':' \"x\"y x\"y\"");
}

Test(mask, json_keeps_its_keys_and_the_message)
{
	MASKED("{\"level\":\"INFO\",\"msg\":\"Started\",\"port\":80,\"user\":\"Bob\",\"k2\":\"Foo\"}",
	       "{\"level\":\"INFO\",\"msg\":\"Started\",\"port\":<*>,\"user\":\"<*>\",\"<*>\":\"<*>\"}");
	MASKED("{\"a\": \"plain\", \"b\": true, 'c': 'X'}", "{\"a\": \"plain\", \"b\": true, 'c': '<*>'}");
}

Test(mask, key_and_value_keep_the_key_and_plain_states)
{
	MASKED("level=INFO msg=\"Started\" user=Bob state=read-only ok=True x= y=a.b",
	       "level=INFO msg=\"Started\" user=<*> state=read-only ok=True x= y=<*>");
	MASKED("mymsg=Started a[i]=Foo b==Foo", "mymsg=<*> a[i]=<*> b==Foo");
}

Test(mask, lists_of_variables_are_one)
{
	MASKED("irqs 3 4 5, 6,7 - 8:9 done", "irqs <*> done");
	MASKED("from 10.0.0.1 (a1.example.com) or 10.0.0.1 ()", "from <*> or <*>");
	MASKED("f(5) (6) 7; 8 | 9", "f(<*>) (<*>) <*>; <*> | <*>");
}

Test(mask, field_widths_rulers_and_progress_bars_do_not_count)
{
	MASKED("[    5] ( 6 ) x", "[<*>] (<*>) x");
	MASKED("======> 45% [####   ]", "===> <*> [### ]");
	MASKED("  a \t b\t\r", "a b");
}

Test(mask, escape_sequences_are_dropped_before_anything_else)
{
	MASKED("\x1b[1;31mERROR\x1b[0m: disk 3", "ERROR: disk <*>");
	MASKED("a\x1b]0;title\x07" "b\x1b]8;;u\x1b\\c\x1b(B\x1b=d", "abcd");
	MASKED("12:\x1b[2m30\x1b[0m \x1b[3mk\x1b[m=\x1b[1mV", "<*> k=<*>");
	MASKED("a\x1b", "a");
	MASKED("a\x1b[31", "a");
	MASKED("a\x1b]0;never closed", "a");
}

Test(mask, bad_bytes_and_nul_are_escaped_and_count_as_letters)
{
	MASKED("caf\xe9 \xff" "5 na\xefve\xe8\xe9", "caf\\xe9 <*> na\\xefve\\xe8\\xe9");
	MASKED("a\0b", "a\\x00b");
	MASKED("\x07 5\x7f", "\x07 <*>\x7f");
	MASKED("gr\xc3\xbc\xc3\x9f dich", "gr\xc3\xbc\xc3\x9f dich");
}

/* Masks `line` repeated `times` times and returns the length. */
static size_t mask_repeated(const char *line, size_t times, char out[LF_TEMPLATE_MAX])
{
	static char text[20000];
	size_t unit = strlen(line), i;
	uint64_t hash;

	cr_assert_leq(unit * times, sizeof(text));
	for (i = 0; i < times; i++)
		memcpy(text + i * unit, line, unit);
	return lf_mask((struct lf_text){ text, unit * times }, out, &hash);
}

Test(mask, long_lines_are_cut_between_characters_on_both_sides)
{
	char out[LF_TEMPLATE_MAX];

	cr_expect_eq(mask_repeated("xy", 5000, out), LF_TEMPLATE_MAX);
	cr_expect_eq(mask_repeated("\xe2\x82\xac", 5000, out), LF_TEMPLATE_MAX / 3 * 3);
	cr_expect_eq(mask_repeated("\xff", 5000, out), 1344);
	cr_expect_eq(mask_repeated("1;", 2048, out), LF_TEMPLATE_MAX);
	cr_expect_eq(mask_repeated("1;;", 1365, out), LF_TEMPLATE_MAX - 1);
	cr_expect_eq(mask_repeated("1 ", 2048, out), 3);
	cr_expect_eq(mask_repeated("\x1b[m1;", 1000, out), 2 * 1344);
}

Test(mask, masking_twice_changes_nothing)
{
	static const struct lf_text lines[] = {
		TEXT("Sat Jul  9 12:16:49 2005 host.a.b:5 (1.2.3.4) \"GET /x HTTP/1.1\" 5 seconds."),
		TEXT("{\"k2\":\"Foo\",\"x\":[1, 2]} a=Foo b=\"Foo\" x5=\"foo\" [   5] 'a':5"),
		TEXT("1.5:: ::1 \"foo\"5 5\"foo\" <1 s, f(5) (6) x-::1 ===== \xff\xfe caf\xe9 C:\\a\\b"),
	};
	char once[LF_TEMPLATE_MAX], twice[LF_TEMPLATE_MAX];
	uint64_t hash;
	size_t i, len;

	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		len = lf_mask(lines[i], once, &hash);
		cr_expect_eq(lf_mask((struct lf_text){ once, len }, twice, &hash), len);
		cr_expect_eq(memcmp(once, twice, len), 0, "\"%.*s\" becomes \"%.*s\"", (int)len, once,
			     (int)len, twice);
	}
}

Test(mask, equal_output_has_equal_hash_and_errno_is_left_alone)
{
	char out[LF_TEMPLATE_MAX];
	uint64_t a, b, c;

	errno = EXDEV;
	(void)lf_mask(TEXT("user 17 logged in"), out, &a);
	memset(out, 0xaa, sizeof(out));
	(void)lf_mask(TEXT("user   4711  logged in\r"), out, &b);
	(void)lf_mask(TEXT("user 17 logged on"), out, &c);
	cr_expect_eq(a, b);
	cr_expect_neq(a, c);
	cr_expect_eq(errno, EXDEV);
}

static bool alike(struct lf_text line, const char *expected)
{
	char out[LF_MASK_ALIKE_MAX];
	uint64_t hash;

	if (!lf_mask_alike(line, out, &hash))
		return false;
	cr_expect_eq(memcmp(out, expected, line.len), 0, "\"%.*s\"", (int)line.len, out);
	return true;
}

Test(mask, a_line_with_zeros_for_its_digits_stands_for_all_that_differ_in_digits)
{
	static char longest[LF_MASK_ALIKE_MAX + 1], zeros[LF_MASK_ALIKE_MAX];

	cr_expect(alike(TEXT("request 17 took 9"), "request 00 took 0"));
	cr_expect(alike(TEXT("request 17 of 2 x\tin 3.5 s\r"), "request 00 of 0 x\tin 0.0 s\r"));
	memset(longest, '7', sizeof(longest));
	memset(zeros, '0', sizeof(zeros));
	cr_expect(alike((struct lf_text){ longest, LF_MASK_ALIKE_MAX }, zeros));
	cr_expect_not(alike((struct lf_text){ longest, sizeof(longest) }, zeros));
	cr_expect_not(alike(TEXT("fifteen of them"), ""), "shorter than a vector");
	cr_expect_not(alike(TEXT("an escape \\x41 keeps its digits"), ""));
	cr_expect_not(alike(TEXT("\x1b[31m coloured text 17"), ""));
	cr_expect_not(alike(TEXT("not ASCII: caf\xc3\xa9 17"), ""));
	cr_expect_not(alike(TEXT("with a NUL\0 in it 17"), ""));
}

Test(mask, random_bytes_become_valid_utf8_within_the_limit)
{
	static const char some[] = " 1a:\"/<(=\x1b.[";
	static char line[5000];
	char out[LF_TEMPLATE_MAX];
	uint32_t seed = 2463534242u;
	uint64_t hash;
	size_t round, i, len;

	for (round = 0; round < 4000; round++) {
		len = round % 100 == 0 ? sizeof(line) - round % 7 : round % 120;
		for (i = 0; i < len; i++) {
			seed = seed * 1664525u + 1013904223u;
			line[i] = round & 1 ? (char)(seed >> 24) : some[(seed >> 24) % 12];
		}
		len = lf_mask((struct lf_text){ line, len }, out, &hash);
		cr_assert_leq(len, (size_t)LF_TEMPLATE_MAX);
		cr_assert(lf_utf8_is_clean((struct lf_text){ out, len }), "round %zu", round);
	}
}
