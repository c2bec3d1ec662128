#include "sinks/mongo/parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/utf8.h"
#include "sinks/mongo/documents.h"

/* ---- Values ---- */

static char *make(struct lf_mongo_parsed *parsed, size_t size)
{
	char *text = parsed->made_count < LF_MONGO_MADE_MAX ? malloc(size ? size : 1) : NULL;

	if (text)
		parsed->made[parsed->made_count++] = text;
	return text;
}

static struct lf_text clean(struct lf_mongo_parsed *parsed, struct lf_text text)
{
	char *copy;

	if (lf_utf8_is_clean(text))
		return text;
	copy = make(parsed, text.len * 4);
	return copy ? (struct lf_text){ copy, lf_utf8_escape(text, copy, text.len * 4) } :
	              (struct lf_text){ NULL, 0 };
}

static struct lf_text text_in(const bson_iter_t *field)
{
	uint32_t len = 0;
	const char *data = BSON_ITER_HOLDS_UTF8(field) ? bson_iter_utf8(field, &len) : NULL;

	return (struct lf_text){ data, len };
}

int64_t lf_mongo_parse_number(const bson_iter_t *field)
{
	struct lf_text text = text_in(field);
	int64_t number = -1;
	double real;

	switch (bson_iter_type(field)) {
	case BSON_TYPE_INT32:
	case BSON_TYPE_INT64:
		number = bson_iter_as_int64(field);
		break;
	case BSON_TYPE_DOUBLE:
		real = bson_iter_double(field);
		if (real >= 0)
			number = real >= 9.2e18 ? INT64_MAX : (int64_t)real;
		break;
	case BSON_TYPE_UTF8:
		if (text.len && strspn(text.data, "0123456789") == text.len)
			number = strtoll(text.data, NULL, 10);
		break;
	default:
		break;
	}
	return number >= 0 ? number : -1;
}

static bool parse_flag(const bson_iter_t *field, bool otherwise)
{
	struct lf_text text = text_in(field);

	if (bson_iter_type(field) == BSON_TYPE_BOOL)
		return bson_iter_bool(field);
	if (text.len == 5 && strncasecmp(text.data, "false", 5) == 0)
		return false;
	return lf_mongo_parse_number(field) < 0 ? otherwise : lf_mongo_parse_number(field) != 0;
}

/* ---- Times ---- */

/* 2024-05-06T07:08:09, with or without a fraction and a zone; a space is fine for the T. */
static int64_t parse_iso(struct lf_text text)
{
	struct tm day = { 0 };
	char copy[40], sign, separator;
	int used = 0, hours = 0, minutes = 0;
	double fraction = 0;
	const char *at;

	if (text.len >= sizeof(copy))
		return -1;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	if (sscanf(copy, "%4d-%2d-%2d%c%2d:%2d:%2d%n", &day.tm_year, &day.tm_mon, &day.tm_mday, &separator,
	           &day.tm_hour, &day.tm_min, &day.tm_sec, &used) != 7)
		return -1;
	at = copy + used;
	if (*at == '.')
		fraction = strtod(at, (char **)&at);
	if (sscanf(at, "%c%2d:%2d", &sign, &hours, &minutes) == 3)
		minutes = (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
	else
		minutes = 0;
	day.tm_year -= 1900;
	day.tm_mon -= 1;
	return ((int64_t)timegm(&day) - minutes * 60) * 1000 + (int64_t)lround(fraction * 1000);
}

static struct lf_text parse_time(const bson_iter_t *field, char out[LF_TIME_CHARS + 1])
{
	struct lf_text text = text_in(field);
	int64_t ms = BSON_ITER_HOLDS_DATE_TIME(field) ? bson_iter_date_time(field) :
	             text.len                         ? parse_iso(text) :
	                                                lf_mongo_parse_number(field);

	if (ms <= 0)
		return (struct lf_text){ NULL, 0 };
	lf_time_format((uint64_t)ms, out);
	return (struct lf_text){ out, LF_TIME_CHARS };
}

/* ---- Tags ---- */

/* At most six characters for one. */
static char *put_json(char *out, struct lf_text text)
{
	*out++ = '"';
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c < 0x20) {
			out += sprintf(out, "\\u%04x", c);
			continue;
		}
		if (c == '"' || c == '\\')
			*out++ = '\\';
		*out++ = (char)c;
	}
	*out++ = '"';
	return out;
}

