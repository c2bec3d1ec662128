#include "tests/unit/command_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- set --------------------------------------------------------------------------------------------- */

Test(cache_commands, set_puts_type_ttl_tags_and_revision_in_the_place_of_those_before)
{
	struct lf_record before = a_hash(TEXT(A1));
	struct lf_command set = a_command(LF_COMMAND_SET);
	struct lf_command_result result;

	set.value = TEXT("a\0b");
	set.expires_ms = NOW + 1;
	set.fresh_until_ms = NOW + 0;
	result = applied(&set, &before);
	cr_assert_eq(result.number, 1);
	cr_assert_eq(result.record->type, LF_RECORD_STRING);
	expect_text(result.record->value, TEXT("a\0b"));
	cr_assert_eq(result.record->flags, 0);
	cr_assert_eq(result.record->expires_ms, NOW + 1);
	cr_assert_eq(result.record->fresh_until_ms, NOW);
	cr_assert_eq(result.record->revision, 0);
	cr_assert_eq(result.record->type_stamp, 21);
	cr_assert_eq(result.record->org_stamp, 22);
	cr_assert_eq(result.record->tags_count, 2);
	expect_text(result.record->tags[0].name, TEXT("new"));
	cr_assert_eq(result.record->tags[1].stamp, 3);
	lf_record_drop(result.record);
}

Test(cache_commands, set_without_a_time_takes_the_ttl_away_and_with_keep_leaves_it)
{
	struct lf_record before = a_string(TEXT("x"));
	struct lf_command set = a_command(LF_COMMAND_SET);
	struct lf_command_result result = applied(&set, &before);

	cr_assert_eq(result.record->expires_ms, 0);
	lf_record_drop(result.record);
	set.keep_ttl = true;
	set.expires_ms = 1; /* not used */
	result = applied(&set, &before);
	expect_ttl_kept(result.record, &before);
	cr_assert_eq(result.record->tags_count, 2);
	lf_record_drop(result.record);
	result = applied(&set, NULL);
	cr_assert_eq(result.record->expires_ms, 0);
	lf_record_drop(result.record);
}

Test(cache_commands, set_marks_as_critical_what_is_said_to_be)
{
	struct lf_record before = a_string(TEXT("x"));
	struct lf_command set = a_command(LF_COMMAND_SET);
	struct lf_command_result result;

	set.critical = true;
	result = applied(&set, &before);
	cr_assert_eq(result.record->flags, LF_RECORD_CRITICAL);
	lf_record_drop(result.record);
}

Test(cache_commands, set_looks_at_whether_something_is_there)
{
	struct lf_record before = a_hash(TEXT(A1)), expired = a_string(TEXT("x"));
	struct lf_command set = a_command(LF_COMMAND_SET);

	set.value = TEXT("v");
	expired.expires_ms = NOW;
	set.when = LF_CACHE_IF_ABSENT;
	expect_outcome(&set, &before, LF_COMMAND_NOTHING, 0);
	expect_change(&set, NULL, 1, TEXT("v"));
	expect_change(&set, &expired, 1, TEXT("v"));
	set.when = LF_CACHE_IF_PRESENT;
	expect_outcome(&set, NULL, LF_COMMAND_NOTHING, 0);
	expect_outcome(&set, &expired, LF_COMMAND_NOTHING, 0);
	expect_change(&set, &before, 1, TEXT("v"));
}

Test(cache_commands, set_with_a_time_that_has_passed_deletes)
{
	static const int64_t passed[] = { NOW, NOW - 1, 1, -1, INT64_MIN };
	struct lf_record before = a_string(TEXT("x"));
	struct lf_command set = a_command(LF_COMMAND_SET);

	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++) {
		set.expires_ms = passed[i];
		set.when = LF_CACHE_ALWAYS;
		expect_outcome(&set, &before, LF_COMMAND_REMOVE, 1);
		expect_outcome(&set, NULL, LF_COMMAND_REMOVE, 1);
		set.when = LF_CACHE_IF_ABSENT;
		expect_outcome(&set, &before, LF_COMMAND_NOTHING, 0);
	}
}

Test(cache_commands, values_have_up_to_value_max_bytes)
{
	static char value[VALUE_MAX + 1];
	struct lf_command set = a_command(LF_COMMAND_SET);

	set.value = (struct lf_text){ value, VALUE_MAX };
	expect_change(&set, NULL, 1, set.value);
	set.value.len++;
	expect_failure(&set, NULL, -EFBIG);
	set.value.len = SIZE_MAX;
	expect_failure(&set, NULL, -EFBIG);
	set.value = TEXT("");
	set.value_max = 0;
	expect_change(&set, NULL, 1, TEXT(""));
}

