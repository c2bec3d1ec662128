/* SQLite knows JSON already: json_each() takes the line apart. */
#include "sinks/cache/lines.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/utf8.h"
#include "sinks/cache/base64.h"

enum { OBJECT, LIST, PAIR, LEVELS }; /* a statement each, as they are inside one another */

struct lf_line_reader {
	sqlite3 *db;
	sqlite3_stmt *is_object, *each[LEVELS];
	char *text; /* the texts of a line */
	size_t used, room;
	struct lf_cache_field *fields;
	size_t fields_room;
	struct lf_line *line; /* that is being read */
	struct lf_error *err;
	struct lf_text pair[2];
	size_t pair_count;
	bool has_value;
};

static const char is_object_sql[] = "SELECT CASE WHEN json_valid(?1) THEN json_type(?1) = 'object' ELSE 0 END";

/* 0 the key, 1 the type, 2 the value; 3 and 4 type and value of "base64" in an object. */
static const char each_sql[] =
	"SELECT key, type, value, CASE type WHEN 'object' THEN json_type(value, '$.base64') END,"
	" CASE type WHEN 'object' THEN json_extract(value, '$.base64') END FROM json_each(?1)";

int lf_line_reader_new(struct lf_line_reader **out, struct lf_error *err)
{
	struct lf_line_reader *reader = calloc(1, sizeof(*reader));
	int code = SQLITE_NOMEM;

	if (reader)
		code = sqlite3_open(":memory:", &reader->db);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(reader->db, is_object_sql, -1, &reader->is_object, NULL);
	for (int i = 0; code == SQLITE_OK && i < LEVELS; i++)
		code = sqlite3_prepare_v2(reader->db, each_sql, -1, &reader->each[i], NULL);
	if (code == SQLITE_OK) {
		*out = reader;
		return 0;
	}
	lf_line_reader_free(reader);
	return code == SQLITE_NOMEM ? lf_fail(err, -ENOMEM, "there is no memory for reading JSON") :
	                              lf_fail(err, -ENOSYS, "this SQLite cannot read JSON: %s", sqlite3_errstr(code));
}

void lf_line_reader_free(struct lf_line_reader *reader)
{
	if (!reader)
		return;
	(void)sqlite3_finalize(reader->is_object);
	for (int i = 0; i < LEVELS; i++)
		(void)sqlite3_finalize(reader->each[i]);
	(void)sqlite3_close(reader->db);
	free(reader->text);
	free(reader->fields);
	free(reader);
}

/* --- members --------------------------------------------------------------------------------------- */

static struct lf_text text_at(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return (struct lf_text){ text ? (const char *)text : "", (size_t)sqlite3_column_bytes(row, column) };
}

