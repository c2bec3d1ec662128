#include "tests/unit/command_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "sinks/cache/bytes.h"

Test(cache_commands_hash, hset_counts_new_fields_and_changes_those_that_are_there)
{
	static const struct lf_cache_field fields[] = { { TEXT("c"), TEXT("") }, { TEXT("a"), TEXT("11") },
		                                        { TEXT(""), TEXT("\0") } };
	struct lf_record before = a_hash(TEXT(A1 B2));
	struct lf_command hset = with_fields(LF_COMMAND_HSET, fields, 3);

	expect_change(&hset, &before, 2, TEXT("\1\0\0\0a\2\0\0\0" "11" B2 "\1\0\0\0c\0\0\0\0" "\0\0\0\0\1\0\0\0\0"));
	expect_change(&hset, NULL, 3, TEXT("\1\0\0\0c\0\0\0\0" "\1\0\0\0a\2\0\0\0" "11" "\0\0\0\0\1\0\0\0\0"));
}

Test(cache_commands_hash, of_a_field_that_hset_names_twice_the_last_value_stays)
{
	static const struct lf_cache_field fields[] = { { TEXT("a"), TEXT("x") }, { TEXT("c"), TEXT("y") },
		                                        { TEXT("a"), TEXT("1") }, { TEXT("c"), TEXT("z") } };
	struct lf_record before = a_hash(TEXT(A1));
	struct lf_command hset = with_fields(LF_COMMAND_HSET, fields, 4);

	expect_change(&hset, &before, 1, TEXT(A1 "\1\0\0\0c\1\0\0\0z"));
}

Test(cache_commands_hash, hset_and_hdel_keep_ttl_tags_revision_and_the_critical_mark)
{
	static const struct lf_cache_field field = { TEXT("a"), TEXT("x") };
	struct lf_record before = a_hash(TEXT(A1 B2));

	for (int i = 0; i < 2; i++) {
		struct lf_command what = with_fields(i ? LF_COMMAND_HDEL : LF_COMMAND_HSET, &field, 1);
		struct lf_command_result result = applied(&what, &before);

		expect_kept(result.record, &before);
		expect_ttl_kept(result.record, &before);
		lf_record_drop(result.record);
	}
}

Test(cache_commands_hash, hset_and_hdel_of_no_field_change_nothing)
{
	struct lf_record before = a_hash(TEXT(A1)), other = a_string(TEXT("x"));
	struct lf_command hset = with_fields(LF_COMMAND_HSET, NULL, 0), hdel = with_fields(LF_COMMAND_HDEL, NULL, 0);

	expect_outcome(&hset, &before, LF_COMMAND_NOTHING, 0);
	expect_outcome(&hset, NULL, LF_COMMAND_NOTHING, 0);
	expect_outcome(&hdel, &before, LF_COMMAND_NOTHING, 0);
	expect_failure(&hset, &other, -EPROTOTYPE);
	expect_failure(&hdel, &other, -EPROTOTYPE);
}

Test(cache_commands_hash, hdel_counts_what_was_there_and_the_last_field_takes_the_key_along)
{
	static const struct lf_cache_field both[] = { { .name = TEXT("b") }, { .name = TEXT("none") }, { .name = TEXT("b") },
		                                      { .name = TEXT("a") } };
	struct lf_record before = a_hash(TEXT(A1 B2));
	struct lf_command one = with_fields(LF_COMMAND_HDEL, both, 3), all = with_fields(LF_COMMAND_HDEL, both, 4);
	struct lf_command none = with_fields(LF_COMMAND_HDEL, both + 1, 1);

	expect_change(&one, &before, 1, TEXT(A1));
	expect_outcome(&all, &before, LF_COMMAND_REMOVE, 2);
	expect_outcome(&none, &before, LF_COMMAND_NOTHING, 0);
	expect_outcome(&all, NULL, LF_COMMAND_NOTHING, 0);
}

Test(cache_commands_hash, hash_commands_are_for_hashes)
{
	static const struct lf_cache_field field = { TEXT("a"), TEXT("x") };
	struct lf_record before = a_string(TEXT("x"));
	struct lf_command what = with_fields(LF_COMMAND_HSET, &field, 1);

	expect_failure(&what, &before, -EPROTOTYPE);
	what.kind = LF_COMMAND_HDEL;
	expect_failure(&what, &before, -EPROTOTYPE);
}