Test(cache_commands, set_if_newer_goes_by_the_revision_of_what_is_there)
{
	struct lf_record before = a_string(TEXT("x")), plain = a_string(TEXT("x"));
	struct lf_command set = a_command(LF_COMMAND_SET_IF_NEWER);
	struct lf_command_result result;

	plain.revision = 0;
	set.revision = before.revision;
	expect_outcome(&set, &before, LF_COMMAND_NOTHING, 0);
	set.revision = before.revision - 1;
	expect_outcome(&set, &before, LF_COMMAND_NOTHING, 0);
	set.revision = before.revision + 1;
	result = applied(&set, &before);
	cr_assert_eq(result.record->revision, before.revision + 1);
	lf_record_drop(result.record);
	set.revision = 1;
	expect_change(&set, &plain, 1, TEXT(""));
	expect_change(&set, NULL, 1, TEXT(""));
	set.revision = 0;
	expect_outcome(&set, &plain, LF_COMMAND_NOTHING, 0);
	expect_outcome(&set, NULL, LF_COMMAND_NOTHING, 0);
	set.revision = UINT64_MAX;
	set.when = LF_CACHE_IF_ABSENT;
	expect_outcome(&set, &before, LF_COMMAND_NOTHING, 0);
}

/* --- del --------------------------------------------------------------------------------------------- */

Test(cache_commands, del_removes_and_says_whether_there_was_something)
{
	struct lf_record before = a_hash(TEXT(A1)), expired = a_string(TEXT("x"));
	struct lf_command del = a_command(LF_COMMAND_DEL);

	expired.expires_ms = NOW;
	expect_outcome(&del, &before, LF_COMMAND_REMOVE, 1);
	expect_outcome(&del, &expired, LF_COMMAND_REMOVE, 0);
	expect_outcome(&del, NULL, LF_COMMAND_REMOVE, 0);
}

/* --- numbers ----------------------------------------------------------------------------------------- */

static void expect_number(enum lf_command_kind kind, struct lf_text value, int64_t by, int64_t want)
{
	struct lf_record before = a_string(value);
	struct lf_command what = a_command(kind);
	char digits[32];

	what.number = by;
	(void)snprintf(digits, sizeof(digits), "%" PRId64, want);
	expect_change(&what, value.data ? &before : NULL, want, (struct lf_text){ digits, strlen(digits) });
}

Test(cache_commands, incrby_and_decrby_count_from_what_is_there_or_from_0)
{
	expect_number(LF_COMMAND_INCRBY, (struct lf_text){ NULL, 0 }, 5, 5);
	expect_number(LF_COMMAND_DECRBY, (struct lf_text){ NULL, 0 }, 5, -5);
	expect_number(LF_COMMAND_INCRBY, TEXT("10"), -11, -1);
	expect_number(LF_COMMAND_DECRBY, TEXT("-10"), -10, 0);
	expect_number(LF_COMMAND_INCRBY, TEXT("0"), 0, 0);
	expect_number(LF_COMMAND_INCRBY, TEXT("9223372036854775806"), 1, INT64_MAX);
	expect_number(LF_COMMAND_INCRBY, TEXT("-9223372036854775807"), -1, INT64_MIN);
	expect_number(LF_COMMAND_INCRBY, TEXT("-9223372036854775808"), INT64_MAX, -1);
	expect_number(LF_COMMAND_DECRBY, TEXT("-1"), INT64_MAX, INT64_MIN);
	expect_number(LF_COMMAND_INCRBY, TEXT("-1"), INT64_MIN + 1, INT64_MIN);
}

Test(cache_commands, a_result_that_is_no_64_bit_integer_changes_nothing)
{
	static const struct { enum lf_command_kind kind; struct lf_text value; int64_t by; } over[] = {
		{ LF_COMMAND_INCRBY, TEXT("9223372036854775807"), 1 }, { LF_COMMAND_INCRBY, TEXT("-9223372036854775808"), -1 },
		{ LF_COMMAND_INCRBY, TEXT("1"), INT64_MAX }, { LF_COMMAND_INCRBY, TEXT("-1"), INT64_MIN },
		{ LF_COMMAND_DECRBY, TEXT("-2"), INT64_MAX }, { LF_COMMAND_DECRBY, TEXT("0"), INT64_MIN },
		{ LF_COMMAND_DECRBY, TEXT("no number"), INT64_MIN },
	};

	for (size_t i = 0; i < sizeof(over) / sizeof(*over); i++) {
		struct lf_record before = a_string(over[i].value);
		struct lf_command what = a_command(over[i].kind);

		what.number = over[i].by;
		expect_failure(&what, &before, -ERANGE);
	}
}

