#include "agent/core/json.h"

#include <inttypes.h>
#include <string.h>

#include "agent/core/fields.h"
#include "agent/core/tags.h"
#include "hashing/utf8.h"

static void write_char(FILE *out, unsigned char c)
{
	static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	size_t i;

	for (i = 0; shorts[i]; i += 2) {
		if ((unsigned char)shorts[i] == c) {
			(void)fputc('\\', out);
			(void)fputc(shorts[i + 1], out);
			return;
		}
	}
	if (c < 0x20)
		(void)fprintf(out, "\\u%04x", c);
	else
		(void)fputc(c, out);
}

static void write_clean(FILE *out, struct lf_text text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		write_char(out, (unsigned char)text.data[i]);
}

/* In pieces, because an escaped text is longer than the original.  A piece may end within a
 * character: the cut leaves that for the next one. */
static void write_unclean(FILE *out, struct lf_text text)
{
	char piece[256], one[4];
	size_t at = 0, i, len;

	while (at < text.len) {
		struct lf_text rest = { text.data + at, text.len - at };

		for (i = 1; i <= 4 && i <= rest.len; i++)
			if (lf_utf8_is_clean((struct lf_text){ rest.data, i }))
				break;
		if (i > 4 || i > rest.len)
			i = 1;
		memcpy(one, rest.data, i);
		len = lf_utf8_escape((struct lf_text){ one, i }, piece, sizeof(piece));
		write_clean(out, (struct lf_text){ piece, len });
		at += i;
	}
}

void lf_json_string(FILE *out, struct lf_text text)
{
	(void)fputc('"', out);
	if (lf_utf8_is_clean(text))
		write_clean(out, text);
	else
		write_unclean(out, text);
	(void)fputc('"', out);
}

static void write_tags(FILE *out, struct lf_text tags)
{
	struct lf_text tag;
	size_t at = 0;
	bool first = true;

	if (!lf_tags_are_valid(tags))
		tags = (struct lf_text){ "[]", 2 };
	(void)fputc('[', out);
	while (lf_tags_next(tags, &at, &tag)) {
		(void)fprintf(out, "%s\"", first ? "" : ",");
		(void)fwrite(tag.data, 1, tag.len, out);
		(void)fputc('"', out);
		first = false;
	}
	(void)fputc(']', out);
}

static void write_value(FILE *out, const struct lf_field *field, const struct lf_entry *entry)
{
	switch (field->kind) {
	case LF_FIELD_TEXT:
		lf_json_string(out, lf_field_text(field, entry));
		break;
	case LF_FIELD_TAGS:
		write_tags(out, lf_field_text(field, entry));
		break;
	case LF_FIELD_BOOL:
		(void)fputs(lf_field_bool(field, entry) ? "true" : "false", out);
		break;
	case LF_FIELD_COUNT:
		(void)fprintf(out, "%" PRIu64, lf_field_count(field, entry));
		break;
	case LF_FIELD_NUMBER:
		(void)fprintf(out, "%" PRId64, lf_field_number(field, entry));
		break;
	}
}

/* All but the closing brace. */
static void write_fields(FILE *out, const struct lf_entry *entry)
{
	const struct lf_field *field;

	for (field = lf_fields; field->name; field++) {
		if (!lf_field_is_known(field, entry))
			continue;
		(void)fprintf(out, "%c\"%s\":", field == lf_fields ? '{' : ',', field->name);
		write_value(out, field, entry);
	}
}

void lf_json_entry(FILE *out, const struct lf_entry *entry)
{
	write_fields(out, entry);
	(void)fputs("}\n", out);
}

static void write_share(FILE *out, const struct lf_share *share)
{
	static const char *const names[LF_OUTCOME_COUNT] = {
		[LF_PASSED] = "countPassed",   [LF_MUTED] = "countMuted",   [LF_SAMPLED] = "countSampled",
		[LF_LIMITED] = "countLimited", [LF_FOLDED] = "countFolded",
	};

	(void)fputs("{\"incarnation\":", out);
	lf_json_string(out, (struct lf_text){ share->incarnation, strlen(share->incarnation) });
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		(void)fprintf(out, ",\"%s\":%" PRIu64, names[i], share->counts[i]);
	(void)fputc('}', out);
}

void lf_json_entry_with(FILE *out, const struct lf_entry *entry, const struct lf_share *shares,
                        size_t count)
{
	write_fields(out, entry);
	(void)fputs(",\"shares\":[", out);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			(void)fputc(',', out);
		write_share(out, &shares[i]);
	}
	(void)fputs("]}\n", out);
}
