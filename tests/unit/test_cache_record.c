#include "sinks/cache/record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(literal) ((struct lf_text){ (literal), sizeof(literal) - 1 })

enum { VALUE_MAX = 1 << 20 };

static const struct lf_record_tag some_tags[] = { { { "user:1", 6 }, 77 }, { { "\0\xff", 2 }, UINT64_MAX } };

static struct lf_record sample(void)
{
	return (struct lf_record){
		.type = LF_RECORD_STRING, .flags = LF_RECORD_CRITICAL, .tags_count = 2, .load_ms = 12,
		.version = { 0x0102030405060708, 0xf1f2f3f4f5f6f7f8 }, .expires_ms = 0x010203040506,
		.fresh_until_ms = 0x010203040505, .revision = UINT64_MAX - 1, .type_stamp = 5, .org_stamp = 6,
		.tags = some_tags, .value = TEXT("a\0b\xff"),
	};
}

static struct lf_text encoded(const struct lf_record *record, size_t compress_min)
{
	struct lf_text bytes;
	char *data;

	cr_assert_eq(lf_record_encode(record, compress_min, &data, &bytes.len), 0);
	bytes.data = data;
	return bytes;
}

static struct lf_record *decoded(struct lf_text bytes)
{
	struct lf_error err = { "" };
	struct lf_record *record = NULL;

	cr_assert_eq(lf_record_decode(bytes, VALUE_MAX, &record, &err), 0, "%s", err.text);
	return record;
}

/* The bytes in a block of their own length, so that a sanitizer sees who reads behind them. */
static int decode_exactly(struct lf_text bytes, size_t value_max)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);
	struct lf_error err = { "" };
	struct lf_record *record = NULL;
	int rc;

	if (bytes.len)
		memcpy(copy, bytes.data, bytes.len);
	rc = lf_record_decode((struct lf_text){ copy, bytes.len }, value_max, &record, &err);
	cr_assert_eq(rc == 0, record != NULL);
	cr_assert_eq(rc == 0, err.text[0] == '\0');
	lf_record_drop(record);
	free(copy);
	return rc;
}

static void expect_same(const struct lf_record *a, const struct lf_record *b)
{
	cr_assert_eq(a->type, b->type);
	cr_assert_eq(a->flags, b->flags);
	cr_assert_eq(a->load_ms, b->load_ms);
	cr_assert_eq(lf_version_compare(a->version, b->version), 0);
	cr_assert_eq(a->expires_ms, b->expires_ms);
	cr_assert_eq(a->fresh_until_ms, b->fresh_until_ms);
	cr_assert_eq(a->revision, b->revision);
	cr_assert_eq(a->type_stamp, b->type_stamp);
	cr_assert_eq(a->org_stamp, b->org_stamp);
	cr_assert_eq(a->tags_count, b->tags_count);
	for (unsigned i = 0; i < a->tags_count; i++) {
		cr_assert_eq(a->tags[i].stamp, b->tags[i].stamp);
		cr_assert_eq(a->tags[i].name.len, b->tags[i].name.len);
		cr_assert_arr_eq(a->tags[i].name.data, b->tags[i].name.data, b->tags[i].name.len);
	}
	cr_assert_eq(a->value.len, b->value.len);
	if (a->value.len)
		cr_assert_arr_eq(a->value.data, b->value.data, b->value.len);
}

/* A text that compresses well. */
static struct lf_record long_one(char *value, size_t len)
{
	struct lf_record record = sample();

	for (size_t i = 0; i < len; i++)
		value[i] = (char)('a' + i % 7 + (i % 1000 == 0));
	record.value = (struct lf_text){ value, len };
	return record;
}

Test(cache_record, a_copy_is_all_of_the_record_in_one_block_of_its_own)
{
	struct lf_record from = sample(), *copy = lf_record_new(&from);

	expect_same(copy, &from);
	cr_assert_neq(copy->value.data, from.value.data);
	cr_assert_neq(copy->tags[0].name.data, from.tags[0].name.data);
	cr_assert_eq(copy->size, sizeof(from) + 2 * sizeof(*from.tags) + 6 + 2 + 4);
	cr_assert_eq(copy->users, 1);
	lf_record_drop(copy);
}

Test(cache_record, a_record_stays_until_its_last_user_drops_it)
{
	struct lf_record from = sample(), *record = lf_record_new(&from), *other = lf_record_keep(record);

	cr_assert_eq(other, record);
	lf_record_drop(record);
	cr_assert_eq(other->users, 1);
	cr_assert_arr_eq(other->value.data, from.value.data, from.value.len);
	lf_record_drop(other);
	lf_record_drop(NULL);
	cr_assert_null(lf_record_keep(NULL));
}

