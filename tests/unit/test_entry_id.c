#include "hashing/entry_id.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

enum { LINE_BYTES = 16384, LEAST_VECTORS = 20 };

static struct lf_id id_of(struct lf_text method, struct lf_text template, struct lf_text frame)
{
	struct lf_identity what = { method, template, frame };
	struct lf_id id;

	lf_entry_id(&what, &id);
	return id;
}

static char unescaped(const char **at)
{
	static const char names[] = "nrtbf\"\\/", values[] = "\n\r\t\b\f\"\\/";
	const char *name;
	unsigned code;

	if (**at == 'u') {
		cr_assert_eq(sscanf(*at + 1, "%4x", &code), 1);
		cr_assert_lt(code, 0x80u, "this parser reads \\u escapes of ASCII only");
		*at += 4;
		return (char)code;
	}
	name = strchr(names, **at);
	cr_assert(name && *name, "unknown escape \\%c", **at);
	return values[name - names];
}

/* Finds `"name": "text"` in a line of JSON that holds strings only, and decodes the text in place
 * of `out`.  Good for the vectors, not for JSON. */
static struct lf_text field(const char *line, const char *name, char *out)
{
	char key[64];
	const char *at;
	size_t len = 0;

	(void)snprintf(key, sizeof(key), "\"%s\": \"", name);
	at = strstr(line, key);
	cr_assert(at, "no %s in: %s", name, line);
	for (at += strlen(key); *at != '"'; at++) {
		cr_assert(*at, "unfinished %s in: %s", name, line);
		if (*at != '\\') {
			out[len++] = *at;
			continue;
		}
		at++;
		out[len++] = unescaped(&at);
	}
	return (struct lf_text){ out, len };
}

static void check_vector(const char *line)
{
	static char method[LINE_BYTES], template[LINE_BYTES], frame[LINE_BYTES], hash[LINE_BYTES];
	char hex[LF_HASH_CHARS + 1];
	struct lf_text expected = field(line, "hash", hash);
	struct lf_id id = id_of(field(line, "method", method),
				field(line, "messageTemplate", template),
				field(line, "topFrame", frame));

	lf_id_to_hex(&id, hex);
	cr_assert_eq(expected.len, LF_HASH_CHARS);
	cr_assert_eq(memcmp(hex, expected.data, LF_HASH_CHARS), 0, "%s is the id of: %s", hex, line);
}

Test(entry_id, every_published_vector_has_the_published_id)
{
	static char line[LINE_BYTES];
	const char *source = getenv("LOGFOLD_SOURCE");
	char path[512];
	FILE *file;
	int vectors = 0;

	(void)snprintf(path, sizeof(path), "%s/tests/vectors/entry_id.jsonl", source ? source : ".");
	file = fopen(path, "r");
	cr_assert(file, "%s cannot be read: start in the source folder or set LOGFOLD_SOURCE", path);
	while (fgets(line, sizeof(line), file)) {
		check_vector(line);
		vectors++;
	}
	(void)fclose(file);
	cr_assert_geq(vectors, LEAST_VECTORS, "%s holds only %d vectors", path, vectors);
}

Test(entry_id, the_overflow_entry_has_its_published_id)
{
	struct lf_id id = id_of(TEXT(LF_OVERFLOW_METHOD), TEXT(LF_OVERFLOW_TEMPLATE),
				TEXT(LF_OVERFLOW_FRAME));
	char hex[LF_HASH_CHARS + 1];

	lf_id_to_hex(&id, hex);
	cr_assert_str_eq(hex, "9d45528e7ca074df9ce5927954115566");
}

Test(entry_id, a_character_that_moves_to_the_next_field_makes_another_id)
{
	struct lf_id whole = id_of(TEXT("printf"), TEXT("user"), TEXT("a!b"));
	struct lf_id moved = id_of(TEXT("print"), TEXT("fuser"), TEXT("a!b"));
	struct lf_id last = id_of(TEXT("printf"), TEXT("usera"), TEXT("!b"));

	cr_assert_neq(memcmp(&whole, &moved, sizeof(whole)), 0);
	cr_assert_neq(memcmp(&whole, &last, sizeof(whole)), 0);
}

Test(entry_id, an_empty_field_may_be_a_null_pointer)
{
	struct lf_text nothing = { NULL, 0 };
	struct lf_id null = id_of(nothing, nothing, nothing);
	struct lf_id empty = id_of(TEXT(""), TEXT(""), TEXT(""));

	cr_assert_eq(memcmp(&null, &empty, sizeof(null)), 0);
}

Test(entry_id, hex_is_lower_case_with_leading_zeros_and_a_nul)
{
	struct lf_id id = { { 0x00, 0x01, 0x9f, 0xfa, 0xde, 0xad, 0xbe, 0xef, [15] = 0x0a } };
	char hex[LF_HASH_CHARS + 1];

	memset(hex, '#', sizeof(hex));
	lf_id_to_hex(&id, hex);
	cr_assert_str_eq(hex, "00019ffadeadbeef000000000000000a");
}
