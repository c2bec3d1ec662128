/* Whatever bytes names and ids are: no two give one key, none reaches another tenant's, and what is read from a tier is a
 * record or is rejected.
 *
 *   fuzz_cache_key [SECONDS [SEED]]    inputs made of random numbers, until the time is up
 *   fuzz_cache_key 0 SEED              that one input alone
 *
 * Each input is made from a seed of its own, which is printed where one fails.  For libFuzzer, that finds its own inputs:
 * clang -fsanitize=fuzzer,address,undefined -DLF_LIBFUZZER -Iinclude -I. with this file, sinks/cache/{key,glob,record}.c
 * and -lzstd -lxxhash.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/key.h"
#include "sinks/cache/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t seed_of_input; /* of what is being tried; 0: it is libFuzzer's */

static void fail(const char *claim)
{
	fprintf(stderr, "fuzz_cache_key: %s (seed %" PRIu64 ")\n", claim, seed_of_input);
	abort();
}

#define CLAIM(condition, claim)          \
	do {                             \
		if (!(condition))        \
			fail(claim);     \
	} while (0)

/* --- input ----------------------------------------------------------------------------------------- */

struct input {
	const uint8_t *data;
	size_t left;
};

static unsigned take_byte(struct input *input)
{
	if (!input->left)
		return 0;
	input->left--;
	return *input->data++;
}

/* At most `max` bytes of what is left. */
static struct lf_text take_text(struct input *input, size_t max)
{
	size_t len = take_byte(input);
	struct lf_text text;

	if (len >= 250) /* now and then up to the limit */
		len = (len - 250) << 8 | take_byte(input);
	len = len > max ? max : len;
	len = len > input->left ? input->left : len;
	text = (struct lf_text){ (const char *)input->data, len };
	input->data += len;
	input->left -= len;
	return text;
}