Test(cache_record, a_value_of_an_impossible_size_is_no_memory_and_no_overflow)
{
	struct lf_record from = sample();

	from.value.len = SIZE_MAX;
	cr_assert_null(lf_record_new(&from));
	from.value.len = SIZE_MAX - 8;
	cr_assert_null(lf_record_new(&from));
	from.value.len = SIZE_MAX - sizeof(from) - 2 * sizeof(*from.tags) - 8;
	cr_assert_null(lf_record_new(&from));
}

Test(cache_record, the_bytes_of_a_record_are_the_ones_that_are_written_down)
{
	static const char want[] =
		"L\1" "\1\2\3\4\5\6\7\10" "\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8" "\1\1\0\2"
		"\6\5\4\3\2\1\0\0" "\5\5\4\3\2\1\0\0" "\xfe\xff\xff\xff\xff\xff\xff\xff" "\x0c\0\0\0"
		"\5\0\0\0\0\0\0\0" "\6\0\0\0\0\0\0\0" "\4\0\0\0"
		"\x4d\0\0\0\0\0\0\0" "\6user:1" "\xff\xff\xff\xff\xff\xff\xff\xff" "\2\0\xff" "a\0b\xff";
	struct lf_record record = sample();
	struct lf_text bytes = encoded(&record, 0);

	cr_assert_eq(bytes.len, sizeof(want) - 1);
	for (size_t i = 0; i < bytes.len; i++)
		cr_assert_eq(bytes.data[i], want[i], "byte %zu is %02x, not %02x", i, (unsigned char)bytes.data[i],
		             (unsigned char)want[i]);
	free((char *)bytes.data);
}

Test(cache_record, what_is_decoded_is_what_was_encoded)
{
	static const uint8_t types[] = { LF_RECORD_STRING, LF_RECORD_HASH, LF_RECORD_NEGATIVE, LF_RECORD_GONE };

	for (size_t i = 0; i < sizeof(types); i++) {
		struct lf_record record = sample(), *back;
		struct lf_text bytes;

		record.type = types[i];
		record.flags = i & 1;
		record.tags_count = (uint8_t)(i % 3);
		record.value = i == 0 ? TEXT("\0") : i == 1 ? TEXT("\1\0\0\0a\0\0\0\0") : TEXT("");
		bytes = encoded(&record, 1);
		back = decoded(bytes);
		expect_same(back, &record);
		lf_record_drop(back);
		free((char *)bytes.data);
	}
}

Test(cache_record, a_later_version_is_higher_as_bytes_and_the_writer_settles_the_same_clock)
{
	struct lf_record early = sample(), late = sample();
	struct lf_text a, b;

	early.version = (struct lf_version){ 255, UINT64_MAX };
	late.version = (struct lf_version){ 256, 0 };
	a = encoded(&early, 0);
	b = encoded(&late, 0);
	cr_assert_lt(memcmp(a.data + 2, b.data + 2, 16), 0);
	cr_assert_lt(lf_version_compare(early.version, late.version), 0);
	cr_assert_gt(lf_version_compare((struct lf_version){ 1, 2 }, (struct lf_version){ 1, 1 }), 0);
	cr_assert_eq(lf_version_compare((struct lf_version){ 1, 1 }, (struct lf_version){ 1, 1 }), 0);
	free((char *)a.data);
	free((char *)b.data);
}

Test(cache_record, a_value_is_compressed_from_the_size_on_that_is_asked_for)
{
	static char value[10000];
	struct lf_record record = long_one(value, sizeof(value)), *back;
	struct lf_text never = encoded(&record, 0), above = encoded(&record, 10001), at = encoded(&record, 10000);

	cr_assert_gt(never.len, 10000);
	cr_assert_gt(above.len, 10000);
	cr_assert_lt(at.len, 1000);
	back = decoded(at);
	expect_same(back, &record);
	lf_record_drop(back);
	free((char *)never.data);
	free((char *)above.data);
	free((char *)at.data);
}

Test(cache_record, a_value_that_compression_makes_larger_is_kept_as_it_is)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 300 };
	char value[300];

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (char)(i * 7 + i * i * 13);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct lf_record record = sample(), *back;
		struct lf_text bytes, plain;

		record.value = (struct lf_text){ value, sizes[i] };
		bytes = encoded(&record, 1);
		plain = encoded(&record, 0);
		cr_assert_leq(bytes.len, plain.len);
		back = decoded(bytes);
		expect_same(back, &record);
		lf_record_drop(back);
		free((char *)bytes.data);
		free((char *)plain.data);
	}
}