static struct lf_text tags_of(struct lf_mongo_parsed *parsed, bson_iter_t *element, size_t bytes)
{
	char *json = make(parsed, bytes * 6 + 3), *at = json;

	if (!json)
		return (struct lf_text){ NULL, 0 };
	*at++ = '[';
	while (bson_iter_next(element)) {
		struct lf_text tag = text_in(element);

		if (!tag.data || !lf_utf8_is_clean(tag))
			continue;
		if (at > json + 1)
			*at++ = ',';
		at = put_json(at, tag);
	}
	*at++ = ']';
	return (struct lf_text){ json, (size_t)(at - json) };
}

static struct lf_text parse_tags(struct lf_mongo_parsed *parsed, const bson_iter_t *field)
{
	struct lf_text one = text_in(field);
	const uint8_t *bytes = NULL;
	uint32_t len = 0;
	bson_iter_t element;
	char *json;

	if (BSON_ITER_HOLDS_ARRAY(field)) {
		bson_iter_array(field, &len, &bytes);
		if (bson_iter_init_from_data(&element, bytes, len))
			return tags_of(parsed, &element, len);
	}
	if (one.len && lf_utf8_is_clean(one) && (json = make(parsed, one.len * 6 + 4)) != NULL) {
		char *at = json;

		*at++ = '[';
		at = put_json(at, one);
		*at++ = ']';
		return (struct lf_text){ json, (size_t)(at - json) };
	}
	return (struct lf_text){ "[]", 2 };
}

/* ---- Fields ---- */

enum kind { TEXT, FLAG, NUMBER, FIRST, LAST, TAGS, COUNT };

static const struct field {
	const char *name;
	enum kind kind;
	size_t at;     /* in struct lf_entry */
	unsigned flag; /* enum lf_flag */
} fields[] = {
	{ "hash", TEXT, offsetof(struct lf_entry, hash), 0 },
	{ "namespace", TEXT, offsetof(struct lf_entry, namespace), 0 },
	{ "method", TEXT, offsetof(struct lf_entry, method), 0 },
	{ "messageTemplate", TEXT, offsetof(struct lf_entry, message_template), 0 },
	{ "templateKind", TEXT, offsetof(struct lf_entry, template_kind), 0 },
	{ "topFrame", TEXT, offsetof(struct lf_entry, top_frame), 0 },
	{ "sourceFile", TEXT, offsetof(struct lf_entry, source_file), 0 },
	{ "family", TEXT, offsetof(struct lf_entry, family), 0 },
	{ "policy", TEXT, offsetof(struct lf_entry, policy), LF_FLAG_POLICY },
	{ "flagsWriter", TEXT, offsetof(struct lf_entry, flags_writer), 0 },
	{ "enabled", FLAG, offsetof(struct lf_entry, enabled), LF_FLAG_ENABLED },
	{ "persistToCache", FLAG, offsetof(struct lf_entry, persist_to_cache), LF_FLAG_TO_CACHE },
	{ "persistToDb", FLAG, offsetof(struct lf_entry, persist_to_db), LF_FLAG_TO_DB },
	{ "flagsVersion", NUMBER, offsetof(struct lf_entry, flags_version), 0 },
	{ "sourceLine", NUMBER, offsetof(struct lf_entry, source_line), 0 },
	{ "firstSeenAt", FIRST, offsetof(struct lf_entry, first_seen_at), 0 },
	{ "lastSeenAt", LAST, offsetof(struct lf_entry, last_seen_at), 0 },
	{ "tags", TAGS, offsetof(struct lf_entry, tags), LF_FLAG_TAGS },
	{ "countTotal", COUNT, offsetof(struct lf_entry, count_total), 0 },
};

static const struct field *field_named(const char *name)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static void take(struct lf_mongo_parsed *out, const struct field *field, const bson_iter_t *value)
{
	char *at = (char *)&out->entry + field->at;
	int64_t number;

	switch (field->kind) {
	case TEXT:
		*(struct lf_text *)(void *)at = clean(out, text_in(value));
		break;
	case FLAG:
		*(bool *)at = parse_flag(value, *(bool *)at);
		break;
	case NUMBER:
		*(int64_t *)(void *)at = lf_mongo_parse_number(value);
		break;
	case FIRST:
		out->entry.first_seen_at = parse_time(value, out->first);
		break;
	case LAST:
		out->entry.last_seen_at = parse_time(value, out->last);
		break;
	case TAGS:
		out->entry.tags = parse_tags(out, value);
		break;
	case COUNT:
		number = lf_mongo_parse_number(value);
		*(uint64_t *)(void *)at = number < 0 ? 0 : (uint64_t)number;
		break;
	}
}