static bool same(struct lf_text a, struct lf_text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool begins(struct lf_text text, struct lf_text prefix)
{
	return text.len >= prefix.len && memcmp(text.data, prefix.data, prefix.len) == 0;
}

/* --- keys ------------------------------------------------------------------------------------------ */

enum { PARTS = 5 };

struct key {
	struct lf_text parts[PARTS];
	char bytes[LF_KEY_MAX];
	struct lf_text text;   /* empty: the parts make no key */
	struct lf_text prefix; /* that of its space */
};

static void make_key(struct key *key)
{
	struct lf_error err;
	size_t len;

	key->text = key->prefix = (struct lf_text){ key->bytes, 0 };
	if (lf_key_prefix(key->bytes, &len, key->parts, PARTS - 1, &err) < 0)
		return;
	key->prefix.len = len;
	if (lf_key_make(key->bytes, &len, key->prefix, key->parts[PARTS - 1], &err) < 0)
		key->prefix.len = 0;
	else
		key->text.len = len;
}

static bool names_are_alike(const struct key *a, const struct key *b)
{
	for (int i = 0; i < PARTS - 1; i++)
		if (!same(a->parts[i], b->parts[i]))
			return false;
	return true;
}

static void check_one_key(const struct key *key)
{
	struct lf_text parts[PARTS];
	char back[LF_CACHE_ID_MAX];
	size_t len;

	CLAIM(lf_key_split(key->text, parts), "a key that was made can be taken apart");
	for (int i = 0; i < PARTS; i++) {
		CLAIM(lf_key_unescape(back, &len, parts[i]), "a part that was escaped can be read");
		CLAIM(same((struct lf_text){ back, len }, key->parts[i]), "each part comes back as it was");
	}
	for (size_t i = 0; i < key->text.len; i++)
		CLAIM((unsigned char)key->text.data[i] > ' ' && !strchr("*?[]{}^\\\"'", key->text.data[i]),
		      "nothing in a key means anything to a pattern, a shell or a cluster");
}

/* All that begins with the space's prefix. */
static bool pattern_takes(const struct key *of, struct lf_text text)
{
	char pattern[LF_KEY_MAX + 1];

	memcpy(pattern, of->prefix.data, of->prefix.len);
	pattern[of->prefix.len] = '*';
	return lf_glob((struct lf_text){ pattern, of->prefix.len + 1 }, text);
}

static void check_two_keys(const struct key *a, const struct key *b)
{
	bool one_space = names_are_alike(a, b);

	CLAIM(same(a->text, b->text) == (one_space && same(a->parts[PARTS - 1], b->parts[PARTS - 1])),
	      "two keys are one only if all parts are");
	CLAIM(begins(a->text, b->prefix) == one_space, "a key has another's prefix only if it is of the same space");
	CLAIM(pattern_takes(b, a->text) == one_space, "a pattern of a space takes its keys and no other's");
}

/* The same bytes, cut apart elsewhere: what a boundary that moves would make alike. */
static void cut_anew(const struct key *from, struct input *input, char *bytes, struct key *out)
{
	size_t len = 0, at = 0;

	for (int i = 0; i < PARTS; i++) {
		memcpy(bytes + len, from->parts[i].data, from->parts[i].len);
		len += from->parts[i].len;
		if (i < PARTS - 1 && take_byte(input) & 1)
			bytes[len++] = ':';
	}
	for (int i = 0; i < PARTS; i++) {
		size_t max = i < PARTS - 1 ? LF_CACHE_NAME_MAX : LF_CACHE_ID_MAX, part = len - at;

		if (i < PARTS - 1)
			part = from->parts[i].len + take_byte(input) % 3 - 1;
		if (part > len - at)
			part = len - at;
		out->parts[i] = (struct lf_text){ bytes + at, part > max ? max : part };
		at += part;
	}
}

/* Some parts are the other's. */
static void take_parts(struct input *input, const struct key *other, struct key *out)
{
	unsigned alike = take_byte(input);

	for (int i = 0; i < PARTS; i++)
		out->parts[i] = other && alike & 1u << i ? other->parts[i] :
		                        take_text(input, i < PARTS - 1 ? LF_CACHE_NAME_MAX : LF_CACHE_ID_MAX);
}

static void try_keys(struct input *input)
{
	static char bytes[PARTS * (LF_CACHE_ID_MAX + 1)];
	static struct key a, b;
	bool cut = take_byte(input) & 1;

	take_parts(input, NULL, &a);
	if (cut)
		cut_anew(&a, input, bytes, &b);
	else
		take_parts(input, &a, &b);
	make_key(&a);
	make_key(&b);
	if (a.text.len)
		check_one_key(&a);
	if (a.text.len && b.text.len) {
		check_two_keys(&a, &b);
		check_two_keys(&b, &a);
	}
}

/* --- text that nobody escaped ---------------------------------------------------------------------- */

static void try_text(struct input *input)
{
	struct lf_text text = take_text(input, LF_CACHE_ID_MAX), parts[PARTS];
	char *back = malloc(text.len + 1), *again;
	size_t len;

	CLAIM(back, "there is memory");
	if (lf_key_unescape(back, &len, text)) {
		again = malloc(3 * len + 1);
		CLAIM(again, "there is memory");
		CLAIM(same((struct lf_text){ again, lf_key_escape(again, (struct lf_text){ back, len }) }, text),
		      "a text that can be read is the only one of its bytes");
		free(again);
	}
	if (lf_key_split(text, parts))
		for (int i = 0; i < PARTS; i++)
			CLAIM(lf_key_unescape(back, &len, parts[i]) && len, "what is taken apart can be read");
	free(back);
}

/* --- patterns -------------------------------------------------------------------------------------- */

/* Without classes: by the definition, which takes exponential time. */
static bool plainly_takes(struct lf_text pattern, struct lf_text text)
{
	struct lf_text rest = { pattern.data + 1, pattern.len - 1 };

	if (!pattern.len)
		return !text.len;
	if (*pattern.data == '*')
		return plainly_takes(rest, text) ||
		       (text.len && plainly_takes(pattern, (struct lf_text){ text.data + 1, text.len - 1 }));
	if (*pattern.data == '\\' && rest.len) {
		pattern.data++;
		rest = (struct lf_text){ rest.data + 1, rest.len - 1 };
		if (!text.len || *pattern.data != *text.data)
			return false;
	} else if (!text.len || (*pattern.data != '?' && *pattern.data != *text.data)) {
		return false;
	}
	return plainly_takes(rest, (struct lf_text){ text.data + 1, text.len - 1 });
}

static void try_pattern(struct input *input)
{
	struct lf_text pattern = take_text(input, LF_CACHE_ID_MAX), text = take_text(input, LF_CACHE_ID_MAX);
	bool takes = lf_glob(pattern, text);

	if (pattern.len <= 8 && text.len <= 12 && !(pattern.len && memchr(pattern.data, '[', pattern.len)))
		CLAIM(takes == plainly_takes(pattern, text), "a pattern takes what its definition says");
}

/* --- records --------------------------------------------------------------------------------------- */

enum { VALUE_MAX = 1 << 16 };

static bool records_are_alike(const struct lf_record *a, const struct lf_record *b)
{
	if (a->type != b->type || a->flags != b->flags || a->tags_count != b->tags_count || a->load_ms != b->load_ms ||
	    lf_version_compare(a->version, b->version) != 0 || a->expires_ms != b->expires_ms ||
	    a->fresh_until_ms != b->fresh_until_ms || a->revision != b->revision || a->type_stamp != b->type_stamp ||
	    a->org_stamp != b->org_stamp || !same(a->value, b->value))
		return false;
	for (int i = 0; i < a->tags_count; i++)
		if (a->tags[i].stamp != b->tags[i].stamp || !same(a->tags[i].name, b->tags[i].name))
			return false;
	return true;
}

/* As bytes and back, in both codecs. */
static void check_record(const struct lf_record *record)
{
	for (size_t compress_min = 0; compress_min < 2; compress_min++) {
		struct lf_record *back;
		char *bytes;
		size_t len;

		CLAIM(lf_record_encode(record, compress_min, &bytes, &len) == 0, "a record has bytes");
		CLAIM(lf_record_decode((struct lf_text){ bytes, len }, VALUE_MAX, &back, NULL) == 0, "its bytes are a record");
		CLAIM(records_are_alike(record, back), "it comes back as it was");
		lf_record_drop(back);
		free(bytes);
	}
}

/* In a block of its own size, so that a sanitizer sees who reads behind it. */
static void check_bytes(const char *data, size_t len)
{
	struct lf_record *record;
	char *bytes = malloc(len ? len : 1);

	CLAIM(bytes, "there is memory");
	if (len)
		memcpy(bytes, data, len);
	if (lf_record_decode((struct lf_text){ bytes, len }, VALUE_MAX, &record, NULL) == 0) {
		check_record(record);
		lf_record_drop(record);
	}
	free(bytes);
}

/* Bytes of a record with some of them changed, or cut off. */
static void check_damaged(const struct lf_record *record, struct input *input)
{
	unsigned changes = take_byte(input) % 4, size = take_byte(input);
	char *bytes;
	size_t len;

	CLAIM(lf_record_encode(record, size & 1, &bytes, &len) == 0, "a record has bytes");
	while (changes--) {
		size_t at = (take_byte(input) << 8 | take_byte(input)) % len;

		bytes[take_byte(input) & 1 ? at : at % 90] = (char)take_byte(input);
	}
	check_bytes(bytes, size & 2 ? len - size % (len < 64 ? len : 64) : len);
	free(bytes);
}

static void try_record(struct input *input)
{
	struct lf_record_tag tags[4];
	struct lf_record from = { .tags = tags }, *record;

	from.type = (uint8_t)(LF_RECORD_STRING + take_byte(input) % 4);
	if (from.type == LF_RECORD_HASH)
		from.type = LF_RECORD_STRING; /* whose values are any bytes */
	from.flags = take_byte(input) & 1 ? LF_RECORD_CRITICAL : 0;
	from.version = (struct lf_version){ take_byte(input), take_byte(input) << 24 };
	from.expires_ms = take_byte(input);
	for (from.tags_count = 0; from.tags_count < take_byte(input) % 5; from.tags_count++) {
		tags[from.tags_count].name = take_text(input, LF_CACHE_NAME_MAX);
		tags[from.tags_count].stamp = take_byte(input);
		if (!tags[from.tags_count].name.len)
			break;
	}
	if (from.type == LF_RECORD_STRING)
		from.value = take_text(input, SIZE_MAX);
	record = lf_record_new(&from);
	CLAIM(record, "there is memory");
	check_record(record);
	check_damaged(record, input);
	lf_record_drop(record);
}

static void try_bytes(struct input *input)
{
	check_bytes((const char *)input->data, input->left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const tries[])(struct input *input) = { try_keys, try_text, try_pattern, try_record, try_bytes };
	struct input input = { data, size };

	tries[take_byte(&input) % (sizeof(tries) / sizeof(tries[0]))](&input);
	return 0;
}

#ifndef LF_LIBFUZZER

/* --- inputs of our own ----------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state) /* splitmix64 (Steele, Lea, Flood 2014) */
{
	uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

/* Bytes that mean something to a key, a pattern or a record are likelier than others. */
static void fill(uint8_t *data, size_t size, uint64_t *state)
{
	static const char special[] = "%::*?[]\\^-{}aA0%3A%25\0\1\2\3\4\xff\x80L";
	uint64_t how = next_random(state) % 3;

	for (size_t i = 0; i < size; i++) {
		uint64_t random = next_random(state);

		if (how == 0 || (how == 1 && random & 1))
			data[i] = (uint8_t)(random >> 8);
		else
			data[i] = random >> 8 & 7 ? (uint8_t)special[(random >> 16) % (sizeof(special) - 1)] :
			                            (uint8_t)(random >> 16) % 12;
	}
}

static void try_seed(uint64_t seed)
{
	static uint8_t data[8192];
	uint64_t state = seed;
	size_t size = next_random(&state) % (next_random(&state) % 8 ? 128 : sizeof(data));

	seed_of_input = seed;
	fill(data, size, &state);
	(void)LLVMFuzzerTestOneInput(data, size);
}

/* What a sanitizer finds ends the program without our sentence. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void tell_seed(void)
{
	fprintf(stderr, "fuzz_cache_key: seed %" PRIu64 "\n", seed_of_input);
}

int main(int argc, char **argv)
{
	int64_t end_ms = lf_clock_ms() + (argc > 1 ? 1000 * strtoll(argv[1], NULL, 10) : 1000);
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)lf_clock_ms() << 20, seed = first;

	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(tell_seed);
	do
		try_seed(seed++);
	while (lf_clock_ms() < end_ms);
	printf("fuzz_cache_key: %" PRIu64 " inputs, from seed %" PRIu64 " on\n", seed - first, first);
	return 0;
}

#endif