Test(cache_commands, only_what_redis_would_write_is_an_integer)
{
	static const struct lf_text wrong[] = {
		TEXT(""), TEXT("-"), TEXT("-0"), TEXT("+1"), TEXT(" 1"), TEXT("1 "), TEXT("01"), TEXT("00"), TEXT("-01"), TEXT("1.0"),
		TEXT("1e3"), TEXT("0x1"), TEXT("1\0"), TEXT("\0"), TEXT("a"), TEXT("--1"), TEXT("1-"), TEXT("9223372036854775808"),
		TEXT("-9223372036854775809"), TEXT("99999999999999999999"), TEXT("18446744073709551616"), TEXT("/"), TEXT(":"),
		TEXT("100000000000000000000"), TEXT("-18446744073709551615"), TEXT("18446744073709551617"), TEXT("\xff"),
	};
	struct lf_command incr = a_command(LF_COMMAND_INCRBY);

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct lf_record before = a_string(wrong[i]);

		expect_failure(&incr, &before, -EBADMSG);
	}
}

Test(cache_commands, counting_keeps_ttl_tags_revision_and_the_critical_mark)
{
	struct lf_record before = a_string(TEXT("1"));
	struct lf_command incr = a_command(LF_COMMAND_INCRBY);
	struct lf_command_result result;

	incr.expires_ms = NOW + 1;
	result = applied(&incr, &before);
	expect_kept(result.record, &before);
	expect_ttl_kept(result.record, &before);
	lf_record_drop(result.record);
}

Test(cache_commands, counting_under_what_is_critical_by_now_marks_it)
{
	struct lf_record before = a_string(TEXT("1"));
	struct lf_command incr = a_command(LF_COMMAND_INCRBY);
	struct lf_command_result result;

	before.flags = 0;
	incr.critical = true;
	result = applied(&incr, &before);
	cr_assert_eq(result.record->flags, LF_RECORD_CRITICAL);
	lf_record_drop(result.record);
}

Test(cache_commands, a_key_that_is_made_by_counting_is_as_the_command_says)
{
	struct lf_command incr = a_command(LF_COMMAND_INCRBY);
	struct lf_command_result result;

	incr.expires_ms = NOW + 1;
	incr.critical = true;
	result = applied(&incr, NULL);
	cr_assert_eq(result.record->expires_ms, NOW + 1);
	cr_assert_eq(result.record->tags_count, 2);
	cr_assert_eq(result.record->flags, LF_RECORD_CRITICAL);
	cr_assert_eq(result.record->type_stamp, 21);
	lf_record_drop(result.record);
}

Test(cache_commands, counting_is_for_strings)
{
	struct lf_record before = a_hash(TEXT(A1));
	struct lf_command incr = a_command(LF_COMMAND_INCRBY);

	expect_failure(&incr, &before, -EPROTOTYPE);
	incr.kind = LF_COMMAND_DECRBY;
	expect_failure(&incr, &before, -EPROTOTYPE);
}

Test(cache_commands, a_number_over_value_max_is_refused)
{
	struct lf_record before = a_string(TEXT("9"));
	struct lf_command incr = a_command(LF_COMMAND_INCRBY);

	incr.value_max = 1;
	incr.number = -1;
	expect_change(&incr, &before, 8, TEXT("8"));
	incr.number = 1;
	expect_failure(&incr, &before, -EFBIG);
}

/* --- expiry ------------------------------------------------------------------------------------------ */

Test(cache_commands, expire_changes_the_time_and_nothing_else)
{
	struct lf_record before = a_hash(TEXT(A1));
	struct lf_command expire = a_command(LF_COMMAND_EXPIRE);
	struct lf_command_result result;

	expire.expires_ms = NOW + 1;
	result = applied(&expire, &before);
	cr_assert_eq(result.number, 1);
	cr_assert_eq(result.record->expires_ms, NOW + 1);
	cr_assert_eq(result.record->type, LF_RECORD_HASH);
	expect_text(result.record->value, before.value);
	expect_kept(result.record, &before);
	lf_record_drop(result.record);
}