Test(cache_commands_hash, all_fields_of_a_hash_have_up_to_value_max_bytes_together)
{
	static char long_value[VALUE_MAX];
	struct lf_record before = a_hash(TEXT(A1));
	struct lf_cache_field fields[] = { { TEXT("c"), { long_value, VALUE_MAX - 10 - 9 } }, { TEXT("a"), TEXT("1") } };
	struct lf_command hset = with_fields(LF_COMMAND_HSET, fields, 2);
	struct lf_command_result result = applied(&hset, &before);

	cr_assert_eq(result.record->value.len, VALUE_MAX);
	lf_record_drop(result.record);
	fields[1].value.len++;
	expect_failure(&hset, &before, -EFBIG);
	fields[1].value.len = SIZE_MAX;
	expect_failure(&hset, &before, -EFBIG);
	fields[1].value.len = SIZE_MAX - 8;
	expect_failure(&hset, NULL, -EFBIG);
	fields[1] = (struct lf_cache_field){ { "a", SIZE_MAX - 7 }, TEXT("") };
	hset.fields_count = 1;
	fields[0] = (struct lf_cache_field){ { "a", 1 }, { "", SIZE_MAX - 8 } };
	hset.value_max = SIZE_MAX;
	expect_failure(&hset, NULL, -EFBIG);
}

/* A limit that was lowered stops no one from taking fields away. */
Test(cache_commands_hash, hdel_of_a_hash_over_value_max_is_done)
{
	static const struct lf_cache_field field = { .name = TEXT("a") };
	struct lf_record before = a_hash(TEXT(A1 B2));
	struct lf_command hdel = with_fields(LF_COMMAND_HDEL, &field, 1);

	hdel.value_max = 1;
	expect_change(&hdel, &before, 1, TEXT(B2));
}

Test(cache_commands_hash, many_fields_among_many_are_all_found)
{
	enum { COUNT = 5000 };
	static char names[COUNT][8];
	static struct lf_cache_field fields[COUNT];
	struct lf_command hset = with_fields(LF_COMMAND_HSET, fields, COUNT), hdel;
	struct lf_command_result whole, half;

	for (int i = 0; i < COUNT; i++) {
		int len = snprintf(names[i], sizeof(names[i]), "f%d", i);

		fields[i] = (struct lf_cache_field){ { names[i], (size_t)len }, { names[i] + 1, (size_t)len - 1 } };
	}
	hset.value_max = 1 << 20;
	whole = applied(&hset, NULL);
	cr_assert_eq(whole.number, COUNT);
	hdel = with_fields(LF_COMMAND_HDEL, fields, COUNT / 2);
	half = applied(&hdel, whole.record);
	cr_assert_eq(half.number, COUNT / 2);
	lf_record_drop(whole.record);
	whole = applied(&hset, half.record);
	cr_assert_eq(whole.number, COUNT / 2);
	for (int i = 0; i < COUNT; i++) {
		struct lf_text value;

		cr_assert_eq(lf_command_hget(whole.record, fields[i].name, &value, NULL), 1);
		expect_text(value, fields[i].value);
	}
	lf_record_drop(half.record);
	lf_record_drop(whole.record);
}

/* Only bytes that another program wrote are so. */
Test(cache_commands_hash, a_hash_that_names_a_field_twice_does_no_harm)
{
	static const struct lf_cache_field field = { TEXT("a"), TEXT("a value that is longer than those before together") };
	struct lf_record before = a_hash(TEXT(A1 B2 A1));
	struct lf_command what = with_fields(LF_COMMAND_HSET, &field, 1);
	struct lf_command_result result = applied(&what, &before);

	cr_assert_eq(result.number, 0);
	cr_assert_eq(result.record->value.len, lf_field_size(&field) + sizeof(B2) - 1);
	lf_record_drop(result.record);
	what.kind = LF_COMMAND_HDEL;
	expect_change(&what, &before, 2, TEXT(B2));
}
