/* SQLite knows JSON already: json_each() takes the line apart, the table of fields says what is what. */
#include "agent/cli/json_read.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/fields.h"
#include "agent/core/tags.h"
#include "hashing/utf8.h"
#include "logfold/time.h"

enum { OBJECT, SHARES, SHARE, LEVELS }; /* a statement each, as they are inside one another */

struct lf_json_reader {
	sqlite3 *db;
	sqlite3_stmt *is_object, *time, *each[LEVELS];
	char *text; /* the line, and then the texts of its entry */
	size_t used, room;
	struct lf_share *shares;
	size_t shares_room;
};

static const char is_object_sql[] =
	"SELECT CASE WHEN json_valid(?1) THEN json_type(?1) = 'object' ELSE 0 END";

/* Into our form; NULL when it is no time. */
static const char time_sql[] = "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?1)";

/* mongoexport has objects for numbers and dates. */
static const char each_sql[] =
	"SELECT key, type, CASE WHEN type = 'object' THEN coalesce("
	"json_extract(value, '$.\"$numberLong\"'), json_extract(value, '$.\"$numberInt\"'),"
	" json_extract(value, '$.\"$date\".\"$numberLong\"'), json_extract(value, '$.\"$date\"'), value)"
	" ELSE value END FROM json_each(?1)";