Test(cache_commands, expire_with_a_time_that_has_passed_deletes)
{
	static const int64_t passed[] = { NOW, NOW - 1, 1, -1, INT64_MIN };
	struct lf_record before = a_string(TEXT("x"));
	struct lf_command expire = a_command(LF_COMMAND_EXPIRE);

	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++) {
		expire.expires_ms = passed[i];
		expect_outcome(&expire, &before, LF_COMMAND_REMOVE, 1);
		expect_outcome(&expire, NULL, LF_COMMAND_NOTHING, 0);
	}
	expire.expires_ms = 0;
	expect_failure(&expire, &before, -EINVAL);
}

Test(cache_commands, persist_takes_a_ttl_away_where_there_is_one)
{
	struct lf_record before = a_string(TEXT("x"));
	struct lf_command persist = a_command(LF_COMMAND_PERSIST);
	struct lf_command_result result = applied(&persist, &before);

	cr_assert_eq(result.number, 1);
	cr_assert_eq(result.record->expires_ms, 0);
	cr_assert_eq(result.record->fresh_until_ms, 0);
	expect_kept(result.record, &before);
	lf_record_drop(result.record);
	before.expires_ms = 0;
	expect_outcome(&persist, &before, LF_COMMAND_NOTHING, 0);
	expect_outcome(&persist, NULL, LF_COMMAND_NOTHING, 0);
}

/* --- what counts as nothing; reading ------------------------------------------------------------------ */

Test(cache_commands, what_expired_and_negatives_and_tombstones_count_as_nothing_there)
{
	static const struct lf_cache_field field = { TEXT("a"), TEXT("1") };

	for (int i = 0; i < 3; i++) {
		struct lf_record before = a_string(i == 0 ? TEXT("7") : TEXT(""));
		struct lf_command incr = a_command(LF_COMMAND_INCRBY), expire = a_command(LF_COMMAND_EXPIRE);
		struct lf_command persist = a_command(LF_COMMAND_PERSIST), hset = with_fields(LF_COMMAND_HSET, &field, 1);
		struct lf_command del = a_command(LF_COMMAND_DEL);

		if (i == 0)
			before.expires_ms = NOW;
		else
			before.type = i == 1 ? LF_RECORD_NEGATIVE : LF_RECORD_GONE;
		incr.number = 1;
		expire.expires_ms = LATER;
		expect_change(&incr, &before, 1, TEXT("1"));
		expect_change(&hset, &before, 1, TEXT(A1));
		expect_outcome(&expire, &before, LF_COMMAND_NOTHING, 0);
		expect_outcome(&persist, &before, LF_COMMAND_NOTHING, 0);
		expect_outcome(&del, &before, LF_COMMAND_REMOVE, 0);
	}
}

Test(cache_commands, get_and_hget_and_hgetall_find_what_is_there_and_refuse_the_other_type)
{
	struct lf_record text = a_string(TEXT("v")), fields = a_hash(TEXT(A1 B2)), negative = a_string(TEXT(""));
	struct lf_error err;
	struct lf_text out;

	negative.type = LF_RECORD_NEGATIVE;
	cr_assert_eq(lf_command_get(&text, &out, &err), 1);
	expect_text(out, TEXT("v"));
	cr_assert_eq(lf_command_hget(&fields, TEXT("b"), &out, &err), 1);
	expect_text(out, TEXT("2"));
	cr_assert_eq(lf_command_hget(&fields, TEXT("ab"), &out, &err), 0);
	cr_assert_eq(lf_command_hget(&fields, TEXT(""), &out, &err), 0);
	cr_assert_eq(lf_command_hgetall(&fields, &out, &err), 1);
	expect_text(out, TEXT(A1 B2));
	cr_assert_eq(lf_command_get(&fields, &out, &err), -EPROTOTYPE);
	cr_assert_eq(lf_command_hget(&text, TEXT("a"), &out, &err), -EPROTOTYPE);
	cr_assert_eq(lf_command_hgetall(&text, &out, &err), -EPROTOTYPE);
	cr_assert_eq(lf_command_get(NULL, &out, &err), 0);
	cr_assert_eq(lf_command_hget(NULL, TEXT("a"), &out, &err), 0);
	cr_assert_eq(lf_command_hgetall(&negative, &out, &err), 0);
}

Test(cache_commands, a_command_that_is_none_or_has_too_many_tags_is_refused)
{
	struct lf_command what = a_command((enum lf_command_kind)99);

	expect_failure(&what, NULL, -EINVAL);
	what = a_command(LF_COMMAND_SET);
	what.tags_count = LF_CACHE_TAGS_MAX + 1;
	expect_failure(&what, NULL, -EINVAL);
}
