#include "agent/core/fields.h"

#define AT(member) offsetof(struct lf_entry, member)

const struct lf_field lf_fields[] = {
	{ "hash", LF_FIELD_TEXT, AT(hash), false },
	{ "namespace", LF_FIELD_TEXT, AT(namespace), false },
	{ "method", LF_FIELD_TEXT, AT(method), false },
	{ "messageTemplate", LF_FIELD_TEXT, AT(message_template), false },
	{ "templateKind", LF_FIELD_TEXT, AT(template_kind), false },
	{ "topFrame", LF_FIELD_TEXT, AT(top_frame), false },
	{ "enabled", LF_FIELD_BOOL, AT(enabled), false },
	{ "countTotal", LF_FIELD_COUNT, AT(count_total), false },
	{ "countPassed", LF_FIELD_COUNT, AT(counts[LF_PASSED]), false },
	{ "countMuted", LF_FIELD_COUNT, AT(counts[LF_MUTED]), false },
	{ "countSampled", LF_FIELD_COUNT, AT(counts[LF_SAMPLED]), false },
	{ "countLimited", LF_FIELD_COUNT, AT(counts[LF_LIMITED]), false },
	{ "countFolded", LF_FIELD_COUNT, AT(counts[LF_FOLDED]), false },
	{ "firstSeenAt", LF_FIELD_TEXT, AT(first_seen_at), false },
	{ "lastSeenAt", LF_FIELD_TEXT, AT(last_seen_at), false },
	{ "persistToCache", LF_FIELD_BOOL, AT(persist_to_cache), false },
	{ "persistToDb", LF_FIELD_BOOL, AT(persist_to_db), false },
	{ "tags", LF_FIELD_TAGS, AT(tags), false },
	{ "flagsVersion", LF_FIELD_NUMBER, AT(flags_version), false },
	{ "flagsWriter", LF_FIELD_TEXT, AT(flags_writer), false },
	{ "sourceFile", LF_FIELD_TEXT, AT(source_file), true },
	{ "sourceLine", LF_FIELD_NUMBER, AT(source_line), true },
	{ "family", LF_FIELD_TEXT, AT(family), true },
	{ "policy", LF_FIELD_TEXT, AT(policy), true },
	{ NULL, LF_FIELD_TEXT, 0, false },
};

static const void *at(const struct lf_field *field, const struct lf_entry *entry)
{
	return (const char *)entry + field->offset;
}

struct lf_text lf_field_text(const struct lf_field *field, const struct lf_entry *entry)
{
	return *(const struct lf_text *)at(field, entry);
}

bool lf_field_bool(const struct lf_field *field, const struct lf_entry *entry)
{
	return *(const bool *)at(field, entry);
}

uint64_t lf_field_count(const struct lf_field *field, const struct lf_entry *entry)
{
	return *(const uint64_t *)at(field, entry);
}

int64_t lf_field_number(const struct lf_field *field, const struct lf_entry *entry)
{
	return *(const int64_t *)at(field, entry);
}

bool lf_field_is_known(const struct lf_field *field, const struct lf_entry *entry)
{
	if (!field->optional)
		return true;
	if (field->kind == LF_FIELD_NUMBER)
		return lf_field_number(field, entry) != 0;
	return lf_field_text(field, entry).len > 0;
}