int lf_json_reader_new(struct lf_json_reader **out, struct lf_error *err)
{
	struct lf_json_reader *reader = calloc(1, sizeof(*reader));
	int code = SQLITE_NOMEM;

	if (reader)
		code = sqlite3_open(":memory:", &reader->db);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(reader->db, is_object_sql, -1, &reader->is_object, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(reader->db, time_sql, -1, &reader->time, NULL);
	for (int i = 0; code == SQLITE_OK && i < LEVELS; i++)
		code = sqlite3_prepare_v2(reader->db, each_sql, -1, &reader->each[i], NULL);
	if (code == SQLITE_OK) {
		*out = reader;
		return 0;
	}
	lf_json_reader_free(reader);
	if (code == SQLITE_NOMEM)
		return lf_fail(err, -ENOMEM, "there is no memory to read JSON");
	return lf_fail(err, -ENOTSUP, "this SQLite has no JSON functions: update it");
}

void lf_json_reader_free(struct lf_json_reader *reader)
{
	if (!reader)
		return;
	(void)sqlite3_finalize(reader->is_object);
	(void)sqlite3_finalize(reader->time);
	for (int i = 0; i < LEVELS; i++)
		(void)sqlite3_finalize(reader->each[i]);
	(void)sqlite3_close(reader->db);
	free(reader->text);
	free(reader->shares);
	free(reader);
}

/* ---- Members ---- */

struct member {
	struct lf_text key, type; /* the value is column 2 of the row */
	sqlite3_stmt *row;
};

static struct lf_text text_at(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return (struct lf_text){ text ? (const char *)text : "",
		                 (size_t)sqlite3_column_bytes(row, column) };
}

static bool equals(struct lf_text text, const char *word)
{
	return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

struct reading {
	struct lf_json_reader *reader;
	struct lf_json_line *line;
	struct lf_share *share; /* the one that is being read */
	bool named;             /* messageTemplate was there */
	struct lf_error *err;
};

static int each_member(struct reading *reading, int level, struct lf_text json,
                       int (*take)(struct reading *reading, const struct member *member))
{
	sqlite3_stmt *row = reading->reader->each[level];
	int code, rc = 0;

	(void)sqlite3_bind_text64(row, 1, json.data, json.len, SQLITE_STATIC, SQLITE_UTF8);
	while (rc == 0 && (code = sqlite3_step(row)) == SQLITE_ROW) {
		struct member member = { text_at(row, 0), text_at(row, 1), row };

		rc = take(reading, &member);
	}
	if (rc == 0 && code != SQLITE_DONE)
		rc = lf_fail(reading->err, -EINVAL, "it cannot be read: %s",
			     sqlite3_errmsg(reading->reader->db));
	(void)sqlite3_reset(row);
	return rc;
}

static int fail_member(struct reading *reading, const struct member *member, const char *wanted)
{
	struct lf_text value = text_at(member->row, 2);

	return lf_fail(reading->err, -EINVAL, "%.*s is '%.*s%s': it must be %s",
		       (int)(member->key.len < 40 ? member->key.len : 40), member->key.data,
		       (int)(value.len < 40 ? value.len : 40), value.len ? value.data : "",
		       value.len > 40 ? "…" : "", wanted);
}

/* 0 to `max`, as an integer, a whole floating-point number, or its digits as mongoexport has them. */
static bool whole_number(const struct member *member, uint64_t max, uint64_t *out)
{
	double real;
	struct lf_text text;

	switch (sqlite3_column_type(member->row, 2)) {
	case SQLITE_INTEGER:
		if (sqlite3_column_int64(member->row, 2) < 0)
			return false;
		*out = (uint64_t)sqlite3_column_int64(member->row, 2);
		return *out <= max;
	case SQLITE_FLOAT:
		real = sqlite3_column_double(member->row, 2);
		if (!(real >= 0 && real <= 9007199254740992.0))
			return false;
		*out = (uint64_t)real;
		return (double)*out == real && *out <= max;
	case SQLITE_TEXT:
		text = text_at(member->row, 2);
		if (!text.len || text.len > 19 || strspn(text.data, "0123456789") != text.len)
			return false;
		*out = strtoull(text.data, NULL, 10);
		return *out <= max;
	default:
		return false;
	}
}

/* ---- Values ---- */

static const struct limit {
	const char *field;
	size_t bytes;
} limits[] = {
	{ "method", LF_METHOD_MAX },
	{ "topFrame", LF_FRAME_MAX },
	{ "templateKind", 32 },
	{ "namespace", 2 * LF_NAMESPACE_MAX }, /* too long a one must be seen to be */
	{ NULL, LF_TEMPLATE_MAX },
};

static size_t limit_of(const char *field)
{
	const struct limit *limit = limits;

	while (limit->field && strcmp(limit->field, field) != 0)
		limit++;
	return limit->bytes;
}

/* There is room for all texts of a line, escaped: see begin(). */
static struct lf_text keep(struct lf_json_reader *reader, struct lf_text text, size_t limit)
{
	char *at = reader->text + reader->used;
	size_t room = reader->room - reader->used, len;

	len = lf_utf8_escape(text, at, room < limit ? room : limit);
	reader->used += len;
	return (struct lf_text){ at, len };
}

static bool is_time_field(const char *name)
{
	return strcmp(name, "firstSeenAt") == 0 || strcmp(name, "lastSeenAt") == 0;
}

/* Our form as it is; else what SQLite understands, or milliseconds. */
static int take_time(struct reading *reading, const struct member *member, struct lf_text *out)
{
	sqlite3_stmt *statement = reading->reader->time;
	char formatted[LF_TIME_CHARS + 1];
	struct lf_text text;
	uint64_t ms;

	if (whole_number(member, UINT64_C(253402300799999), &ms)) {
		lf_time_format(ms, formatted);
		*out = keep(reading->reader, (struct lf_text){ formatted, LF_TIME_CHARS }, LF_TIME_CHARS);
		return 0;
	}
	text = text_at(member->row, 2);
	*out = keep(reading->reader, text, LF_TIME_CHARS);
	if (!text.len || (text.len == LF_TIME_CHARS && lf_time_parse(*out)))
		return 0;
	(void)sqlite3_bind_text64(statement, 1, text.data, text.len, SQLITE_STATIC, SQLITE_UTF8);
	if (sqlite3_step(statement) == SQLITE_ROW)
		*out = keep(reading->reader, text_at(statement, 0), LF_TIME_CHARS);
	(void)sqlite3_reset(statement);
	return out->len == LF_TIME_CHARS ? 0 : fail_member(reading, member, "a time, 2024-05-06T07:08:09.123Z");
}

static int take_text(struct reading *reading, const struct member *member,
                     const struct lf_field *field, struct lf_text *out)
{
	if (is_time_field(field->name))
		return take_time(reading, member, out);
	if (!equals(member->type, "text"))
		return fail_member(reading, member, "a text");
	reading->named |= strcmp(field->name, "messageTemplate") == 0;
	*out = keep(reading->reader, text_at(member->row, 2), limit_of(field->name));
	return 0;
}

static int take_tags(struct reading *reading, const struct member *member, struct lf_text *out)
{
	struct lf_text text = text_at(member->row, 2);

	if (!equals(member->type, "array") || !lf_tags_are_valid(text))
		return fail_member(reading, member, "an array of texts");
	*out = keep(reading->reader, text, text.len);
	return 0;
}

static int take_bool(struct reading *reading, const struct member *member, bool *out)
{
	uint64_t number;

	if (!whole_number(member, 1, &number) || equals(member->type, "text"))
		return fail_member(reading, member, "true or false");
	*out = number != 0;
	return 0;
}

/* A total is the sum of five. */
static int take_total(struct reading *reading, const struct member *member, uint64_t *out)
{
	return whole_number(member, INT64_MAX, out) ? 0 : fail_member(reading, member, "a number from 0 on");
}

static int take_count(struct reading *reading, const struct member *member, uint64_t *out)
{
	if (!whole_number(member, LF_JSON_COUNT_MAX, out) || equals(member->type, "true") ||
	    equals(member->type, "false"))
		return fail_member(reading, member, "a number from 0 to 2^60");
	return 0;
}

static int take_number(struct reading *reading, const struct member *member, int64_t *out)
{
	uint64_t number;

	if (!whole_number(member, INT64_MAX, &number))
		return fail_member(reading, member, "a whole number from 0 on");
	*out = (int64_t)number;
	return 0;
}

static int take_value(struct reading *reading, const struct member *member,
                      const struct lf_field *field)
{
	void *at = (char *)&reading->line->entry + field->offset;

	switch (field->kind) {
	case LF_FIELD_TEXT:
		return take_text(reading, member, field, at);
	case LF_FIELD_TAGS:
		return take_tags(reading, member, at);
	case LF_FIELD_BOOL:
		return take_bool(reading, member, at);
	case LF_FIELD_COUNT:
		return take_count(reading, member, at);
	case LF_FIELD_NUMBER:
		return take_number(reading, member, at);
	}
	return 0;
}

/* ---- Shares ---- */

static bool is_uuid(struct lf_text text)
{
	for (size_t i = 0; i < text.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text.data[i] != '-' : !strchr("0123456789abcdef", text.data[i]))
			return false;
	}
	return text.len == LF_UUID_CHARS;
}

static int take_of_share(struct reading *reading, const struct member *member)
{
	struct lf_text text;

	if (equals(member->key, "incarnation")) {
		text = text_at(member->row, 2);
		if (!is_uuid(text))
			return fail_member(reading, member, "a UUID in lower case");
		memcpy(reading->share->incarnation, text.data, LF_UUID_CHARS);
		return 0;
	}
	for (const struct lf_field *field = lf_fields; field->name; field++)
		if (field->kind == LF_FIELD_COUNT && equals(member->key, field->name) &&
		    field->offset != offsetof(struct lf_entry, count_total))
			return take_count(reading, member,
				&reading->share->counts[(field->offset - offsetof(struct lf_entry, counts)) /
							sizeof(uint64_t)]);
	return 0;
}

static int take_share(struct reading *reading, const struct member *member)
{
	struct lf_json_reader *reader = reading->reader;
	size_t count = reading->line->shares_count;
	int rc;

	if (!equals(member->type, "object"))
		return lf_fail(reading->err, -EINVAL, "shares holds what is no object");
	if (count == reader->shares_room) {
		size_t room = count ? 2 * count : 8;
		struct lf_share *grown = reallocarray(reader->shares, room, sizeof(*grown));

		if (!grown)
			return lf_fail(reading->err, -ENOMEM, "there is no memory for %zu shares", room);
		reader->shares = grown;
		reader->shares_room = room;
	}
	reading->share = &reader->shares[count];
	memset(reading->share, 0, sizeof(*reading->share));
	rc = each_member(reading, SHARE, text_at(member->row, 2), take_of_share);
	if (rc == 0 && !reading->share->incarnation[0])
		rc = lf_fail(reading->err, -EINVAL, "a share has no incarnation");
	reading->line->shares_count++;
	return rc;
}

/* ---- The line ---- */

static int take_member(struct reading *reading, const struct member *member)
{
	struct lf_json_line *line = reading->line;
	const struct lf_field *field = lf_fields;
	bool total = equals(member->key, "count") || equals(member->key, "countTotal");

	if (equals(member->type, "null"))
		return 0;
	if (equals(member->key, "shares")) {
		line->has_shares = true;
		line->shares_count = 0;
		return equals(member->type, "array") ?
			       each_member(reading, SHARES, text_at(member->row, 2), take_share) :
			       fail_member(reading, member, "an array");
	}
	line->has_total |= total;
	line->has_passed |= equals(member->key, "countPassed");
	if (total)
		return take_total(reading, member, &line->entry.count_total);
	while (field->name && !equals(member->key, field->name))
		field++;
	return field->name ? take_value(reading, member, field) : 0;
}

/* \u0000 becomes \\x00, as a NUL stands in every entry: SQLite's texts end at one. */
static size_t copy_line(char *to, struct lf_text line)
{
	size_t at = 0, len = 0;

	while (at < line.len) {
		if (line.data[at] != '\\') {
			to[len++] = line.data[at++];
		} else if (line.len - at >= 6 && memcmp(line.data + at, "\\u0000", 6) == 0) {
			memcpy(to + len, "\\\\x00", 5);
			len += 5;
			at += 6;
		} else {
			to[len++] = line.data[at++];
			if (at < line.len)
				to[len++] = line.data[at++];
		}
	}
	return len;
}

/* A byte is escaped by four, and a lone surrogate, six bytes of JSON, by twelve; times may be longer
 * than what they were made of. */
static int begin(struct lf_json_reader *reader, struct lf_text line, struct lf_error *err)
{
	size_t room = 5 * line.len + 4 * LF_TIME_CHARS;

	if (room > reader->room) {
		free(reader->text);
		reader->text = malloc(room);
		reader->room = reader->text ? room : 0;
	}
	if (!reader->text)
		return lf_fail(err, -ENOMEM, "there is no memory for a line of %zu bytes", line.len);
	reader->used = copy_line(reader->text, line);
	return 0;
}

static int check_object(struct lf_json_reader *reader, struct lf_text json, struct lf_error *err)
{
	bool fine;

	(void)sqlite3_bind_text64(reader->is_object, 1, json.data, json.len, SQLITE_STATIC, SQLITE_UTF8);
	fine = !memchr(json.data, '\0', json.len) && sqlite3_step(reader->is_object) == SQLITE_ROW &&
	       sqlite3_column_int(reader->is_object, 0);
	(void)sqlite3_reset(reader->is_object);
	return fine ? 0 : lf_fail(err, -EINVAL, "it is no JSON object");
}

int lf_json_read(struct lf_json_reader *reader, struct lf_text line, struct lf_json_line *out,
                 struct lf_error *err)
{
	struct reading reading = { .reader = reader, .line = out, .err = err };
	struct lf_text json;
	int rc = begin(reader, line, err);

	if (rc < 0)
		return rc;
	json = (struct lf_text){ reader->text, reader->used };
	*out = (struct lf_json_line){ .entry = { .enabled = true,
		                                 .persist_to_cache = true,
		                                 .persist_to_db = true,
		                                 .tags = { "[]", 2 } } };
	rc = check_object(reader, json, err);
	if (rc == 0)
		rc = each_member(&reading, OBJECT, json, take_member);
	if (rc == 0 && !reading.named)
		rc = lf_fail(err, -EINVAL, "messageTemplate is missing");
	out->shares = reader->shares;
	return rc;
}