Test(cache_record, what_the_format_has_no_room_for_is_refused)
{
	static const char name[256];
	struct lf_record_tag tag = { { name, sizeof(name) }, 1 };
	struct lf_record record = sample();
	size_t len;
	char *out;

	record.value.len = (size_t)UINT32_MAX + 1;
	cr_assert_eq(lf_record_encode(&record, 0, &out, &len), -EFBIG);
	record = sample();
	record.tags = &tag;
	record.tags_count = 1;
	cr_assert_eq(lf_record_encode(&record, 0, &out, &len), -EFBIG);
}

Test(cache_record, bytes_that_are_cut_off_anywhere_are_no_record)
{
	static char value[3000];

	for (int compressed = 0; compressed < 2; compressed++) {
		struct lf_record record = long_one(value, sizeof(value));
		struct lf_text bytes = encoded(&record, compressed ? 1 : 0);

		cr_assert_eq(decode_exactly(bytes, VALUE_MAX), 0);
		for (size_t len = 0; len < bytes.len; len++)
			cr_assert_eq(decode_exactly((struct lf_text){ bytes.data, len }, VALUE_MAX), -EBADMSG,
			             "cut to %zu of %zu", len, bytes.len);
		free((char *)bytes.data);
	}
}

Test(cache_record, bytes_behind_a_record_make_it_none)
{
	static char value[3000], longer[4000];

	for (int compressed = 0; compressed < 2; compressed++) {
		struct lf_record record = long_one(value, sizeof(value));
		struct lf_text bytes = encoded(&record, compressed ? 1 : 0);

		memcpy(longer, bytes.data, bytes.len);
		for (size_t more = 1; more < 20; more++)
			cr_assert_eq(decode_exactly((struct lf_text){ longer, bytes.len + more }, VALUE_MAX), -EBADMSG);
		free((char *)bytes.data);
	}
}

/* A frame of no content is one that zstd steps over in silence. */
Test(cache_record, a_second_frame_behind_the_compressed_value_makes_it_none)
{
	static const char empty[] = "\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00";
	static char value[3000], longer[4000];
	struct lf_record record = long_one(value, sizeof(value));
	struct lf_text bytes = encoded(&record, 1);

	memcpy(longer, bytes.data, bytes.len);
	memcpy(longer + bytes.len, empty, sizeof(empty) - 1);
	cr_assert_eq(decode_exactly((struct lf_text){ longer, bytes.len + sizeof(empty) - 1 }, VALUE_MAX), -EBADMSG);
	free((char *)bytes.data);
}

Test(cache_record, a_head_that_says_what_cannot_be_is_no_record)
{
	static const struct { size_t at; unsigned char byte; const char *what; } wrong[] = {
		{ 0, 'l', "magic" }, { 1, 0, "format" }, { 1, 2, "format" }, { 18, 0, "type" }, { 18, 5, "type" },
		{ 18, LF_RECORD_NEGATIVE, "a negative with a value" }, { 18, LF_RECORD_GONE, "a tombstone with a value" },
		{ 18, LF_RECORD_HASH, "fields that are none" }, { 19, 2, "flags" }, { 19, 0x81, "flags" },
		{ 20, 1, "codec of what is not compressed" }, { 20, 2, "codec" }, { 21, 1, "tags" }, { 21, 3, "tags" },
		{ 21, 33, "tags" }, { 21, 255, "tags" }, { 29, 0x80, "expiry before all time" },
		{ 37, 0x80, "freshness before all time" }, { 66, 3, "length" }, { 69, 255, "length" },
		{ 78, 0, "an empty tag" }, { 78, 129, "a tag over its limit" }, { 78, 255, "a tag over the end" },
	};
	struct lf_record record = sample();
	struct lf_text bytes = encoded(&record, 0);
	char *data = (char *)bytes.data;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char was = data[wrong[i].at];

		data[wrong[i].at] = (char)wrong[i].byte;
		cr_assert_eq(decode_exactly(bytes, VALUE_MAX), -EBADMSG, "%s: %d at %zu", wrong[i].what, wrong[i].byte,
		             wrong[i].at);
		data[wrong[i].at] = was;
	}
	free(data);
}

Test(cache_record, tags_without_a_name_or_with_one_over_its_limit_or_too_many_make_it_none)
{
	static const char name[LF_CACHE_NAME_MAX + 1];
	static struct lf_record_tag many[LF_CACHE_TAGS_MAX + 1];
	static const struct { size_t count, len; int want; } tagged[] = {
		{ 1, 0, -EBADMSG }, { 1, LF_CACHE_NAME_MAX, 0 }, { 1, LF_CACHE_NAME_MAX + 1, -EBADMSG },
		{ LF_CACHE_TAGS_MAX, 1, 0 }, { LF_CACHE_TAGS_MAX + 1, 1, -EBADMSG },
	};

	for (size_t i = 0; i < sizeof(tagged) / sizeof(*tagged); i++) {
		struct lf_record record = sample();
		struct lf_text bytes;

		for (size_t tag = 0; tag < tagged[i].count; tag++)
			many[tag].name = (struct lf_text){ name, tagged[i].len };
		record.tags = many;
		record.tags_count = (uint8_t)tagged[i].count;
		bytes = encoded(&record, 0);
		cr_assert_eq(decode_exactly(bytes, VALUE_MAX), tagged[i].want, "%zu", i);
		free((char *)bytes.data);
	}
}

