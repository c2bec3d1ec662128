#include "sinks/cache/lines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/utf8.h"
#include "sinks/cache/base64.h"
#include "sinks/cache/bytes.h"

static void put_escaped(FILE *out, unsigned char c)
{
	if (c == '"' || c == '\\')
		(void)fprintf(out, "\\%c", c);
	else
		(void)fprintf(out, "\\u%04x", c);
}

static void put_string(FILE *out, struct lf_text text)
{
	size_t from = 0;

	(void)fputc('"', out);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		(void)fwrite(text.data + from, 1, i - from, out);
		put_escaped(out, c);
		from = i + 1;
	}
	(void)fwrite(text.data + from, 1, text.len - from, out);
	(void)fputc('"', out);
}

static void put_base64(FILE *out, struct lf_text text)
{
	enum { STEP = 3 * 1024 };
	char encoded[STEP / 3 * 4];

	(void)fputs("{\"base64\": \"", out);
	for (size_t i = 0; i < text.len; i += STEP) {
		struct lf_text step = { text.data + i, text.len - i < STEP ? text.len - i : STEP };

		lf_base64_encode(step, encoded);
		(void)fwrite(encoded, 1, lf_base64_size(step.len), out);
	}
	(void)fputs("\"}", out);
}

/* NUL is a character of JSON, but few readers take it. */
static void put_text(FILE *out, struct lf_text text)
{
	if (lf_utf8_is_clean(text))
		put_string(out, text);
	else
		put_base64(out, text);
}

static void put_fields(FILE *out, struct lf_text packed)
{
	struct lf_cache_field field;
	const char *before = "";

	(void)fputs(", \"fields\": [", out);
	for (size_t at = 0; lf_next_field(packed, &at, &field); before = ", ") {
		(void)fprintf(out, "%s[", before);
		put_text(out, field.name);
		(void)fputs(", ", out);
		put_text(out, field.value);
		(void)fputc(']', out);
	}
	(void)fputc(']', out);
}

static void put_tags(FILE *out, const struct lf_record *record)
{
	if (!record->tags_count)
		return;
	for (size_t i = 0; i < record->tags_count; i++) {
		(void)fputs(i ? ", " : ", \"tags\": [", out);
		put_text(out, record->tags[i].name);
	}
	(void)fputc(']', out);
}

/* Over 2^63 it is no number that every reader knows. */
static void put_revision(FILE *out, uint64_t revision)
{
	const char *quote = revision > INT64_MAX ? "\"" : "";

	if (revision)
		(void)fprintf(out, ", \"revision\": %s%" PRIu64 "%s", quote, revision, quote);
}

static void put_line(FILE *out, struct lf_text id, const struct lf_record *record, int64_t now_ms)
{
	bool hash = record->type == LF_RECORD_HASH;

	(void)fputs("{\"id\": ", out);
	put_text(out, id);
	(void)fprintf(out, ", \"type\": \"%s\"", hash ? "hash" : "string");
	if (hash) {
		put_fields(out, record->value);
	} else {
		(void)fputs(", \"value\": ", out);
		put_text(out, record->value);
	}
	if (record->expires_ms)
		(void)fprintf(out, ", \"ttlMs\": %" PRId64, record->expires_ms - now_ms);
	put_tags(out, record);
	put_revision(out, record->revision);
	if (record->flags & LF_RECORD_CRITICAL)
		(void)fputs(", \"critical\": true", out);
	(void)fputc('}', out);
}

char *lf_line_write(struct lf_text id, const struct lf_record *record, int64_t now_ms, size_t *len)
{
	char *line = NULL;
	FILE *out = open_memstream(&line, len);
	bool failed;

	if (!out)
		return NULL;
	put_line(out, id, record, now_ms);
	failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(line);
		return NULL;
	}
	return line;
}
