#include "agent/cli/json.h"

#include <inttypes.h>
#include <string.h>

#include "agent/cli/tags.h"
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

static void write_name(FILE *out, const char *name)
{
	(void)fprintf(out, ",\"%s\":", name);
}

static void write_text(FILE *out, const char *name, struct lf_text text)
{
	write_name(out, name);
	lf_json_string(out, text);
}

static void write_known_text(FILE *out, const char *name, struct lf_text text)
{
	if (text.len > 0)
		write_text(out, name, text);
}

static void write_bool(FILE *out, const char *name, bool value)
{
	write_name(out, name);
	(void)fputs(value ? "true" : "false", out);
}

static void write_count(FILE *out, const char *name, uint64_t value)
{
	write_name(out, name);
	(void)fprintf(out, "%" PRIu64, value);
}

static void write_tags(FILE *out, struct lf_text tags)
{
	struct lf_text tag;
	size_t at = 0;
	bool first = true;

	if (!lf_tags_are_valid(tags))
		tags = (struct lf_text){ "[]", 2 };
	write_name(out, "tags");
	(void)fputc('[', out);
	while (lf_tags_next(tags, &at, &tag)) {
		(void)fprintf(out, "%s\"", first ? "" : ",");
		(void)fwrite(tag.data, 1, tag.len, out);
		(void)fputc('"', out);
		first = false;
	}
	(void)fputc(']', out);
}

static void write_counts(FILE *out, const struct lf_entry *entry)
{
	static const char *const names[LF_OUTCOME_COUNT] = {
		[LF_PASSED] = "countPassed",   [LF_MUTED] = "countMuted",   [LF_SAMPLED] = "countSampled",
		[LF_LIMITED] = "countLimited", [LF_FOLDED] = "countFolded",
	};
	unsigned i;

	write_count(out, "countTotal", entry->count_total);
	for (i = 0; i < LF_OUTCOME_COUNT; i++)
		write_count(out, names[i], entry->counts[i]);
}

void lf_json_entry(FILE *out, const struct lf_entry *entry)
{
	(void)fputs("{\"hash\":", out);
	lf_json_string(out, entry->hash);
	write_text(out, "namespace", entry->namespace);
	write_text(out, "method", entry->method);
	write_text(out, "messageTemplate", entry->message_template);
	write_text(out, "templateKind", entry->template_kind);
	write_text(out, "topFrame", entry->top_frame);
	write_bool(out, "enabled", entry->enabled);
	write_counts(out, entry);
	write_text(out, "firstSeenAt", entry->first_seen_at);
	write_text(out, "lastSeenAt", entry->last_seen_at);
	write_bool(out, "persistToCache", entry->persist_to_cache);
	write_bool(out, "persistToDb", entry->persist_to_db);
	write_tags(out, entry->tags);
	write_name(out, "flagsVersion");
	(void)fprintf(out, "%" PRId64, entry->flags_version);
	write_text(out, "flagsWriter", entry->flags_writer);
	write_known_text(out, "sourceFile", entry->source_file);
	if (entry->source_line > 0)
		write_count(out, "sourceLine", (uint64_t)entry->source_line);
	write_known_text(out, "family", entry->family);
	write_known_text(out, "policy", entry->policy);
	(void)fputs("}\n", out);
}