/* A few bits of a frame mean nothing. */
Test(cache_record, a_compressed_value_of_which_any_bit_was_flipped_is_refused_or_the_same)
{
	static char value[500];
	struct lf_record record = long_one(value, sizeof(value)), *back;
	struct lf_text bytes = encoded(&record, 1);
	size_t head = 70 + 9 + 6 + 9 + 2, refused = 0;
	char *data = (char *)bytes.data;

	for (size_t bit = 8 * head; bit < 8 * bytes.len; bit++) {
		data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
		if (lf_record_decode(bytes, VALUE_MAX, &back, NULL) == 0) {
			expect_same(back, &record);
			lf_record_drop(back);
		} else {
			refused++;
		}
		data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
	}
	cr_assert_gt(refused, 7 * (bytes.len - head));
	free(data);
}

Test(cache_record, a_compressed_value_over_the_limit_is_not_even_begun)
{
	static char value[10000];
	struct lf_record record = long_one(value, sizeof(value));
	struct lf_text bytes = encoded(&record, 1);
	char *data = (char *)bytes.data;

	cr_assert_eq(decode_exactly(bytes, sizeof(value)), 0);
	cr_assert_eq(decode_exactly(bytes, sizeof(value) - 1), -EBADMSG);
	memset(data + 66, 0xff, 4); /* it says that it is 4 GiB */
	cr_assert_eq(decode_exactly(bytes, SIZE_MAX), -EBADMSG);
	free(data);
}

Test(cache_record, fields_that_are_cut_off_or_lie_about_their_length_are_no_hash)
{
	static const struct lf_text wrong[] = {
		TEXT("\0"), TEXT("\0\0\0\0"), TEXT("\1\0\0\0a"), TEXT("\1\0\0\0a\1\0\0\0"), TEXT("\2\0\0\0a\0\0\0\0"),
		TEXT("\xff\xff\xff\xff" "a\0\0\0\0"), TEXT("\1\0\0\0a\xff\xff\xff\xff"), TEXT("\1\0\0\0a\0\0\0\0x"),
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct lf_record record = sample();
		struct lf_text bytes;

		record.type = LF_RECORD_HASH;
		record.value = wrong[i];
		bytes = encoded(&record, 0);
		cr_assert_eq(decode_exactly(bytes, VALUE_MAX), -EBADMSG, "%zu", i);
		free((char *)bytes.data);
	}
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

/* Whatever it says of them, it reads no byte that is not there: the sanitizers look on. */
Test(cache_record, bytes_that_were_changed_at_random_are_a_record_or_refused)
{
	static char value[400];
	uint64_t state = 88172645463325252u;

	for (int compressed = 0; compressed < 2; compressed++) {
		struct lf_record record = long_one(value, sizeof(value));
		struct lf_text bytes = encoded(&record, compressed ? 1 : 0);
		char *data = malloc(bytes.len);

		for (int round = 0; round < 20000; round++) {
			size_t len = bytes.len - (round % 3 ? 0 : next_random(&state) % bytes.len);
			int rc;

			memcpy(data, bytes.data, bytes.len);
			for (uint64_t n = next_random(&state) % 4; n; n--)
				data[next_random(&state) % (round % 2 ? 100 : bytes.len)] = (char)next_random(&state);
			rc = decode_exactly((struct lf_text){ data, len }, VALUE_MAX);
			cr_assert(rc == 0 || rc == -EBADMSG, "%d", rc);
		}
		free(data);
		free((char *)bytes.data);
	}
}

Test(cache_record, a_record_expires_at_its_time_and_is_readable_until_then)
{
	struct lf_record record = sample();

	record.expires_ms = 1000;
	cr_assert(lf_record_readable(&record, 999));
	cr_assert_not(lf_record_readable(&record, 1000));
	record.expires_ms = 0;
	cr_assert(lf_record_readable(&record, INT64_MAX));
	record.type = LF_RECORD_NEGATIVE;
	cr_assert_not(lf_record_readable(&record, 0));
	record.type = LF_RECORD_GONE;
	cr_assert_not(lf_record_readable(&record, 0));
}