static bool take_outcome(uint64_t counts[LF_OUTCOME_COUNT], const bson_iter_t *value)
{
	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		int64_t number = lf_mongo_parse_number(value);

		if (strcmp(bson_iter_key(value), lf_mongo_count_names[i]) == 0) {
			counts[i] = number < 0 ? 0 : (uint64_t)number;
			return number >= 0;
		}
	}
	return false;
}

/* Of whoever does not tell what passed, all of the total did that did not end otherwise. */
static void settle_counts(struct lf_mongo_parsed *out)
{
	uint64_t sum = 0;

	for (int i = 0; !out->has_passed && i < LF_OUTCOME_COUNT; i++)
		sum += out->entry.counts[i];
	if (!out->has_passed && out->entry.count_total > sum)
		out->entry.counts[LF_PASSED] = out->entry.count_total - sum;
	sum = 0;
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		sum += out->entry.counts[i];
	out->entry.count_total = sum;
}

/* "<namespace>:<hash>" says both, too. */
static void complete_from_id(struct lf_entry *entry, struct lf_text id, const char *namespace)
{
	size_t len = strlen(namespace);

	if (id.len <= len || memcmp(id.data, namespace, len) != 0 || id.data[len] != ':')
		return;
	if (!entry->hash.len)
		entry->hash = (struct lf_text){ id.data + len + 1, id.len - len - 1 };
	if (!entry->namespace.len)
		entry->namespace = (struct lf_text){ namespace, len };
}

bool lf_mongo_parse_entry(struct lf_mongo_parsed *out, const bson_t *document, const char *namespace)
{
	struct lf_text id = { NULL, 0 };
	unsigned unsaid = LF_FLAGS_ALL;
	bson_iter_t value;

	*out = (struct lf_mongo_parsed){ .entry = { .enabled = true, .persist_to_cache = true,
		                                    .persist_to_db = true, .flags_version = -1,
		                                    .tags = { "[]", 2 } } };
	if (!bson_iter_init(&value, document))
		return false;
	while (bson_iter_next(&value)) {
		const struct field *field = field_named(bson_iter_key(&value));

		if (field) {
			take(out, field, &value);
			unsaid &= ~field->flag;
		} else if (strcmp(bson_iter_key(&value), "_id") == 0) {
			id = clean(out, text_in(&value));
		} else {
			out->has_passed |= take_outcome(out->entry.counts, &value) &&
			                   strcmp(bson_iter_key(&value), lf_mongo_count_names[LF_PASSED]) == 0;
		}
	}
	if (out->entry.flags_version < 0)
		out->entry.flags_unsaid = unsaid;
	if (out->entry.source_line < 0)
		out->entry.source_line = 0;
	complete_from_id(&out->entry, id, namespace);
	settle_counts(out);
	return out->entry.hash.len > 0 && out->entry.namespace.len == strlen(namespace) &&
	       memcmp(out->entry.namespace.data, namespace, out->entry.namespace.len) == 0;
}

void lf_mongo_parsed_fini(struct lf_mongo_parsed *parsed)
{
	while (parsed->made_count > 0)
		free(parsed->made[--parsed->made_count]);
}

bool lf_mongo_parse_share(struct lf_share *out, struct lf_text *hash, const bson_t *document)
{
	struct lf_text incarnation = { NULL, 0 };
	bson_iter_t value;

	*out = (struct lf_share){ .incarnation = "" };
	*hash = incarnation;
	if (!bson_iter_init(&value, document))
		return false;
	while (bson_iter_next(&value)) {
		const char *name = bson_iter_key(&value);

		if (strcmp(name, "hash") == 0)
			*hash = text_in(&value);
		else if (strcmp(name, "incarnation") == 0)
			incarnation = text_in(&value);
		else
			(void)take_outcome(out->counts, &value);
	}
	if (!hash->len || !incarnation.len || incarnation.len > LF_UUID_CHARS)
		return false;
	memcpy(out->incarnation, incarnation.data, incarnation.len);
	return true;
}