static bool equals(struct lf_text text, const char *word)
{
	return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

static int each_member(struct lf_line_reader *reader, int level, struct lf_text json,
                       int (*take)(struct lf_line_reader *reader, sqlite3_stmt *row))
{
	sqlite3_stmt *row = reader->each[level];
	int code = SQLITE_DONE, rc = 0;

	(void)sqlite3_bind_text64(row, 1, json.data, json.len, SQLITE_STATIC, SQLITE_UTF8);
	while (rc == 0 && (code = sqlite3_step(row)) == SQLITE_ROW)
		rc = take(reader, row);
	if (rc == 0 && code != SQLITE_DONE)
		rc = lf_fail(reader->err, code == SQLITE_NOMEM ? -ENOMEM : -EINVAL, "it cannot be read: %s",
		             sqlite3_errmsg(reader->db));
	(void)sqlite3_reset(row);
	return rc;
}

static int not_a(const struct lf_line_reader *reader, const char *what, const char *wanted)
{
	return lf_fail(reader->err, -EINVAL, "%s must be %s", what, wanted);
}

/* A string, or bytes as base64.  All texts of a line have room in as many bytes as the line has. */
static int take_text(struct lf_line_reader *reader, sqlite3_stmt *row, const char *what, struct lf_text *out)
{
	bool encoded = equals(text_at(row, 1), "object") && equals(text_at(row, 3), "text");
	struct lf_text text = text_at(row, encoded ? 4 : 2);
	char *at = reader->text + reader->used;
	size_t len = text.len;

	if (!encoded && !equals(text_at(row, 1), "text"))
		return not_a(reader, what, "a string, or {\"base64\": \"…\"}");
	if (encoded ? !lf_base64_decode(text, at, &len) : !lf_utf8_is_clean(text))
		return not_a(reader, what, encoded ? "base64 with its padding" : "whole characters: \\u escapes half of one");
	if (!encoded)
		memcpy(at, text.data, len);
	reader->used += len;
	*out = (struct lf_text){ at, len };
	return 0;
}

static int take_id(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	return take_text(reader, row, "id", &reader->line->id);
}

static int take_value(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	reader->has_value = true;
	return take_text(reader, row, "value", &reader->line->value);
}

static int take_type(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	struct lf_text type = text_at(row, 2);

	reader->line->type = equals(type, "string") ? LF_RECORD_STRING : LF_RECORD_HASH;
	return equals(type, "string") || equals(type, "hash") ? 0 : not_a(reader, "type", "\"string\" or \"hash\"");
}

static int take_ttl(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	reader->line->ttl_ms = sqlite3_column_int64(row, 2);
	return equals(text_at(row, 1), "integer") && sqlite3_column_type(row, 2) == SQLITE_INTEGER &&
			       reader->line->ttl_ms > 0 ?
		       0 : not_a(reader, "ttlMs", "a whole number of milliseconds from 1 on");
}

static int take_revision(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	struct lf_text text = text_at(row, 2); /* of a number, too */
	char *end;

	errno = 0;
	reader->line->revision = strtoull(text.data, &end, 10);
	return text.len && text.data[0] != '-' && strspn(text.data, "0123456789") == text.len && !*end && !errno ?
		       0 : not_a(reader, "revision", "a whole number below 2^64, or its digits");
}

static int take_critical(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	reader->line->critical = equals(text_at(row, 1), "true");
	return reader->line->critical || equals(text_at(row, 1), "false") ? 0 : not_a(reader, "critical", "true or false");
}

static int take_tag(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	struct lf_line *line = reader->line;

	if (line->tags_count == LF_CACHE_TAGS_MAX)
		return lf_fail(reader->err, -EINVAL, "there are more than %d tags", LF_CACHE_TAGS_MAX);
	return take_text(reader, row, "a tag", &line->tags[line->tags_count++]);
}

static int take_tags(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	reader->line->tags_count = 0;
	return equals(text_at(row, 1), "array") ? each_member(reader, LIST, text_at(row, 2), take_tag) :
	                                          not_a(reader, "tags", "an array of texts");
}

static int take_of_pair(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	if (reader->pair_count == 2)
		return not_a(reader, "a field", "an array of name and value");
	return take_text(reader, row, "a field", &reader->pair[reader->pair_count++]);
}

static int add_field(struct lf_line_reader *reader)
{
	size_t count = reader->line->fields_count;

	if (count == reader->fields_room) {
		size_t room = count ? 2 * count : 16;
		struct lf_cache_field *grown = reallocarray(reader->fields, room, sizeof(*grown));

		if (!grown)
			return lf_fail(reader->err, -ENOMEM, "there is no memory for %zu fields", room);
		reader->fields = grown;
		reader->fields_room = room;
	}
	reader->fields[reader->line->fields_count++] = (struct lf_cache_field){ reader->pair[0], reader->pair[1] };
	return 0;
}

static int take_field(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	int rc;

	reader->pair_count = 0;
	rc = equals(text_at(row, 1), "array") ? each_member(reader, PAIR, text_at(row, 2), take_of_pair) : 0;
	if (rc == 0 && reader->pair_count != 2)
		rc = not_a(reader, "a field", "an array of name and value");
	return rc < 0 ? rc : add_field(reader);
}

static int take_fields(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	reader->line->fields_count = 0;
	return equals(text_at(row, 1), "array") ? each_member(reader, LIST, text_at(row, 2), take_field) :
	                                          not_a(reader, "fields", "an array of pairs");
}

/* --- the line -------------------------------------------------------------------------------------- */

static const struct taker {
	const char *name;
	int (*take)(struct lf_line_reader *reader, sqlite3_stmt *row);
} takers[] = {
	{ "id", take_id },         { "type", take_type },         { "value", take_value }, { "fields", take_fields },
	{ "ttlMs", take_ttl },     { "tags", take_tags },         { "revision", take_revision },
	{ "critical", take_critical },
};

static int take_member(struct lf_line_reader *reader, sqlite3_stmt *row)
{
	struct lf_text key = text_at(row, 0);

	for (size_t i = 0; i < sizeof(takers) / sizeof(*takers); i++)
		if (equals(key, takers[i].name))
			return takers[i].take(reader, row);
	return 0;
}

/* SQLite's texts end at a NUL. */
static bool escapes_nul(struct lf_text line)
{
	for (size_t i = 0; i + 1 < line.len; i++) {
		if (line.data[i] != '\\')
			continue;
		if (line.len - i >= 6 && memcmp(line.data + i, "\\u0000", 6) == 0)
			return true;
		i++;
	}
	return false;
}

static int check_object(struct lf_line_reader *reader, struct lf_text line)
{
	bool fine;

	if (!lf_utf8_is_clean(line))
		return lf_fail(reader->err, -EINVAL, "it is no UTF-8, or holds NUL: give such bytes as {\"base64\": \"…\"}");
	if (escapes_nul(line))
		return lf_fail(reader->err, -EINVAL, "it holds \\u0000: give that text as {\"base64\": \"…\"}");
	(void)sqlite3_bind_text64(reader->is_object, 1, line.data, line.len, SQLITE_STATIC, SQLITE_UTF8);
	fine = sqlite3_step(reader->is_object) == SQLITE_ROW && sqlite3_column_int(reader->is_object, 0);
	(void)sqlite3_reset(reader->is_object);
	return fine ? 0 : lf_fail(reader->err, -EINVAL, "it is no JSON object");
}

static int check_line(const struct lf_line_reader *reader)
{
	const struct lf_line *line = reader->line;

	if (!line->id.len)
		return lf_fail(reader->err, -EINVAL, "id is missing, or empty");
	if (!line->type)
		return lf_fail(reader->err, -EINVAL, "type is missing: \"string\" or \"hash\"");
	if (line->type == LF_RECORD_HASH && !line->fields_count)
		return lf_fail(reader->err, -EINVAL, "fields is missing, or empty: there is no hash without a field");
	if (line->type == LF_RECORD_STRING && !reader->has_value)
		return lf_fail(reader->err, -EINVAL, "value is missing");
	return 0;
}

static int make_room(struct lf_line_reader *reader, size_t len)
{
	if (len > reader->room) {
		free(reader->text);
		reader->text = malloc(len);
		reader->room = reader->text ? len : 0;
	}
	reader->used = 0;
	return reader->text ? 0 : lf_fail(reader->err, -ENOMEM, "there is no memory for a line of %zu bytes", len);
}

int lf_line_read(struct lf_line_reader *reader, struct lf_text line, struct lf_line *out, struct lf_error *err)
{
	int rc;

	*out = (struct lf_line){ 0 };
	reader->line = out;
	reader->err = err;
	reader->has_value = false;
	rc = make_room(reader, line.len + 1);
	if (rc == 0)
		rc = check_object(reader, line);
	if (rc == 0)
		rc = each_member(reader, OBJECT, line, take_member);
	if (rc == 0)
		rc = check_line(reader);
	out->fields = reader->fields;
	return rc;
}
