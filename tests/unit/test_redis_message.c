#include <criterion/criterion.h>
#include <string.h>

#include "sinks/redis/cache_message.h"

static struct lf_redis_message made(enum lf_tier_change_kind kind, struct lf_version version, struct lf_text name)
{
	struct lf_redis_message message;

	memset(&message, 0, sizeof(message));
	lf_redis_message_make(&message, 0x0102030405060708, kind, version, name);
	return message;
}

Test(redis_message, is_written_big_endian_with_the_name_at_its_end)
{
	struct lf_redis_message message = made(LF_CHANGED_KEY, (struct lf_version){ 0x1112131415161718, 0x21 },
	                                       (struct lf_text){ "a:b", 3 });

	cr_assert_eq(message.len, 8 + 1 + 16 + 3);
	cr_assert_arr_eq(message.bytes, "\x01\x02\x03\x04\x05\x06\x07\x08k\x11\x12\x13\x14\x15\x16\x17\x18"
	                                "\0\0\0\0\0\0\0\x21" "a:b", message.len);
}

Test(redis_message, is_read_back_as_it_was_written)
{
	static const enum lf_tier_change_kind kinds[] = { LF_CHANGED_KEY, LF_CHANGED_STAMP, LF_CHANGED_PREFIX };
	static char longest[LF_REDIS_NAME_MAX];

	memset(longest, 'x', sizeof(longest));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const struct lf_text name = { longest, i == 2 ? sizeof(longest) : i + 1 };
		struct lf_redis_message message = made(kinds[i], (struct lf_version){ UINT64_MAX, i }, name);
		struct lf_tier_change change;
		uint64_t writer;

		cr_assert(lf_redis_message_read((struct lf_text){ message.bytes, message.len }, &writer, &change));
		cr_assert_eq(writer, 0x0102030405060708);
		cr_assert_eq(change.kind, kinds[i]);
		cr_assert_eq(change.version.clock, UINT64_MAX);
		cr_assert_eq(change.version.writer, i);
		cr_assert_eq(change.name.len, name.len);
		cr_assert_arr_eq(change.name.data, name.data, name.len);
	}
}

Test(redis_message, of_any_other_length_or_kind_is_none)
{
	static char bytes[8 + 1 + 16 + LF_REDIS_NAME_MAX + 1];
	struct lf_redis_message good = made(LF_CHANGED_KEY, (struct lf_version){ 1, 1 }, (struct lf_text){ "a", 1 });
	struct lf_tier_change change;
	uint64_t writer;

	for (size_t len = 0; len < good.len; len++)
		cr_assert_not(lf_redis_message_read((struct lf_text){ good.bytes, len }, &writer, &change), "%zu bytes", len);
	memcpy(bytes, good.bytes, good.len);
	cr_assert_not(lf_redis_message_read((struct lf_text){ bytes, sizeof(bytes) }, &writer, &change));
	for (int kind = 0; kind < 256; kind++) {
		good.bytes[8] = (char)kind;
		cr_assert_eq(lf_redis_message_read((struct lf_text){ good.bytes, good.len }, &writer, &change),
		             kind == 'k' || kind == 's' || kind == 'p', "kind %d", kind);
	}
}
