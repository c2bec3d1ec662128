#include "sinks/redis/fields.h"
#include "hashing/utf8.h"
#include "logfold/time.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT(literal) ((struct lf_text){ "" literal, sizeof(literal) - 1 })

static const char *const names[LF_REDIS_FIELDS] = {
	[LF_REDIS_HASH] = "hash",
	[LF_REDIS_NAMESPACE] = "namespace",
	[LF_REDIS_METHOD] = "method",
	[LF_REDIS_TEMPLATE] = "messageTemplate",
	[LF_REDIS_KIND] = "templateKind",
	[LF_REDIS_FRAME] = "topFrame",
	[LF_REDIS_SOURCE_FILE] = "sourceFile",
	[LF_REDIS_SOURCE_LINE] = "sourceLine",
	[LF_REDIS_FAMILY] = "family",
	[LF_REDIS_ENABLED] = "enabled",
	[LF_REDIS_TO_CACHE] = "persistToCache",
	[LF_REDIS_TO_DB] = "persistToDb",
	[LF_REDIS_TAGS] = "tags",
	[LF_REDIS_POLICY] = "policy",
	[LF_REDIS_VERSION] = "flagsVersion",
	[LF_REDIS_WRITER] = "flagsWriter",
	[LF_REDIS_FIRST_SEEN] = "firstSeenAt",
	[LF_REDIS_LAST_SEEN] = "lastSeenAt",
	[LF_REDIS_TOTAL] = "countTotal",
	[LF_REDIS_COUNTS + LF_PASSED] = "countPassed",
	[LF_REDIS_COUNTS + LF_MUTED] = "countMuted",
	[LF_REDIS_COUNTS + LF_SAMPLED] = "countSampled",
	[LF_REDIS_COUNTS + LF_LIMITED] = "countLimited",
	[LF_REDIS_COUNTS + LF_FOLDED] = "countFolded",
};

/* ---- Out ---- */

struct lf_text lf_redis_number(uint64_t number, char digits[LF_DECIMAL_MAX])
{
	char *end = lf_decimal_put(digits, number);

	return (struct lf_text){ digits, (size_t)(end - digits) };
}

struct lf_text lf_redis_outcomes(const uint64_t counts[LF_OUTCOME_COUNT],
                                 char text[LF_REDIS_OUTCOMES_MAX])
{
	size_t used = 0;

	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		if (i > 0)
			text[used++] = ' ';
		used += lf_redis_number(counts[i], text + used).len;
	}
	return (struct lf_text){ text, used };
}

static struct lf_text boolean(bool value)
{
	return value ? TEXT("true") : TEXT("false");
}

static struct lf_text known(int64_t number, int64_t least, char digits[LF_DECIMAL_MAX])
{
	return number >= least ? lf_redis_number((uint64_t)number, digits) : (struct lf_text){ "", 0 };
}

void lf_redis_fields_write(const struct lf_entry *entry, struct lf_redis_digits *digits,
                           struct lf_text values[LF_REDIS_WRITTEN])
{
	values[LF_REDIS_HASH] = entry->hash;
	values[LF_REDIS_NAMESPACE] = entry->namespace;
	values[LF_REDIS_METHOD] = entry->method;
	values[LF_REDIS_TEMPLATE] = entry->message_template;
	values[LF_REDIS_KIND] = entry->template_kind;
	values[LF_REDIS_FRAME] = entry->top_frame;
	values[LF_REDIS_SOURCE_FILE] = entry->source_file;
	values[LF_REDIS_SOURCE_LINE] = known(entry->source_line, 1, digits->line);
	values[LF_REDIS_FAMILY] = entry->family;
	values[LF_REDIS_ENABLED] = boolean(entry->enabled);
	values[LF_REDIS_TO_CACHE] = boolean(entry->persist_to_cache);
	values[LF_REDIS_TO_DB] = boolean(entry->persist_to_db);
	values[LF_REDIS_TAGS] = entry->tags.len ? entry->tags : TEXT("[]");
	values[LF_REDIS_POLICY] = entry->policy;
	values[LF_REDIS_VERSION] = known(entry->flags_version, 0, digits->version);
	values[LF_REDIS_WRITER] = entry->flags_writer;
}

/* ---- In ---- */

static bool is_one_of(struct lf_text text, const char *const *words)
{
	for (; *words; words++)
		if (strlen(*words) == text.len && strncasecmp(text.data, *words, text.len) == 0)
			return true;
	return false;
}

