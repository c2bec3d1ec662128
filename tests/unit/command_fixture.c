#include "tests/unit/command_fixture.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

static const struct lf_version version = { 42, 7 };
static const struct lf_record_tag tags[] = { { { "old", 3 }, 1 } };
static const struct lf_record_tag new_tags[] = { { { "new", 3 }, 2 }, { { "x", 1 }, 3 } };

struct lf_command a_command(enum lf_command_kind kind)
{
	return (struct lf_command){
		.kind = kind, .value_max = VALUE_MAX, .tags = new_tags, .tags_count = 2, .type_stamp = 21, .org_stamp = 22,
	};
}

struct lf_command with_fields(enum lf_command_kind kind, const struct lf_cache_field *fields, size_t count)
{
	struct lf_command what = a_command(kind);

	what.fields = fields;
	what.fields_count = count;
	return what;
}

struct lf_record a_string(struct lf_text value)
{
	return (struct lf_record){
		.type = LF_RECORD_STRING, .flags = LF_RECORD_CRITICAL, .version = { 1, 1 }, .tags = tags, .tags_count = 1,
		.load_ms = 3, .expires_ms = LATER, .fresh_until_ms = LATER - 10, .revision = 9, .type_stamp = 11, .org_stamp = 12,
		.value = value,
	};
}

struct lf_record a_hash(struct lf_text value)
{
	struct lf_record record = a_string(value);

	record.type = LF_RECORD_HASH;
	return record;
}

struct lf_command_result applied(const struct lf_command *what, const struct lf_record *before)
{
	struct lf_command_result result;
	struct lf_error err = { "" };

	memset(&result, 0xee, sizeof(result));
	cr_assert_eq(lf_command_apply(what, before, version, NOW, &result, &err), 0, "%s", err.text);
	cr_assert_eq(result.outcome == LF_COMMAND_STORE, result.record != NULL);
	if (result.record)
		cr_assert_eq(lf_version_compare(result.record->version, version), 0);
	return result;
}

void expect_failure(const struct lf_command *what, const struct lf_record *before, int want)
{
	struct lf_command_result result;
	struct lf_error err = { "" };
	int rc = lf_command_apply(what, before, version, NOW, &result, &err);

	cr_assert_eq(rc, want, "%d: %s", rc, err.text);
	cr_assert_neq(err.text[0], '\0');
}

void expect_text(struct lf_text text, struct lf_text want)
{
	cr_assert_eq(text.len, want.len, "%zu bytes, not %zu", text.len, want.len);
	if (want.len)
		cr_assert_arr_eq(text.data, want.data, want.len);
}

void expect_change(const struct lf_command *what, const struct lf_record *before, int64_t number, struct lf_text value)
{
	struct lf_command_result result = applied(what, before);

	cr_assert_eq(result.outcome, LF_COMMAND_STORE);
	cr_assert_eq(result.number, number, "%" PRId64, result.number);
	expect_text(result.record->value, value);
	lf_record_drop(result.record);
}

void expect_outcome(const struct lf_command *what, const struct lf_record *before, enum lf_outcome_of_command outcome,
                           int64_t number)
{
	struct lf_command_result result = applied(what, before);

	cr_assert_eq(result.outcome, outcome, "%d", (int)result.outcome);
	cr_assert_eq(result.number, number, "%" PRId64, result.number);
}

void expect_kept(const struct lf_record *record, const struct lf_record *before)
{
	cr_assert_eq(record->flags, before->flags);
	cr_assert_eq(record->tags_count, before->tags_count);
	for (unsigned i = 0; i < before->tags_count; i++) {
		expect_text(record->tags[i].name, before->tags[i].name);
		cr_assert_eq(record->tags[i].stamp, before->tags[i].stamp);
	}
	cr_assert_eq(record->load_ms, before->load_ms);
	cr_assert_eq(record->revision, before->revision);
	cr_assert_eq(record->type_stamp, before->type_stamp);
	cr_assert_eq(record->org_stamp, before->org_stamp);
}

void expect_ttl_kept(const struct lf_record *record, const struct lf_record *before)
{
	cr_assert_eq(record->expires_ms, before->expires_ms);
	cr_assert_eq(record->fresh_until_ms, before->fresh_until_ms);
}