/* People write booleans in more ways than one. */
static bool read_boolean(struct lf_text text, bool otherwise)
{
	static const char *const no[] = { "false", "0", "no", "off", "f", "n", NULL };
	static const char *const yes[] = { "true", "1", "yes", "on", "t", "y", NULL };

	if (is_one_of(text, no))
		return false;
	return is_one_of(text, yes) ? true : otherwise;
}

static bool read_number(struct lf_text text, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint64_t digit = (uint64_t)(unsigned char)text.data[i] - '0';

		if (digit > 9 || *out > (UINT64_MAX - digit) / 10)
			return false;
		*out = *out * 10 + digit;
	}
	return text.len > 0;
}

static int64_t read_int64(struct lf_text text, int64_t otherwise)
{
	uint64_t number;

	return read_number(text, &number) && number <= INT64_MAX ? (int64_t)number : otherwise;
}

static struct lf_text read_text(struct lf_text text, size_t max)
{
	return text.len <= max && lf_utf8_is_clean(text) ? text : (struct lf_text){ "", 0 };
}

static struct lf_text read_time(struct lf_text text)
{
	return lf_time_parse(text) ? text : (struct lf_text){ "", 0 };
}

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* Behind a JSON string; NULL: there is none. */
static const char *skip_string(const char *p, const char *end)
{
	if (p == end || *p++ != '"')
		return NULL;
	for (; p < end && *p != '"'; p++) {
		if ((unsigned char)*p < ' ')
			return NULL;
		if (*p != '\\')
			continue;
		if (++p == end || !strchr("\"\\/bfnrtu", *p))
			return NULL;
		for (int i = 0; *p == 'u' && i < 4; i++)
			if (end - p < 5 || !strchr("0123456789abcdefABCDEF", p[1 + i]) || !p[1 + i])
				return NULL;
	}
	return p < end ? p + 1 : NULL;
}

static bool is_string_array(struct lf_text text)
{
	const char *p = text.data, *end = text.data + text.len;

	p = skip_space(p, end);
	if (p == end || *p++ != '[')
		return false;
	p = skip_space(p, end);
	if (p < end && *p == ']')
		return skip_space(p + 1, end) == end;
	for (;;) {
		p = skip_string(skip_space(p, end), end);
		p = p ? skip_space(p, end) : end;
		if (p == end || (*p != ',' && *p != ']'))
			return false;
		if (*p++ == ']')
			return skip_space(p, end) == end;
	}
}

static struct lf_text read_tags(struct lf_text text)
{
	return lf_utf8_is_clean(text) && is_string_array(text) ? text : TEXT("[]");
}

static struct lf_text text_of(const redisReply *reply)
{
	return reply->str ? (struct lf_text){ reply->str, reply->len } : (struct lf_text){ "", 0 };
}

/* The field of that name, looked for from `first` on and around; LF_REDIS_FIELDS: there is none. */
static int find_field(const char *name, int first)
{
	for (int i = 0; i < LF_REDIS_FIELDS; i++) {
		int field = (first + i) % LF_REDIS_FIELDS;

		if (strcmp(name, names[field]) == 0)
			return field;
	}
	return LF_REDIS_FIELDS;
}

/* They mostly come in the order in which they were written. */
static void find_values(const redisReply *reply, struct lf_text values[LF_REDIS_FIELDS])
{
	int next = 0;

	for (int i = 0; i < LF_REDIS_FIELDS; i++)
		values[i] = (struct lf_text){ "", 0 };
	for (size_t i = 0; i + 1 < reply->elements; i += 2) {
		const char *name = reply->element[i]->str;
		int field = name ? find_field(name, next) : LF_REDIS_FIELDS;

		if (field == LF_REDIS_FIELDS)
			continue;
		values[field] = text_of(reply->element[i + 1]);
		next = field + 1;
	}
}

static void read_counts(const struct lf_text *values, struct lf_entry *entry)
{
	entry->count_total = 0;
	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		if (!read_number(values[LF_REDIS_COUNTS + i], &entry->counts[i]))
			entry->counts[i] = 0;
		entry->count_total += entry->counts[i];
	}
}

/* Who sets one field of an entry that is not there any more makes one of that field alone. */
static unsigned unsaid(const struct lf_text *values)
{
	static const int field[] = { LF_REDIS_ENABLED, LF_REDIS_TO_CACHE, LF_REDIS_TO_DB, LF_REDIS_TAGS,
		                     LF_REDIS_POLICY };
	unsigned flags = 0;

	for (unsigned i = 0; i < sizeof(field) / sizeof(*field); i++)
		if (!values[field[i]].len)
			flags |= 1u << i; /* in the order of enum lf_flag */
	return flags;
}

void lf_redis_fields_read(const redisReply *reply, struct lf_text namespace, struct lf_text hash,
                          struct lf_entry *entry)
{
	struct lf_text v[LF_REDIS_FIELDS];

	find_values(reply, v);
	*entry = (struct lf_entry){
		.hash = hash,
		.namespace = namespace,
		.method = read_text(v[LF_REDIS_METHOD], LF_METHOD_MAX),
		.message_template = read_text(v[LF_REDIS_TEMPLATE], LF_TEMPLATE_MAX),
		.template_kind = read_text(v[LF_REDIS_KIND], LF_METHOD_MAX),
		.top_frame = read_text(v[LF_REDIS_FRAME], LF_FRAME_MAX),
		.source_file = read_text(v[LF_REDIS_SOURCE_FILE], LF_TEMPLATE_MAX),
		.source_line = read_int64(v[LF_REDIS_SOURCE_LINE], 0),
		.family = read_text(v[LF_REDIS_FAMILY], LF_TEMPLATE_MAX),
		.enabled = read_boolean(v[LF_REDIS_ENABLED], true),
		.persist_to_cache = read_boolean(v[LF_REDIS_TO_CACHE], true),
		.persist_to_db = read_boolean(v[LF_REDIS_TO_DB], true),
		.tags = read_tags(v[LF_REDIS_TAGS]),
		.policy = read_text(v[LF_REDIS_POLICY], LF_TEMPLATE_MAX),
		.flags_version = read_int64(v[LF_REDIS_VERSION], -1),
		.flags_writer = read_text(v[LF_REDIS_WRITER], LF_FRAME_MAX),
		.first_seen_at = read_time(v[LF_REDIS_FIRST_SEEN]),
		.last_seen_at = read_time(v[LF_REDIS_LAST_SEEN]),
	};
	if (entry->flags_version < 0)
		entry->flags_unsaid = unsaid(v);
	read_counts(v, entry);
}

/* ---- Shares ---- */

static bool read_outcomes(struct lf_text text, uint64_t counts[LF_OUTCOME_COUNT])
{
	const char *end = text.data + text.len;

	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		const char *space = memchr(text.data, ' ', text.len);
		struct lf_text one = { text.data, (size_t)((space ? space : end) - text.data) };

		if (!read_number(one, &counts[i]) || (i + 1 < LF_OUTCOME_COUNT) != (space != NULL))
			return false;
		text.data = space ? space + 1 : end;
		text.len = (size_t)(end - text.data);
	}
	return true;
}

static bool is_share(const redisReply *field)
{
	return field->str && field->len == 2 + LF_UUID_CHARS &&
	       (memcmp(field->str, "o:", 2) == 0 || memcmp(field->str, "n:", 2) == 0);
}

static struct lf_share *share_of(struct lf_share *shares, size_t *count, const char *incarnation)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp(shares[i].incarnation, incarnation) == 0)
			return &shares[i];
	memcpy(shares[*count].incarnation, incarnation, LF_UUID_CHARS + 1);
	return &shares[(*count)++];
}

/* A total counts as passed, until the outcomes are found. */
static void read_share(struct lf_share *share, const redisReply *field, struct lf_text value)
{
	uint64_t counts[LF_OUTCOME_COUNT] = { 0 };
	bool known_already = false;

	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		known_already = known_already || share->counts[i] != 0;
	if (*field->str == 'o' ? read_outcomes(value, counts) :
	                         !known_already && read_number(value, &counts[LF_PASSED]))
		memcpy(share->counts, counts, sizeof(counts));
}

struct lf_share *lf_redis_shares_read(const redisReply *reply, size_t *count)
{
	struct lf_share *shares;
	size_t most = 0;

	*count = 0;
	for (size_t i = 0; i + 1 < reply->elements; i += 2)
		most += is_share(reply->element[i]);
	if (most == 0)
		return NULL;
	shares = calloc(most, sizeof(*shares));
	if (!shares) {
		*count = 1;
		return NULL;
	}
	for (size_t i = 0; i + 1 < reply->elements; i += 2)
		if (is_share(reply->element[i]))
			read_share(share_of(shares, count, reply->element[i]->str + 2), reply->element[i],
			           text_of(reply->element[i + 1]));
	return shares;
}
