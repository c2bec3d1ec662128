#include "sinks/mongo/documents.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "logfold/time.h"

const char *const lf_mongo_count_names[LF_OUTCOME_COUNT] = {
	[LF_PASSED] = "countPassed",   [LF_MUTED] = "countMuted",   [LF_SAMPLED] = "countSampled",
	[LF_LIMITED] = "countLimited", [LF_FOLDED] = "countFolded",
};

int64_t lf_mongo_number(uint64_t count)
{
	return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

int64_t lf_mongo_total(const uint64_t counts[LF_OUTCOME_COUNT])
{
	uint64_t total = 0;

	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		if (__builtin_add_overflow(total, counts[i], &total))
			return INT64_MAX;
	return lf_mongo_number(total);
}

int64_t lf_mongo_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Pieces ---- */

void lf_mongo_append_element(bson_t *array, size_t index, const char *text, size_t len)
{
	char buffer[16];
	const char *name;
	size_t name_len = bson_uint32_to_string((uint32_t)index, &name, buffer, sizeof(buffer));

	(void)bson_append_utf8(array, name, (int)name_len, text, (int)len);
}

static void append_text(bson_t *out, const char *name, struct lf_text text)
{
	(void)bson_append_utf8(out, name, -1, text.data ? text.data : "", (int)text.len);
}

static void append_known(bson_t *out, const char *name, struct lf_text text)
{
	if (text.len)
		append_text(out, name, text);
}

static void append_time(bson_t *out, const char *name, struct lf_text time)
{
	uint64_t ms = lf_time_parse(time);

	if (ms)
		(void)bson_append_date_time(out, name, -1, (int64_t)ms);
}

/* An empty operator document is an error to MongoDB. */
static void append_operator(bson_t *out, const char *name, bson_t *fields)
{
	if (!bson_empty(fields))
		(void)bson_append_document(out, name, -1, fields);
	bson_destroy(fields);
}

/* They come as JSON, an array of strings; what is no such thing is no tags. */
static void append_tags(bson_t *out, struct lf_text tags)
{
	bson_t array;

	if (tags.len && tags.data[0] == '[' &&
	    bson_init_from_json(&array, tags.data, (ssize_t)tags.len, NULL)) {
		(void)bson_append_array(out, "tags", -1, &array);
		bson_destroy(&array);
		return;
	}
	bson_init(&array);
	(void)bson_append_array(out, "tags", -1, &array);
	bson_destroy(&array);
}

static void append_flags(bson_t *out, const struct lf_entry *entry)
{
	(void)bson_append_bool(out, "enabled", -1, entry->enabled);
	(void)bson_append_bool(out, "persistToCache", -1, entry->persist_to_cache);
	(void)bson_append_bool(out, "persistToDb", -1, entry->persist_to_db);
	append_tags(out, entry->tags);
	(void)bson_append_int64(out, "flagsVersion", -1, entry->flags_version > 0 ? entry->flags_version : 0);
	append_text(out, "flagsWriter", entry->flags_writer);
}

static void append_identity(bson_t *out, const struct lf_entry *entry)
{
	append_text(out, "hash", entry->hash);
	append_text(out, "namespace", entry->namespace);
	append_text(out, "method", entry->method);
	append_text(out, "messageTemplate", entry->message_template);
	append_text(out, "templateKind", entry->template_kind);
	append_text(out, "topFrame", entry->top_frame);
	append_known(out, "sourceFile", entry->source_file);
	if (entry->source_line)
		(void)bson_append_int64(out, "sourceLine", -1, entry->source_line);
	append_known(out, "family", entry->family);
}

static void append_no_counts(bson_t *out)
{
	(void)bson_append_int64(out, "countTotal", -1, 0);
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		(void)bson_append_int64(out, lf_mongo_count_names[i], -1, 0);
}

static void append_times(bson_t *out, const struct lf_entry *entry)
{
	bson_t fields = BSON_INITIALIZER;

	append_time(&fields, "firstSeenAt", entry->first_seen_at);
	append_operator(out, "$min", &fields);
}

/* ---- Documents ---- */

void lf_mongo_selector(bson_t *out, const char *id)
{
	(void)bson_append_utf8(out, "_id", -1, id, -1);
}

void lf_mongo_entry_update(bson_t *out, const struct lf_sink_record *record)
{
	const struct lf_entry *entry = record->entry;
	bson_t born = BSON_INITIALIZER, latest = BSON_INITIALIZER;

	append_identity(&born, entry);
	append_flags(&born, entry);
	append_known(&born, "policy", entry->policy);
	append_no_counts(&born);
	if (record->frozen) {
		append_time(&born, "firstSeenAt", entry->first_seen_at);
		append_time(&born, "lastSeenAt", entry->last_seen_at);
	} else {
		append_times(out, entry);
		append_time(&latest, "lastSeenAt", entry->last_seen_at);
	}
	append_operator(out, "$max", &latest);
	append_operator(out, "$setOnInsert", &born);
}

static void append_not_from(bson_t *out, const char *name, int64_t number, const struct lf_text *text)
{
	bson_t not, from;

	(void)bson_append_document_begin(out, name, -1, &not);
	(void)bson_append_document_begin(&not, "$not", -1, &from);
	if (text)
		append_text(&from, "$gte", *text);
	else
		(void)bson_append_int64(&from, "$gte", -1, number);
	(void)bson_append_document_end(&not, &from);
	(void)bson_append_document_end(out, &not);
}

/* {$lt: n} would not match a document without the field; {$not: {$gte: n}} does. */
void lf_mongo_flags_selector(bson_t *out, const char *id, const struct lf_entry *entry)
{
	bson_t either, lower;

	lf_mongo_selector(out, id);
	(void)bson_append_array_begin(out, "$or", -1, &either);
	(void)bson_append_document_begin(&either, "0", -1, &lower);
	append_not_from(&lower, "flagsVersion", entry->flags_version, NULL);
	(void)bson_append_document_end(&either, &lower);
	(void)bson_append_document_begin(&either, "1", -1, &lower);
	(void)bson_append_int64(&lower, "flagsVersion", -1, entry->flags_version);
	append_not_from(&lower, "flagsWriter", 0, &entry->flags_writer);
	(void)bson_append_document_end(&either, &lower);
	(void)bson_append_array_end(out, &either);
}

void lf_mongo_flags_update(bson_t *out, const struct lf_entry *entry)
{
	bson_t flags = BSON_INITIALIZER;

	append_flags(&flags, entry);
	append_text(&flags, "policy", entry->policy);
	append_operator(out, "$set", &flags);
}

void lf_mongo_append_max(bson_t *out, const uint64_t counts[LF_OUTCOME_COUNT], const char *time_name,
                         int64_t time_ms)
{
	bson_t fields = BSON_INITIALIZER;

	(void)bson_append_int64(&fields, "countTotal", -1, lf_mongo_total(counts));
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		(void)bson_append_int64(&fields, lf_mongo_count_names[i], -1, lf_mongo_number(counts[i]));
	if (time_name && time_ms)
		(void)bson_append_date_time(&fields, time_name, -1, time_ms);
	append_operator(out, "$max", &fields);
}

void lf_mongo_share_update(bson_t *out, const struct lf_entry *entry, const struct lf_share *share,
                           const char *host)
{
	bson_t born = BSON_INITIALIZER, set = BSON_INITIALIZER;

	append_times(out, entry);
	lf_mongo_append_max(out, share->counts, "lastSeenAt", (int64_t)lf_time_parse(entry->last_seen_at));
	append_text(&born, "namespace", entry->namespace);
	append_text(&born, "hash", entry->hash);
	(void)bson_append_utf8(&born, "incarnation", -1, share->incarnation, -1);
	append_operator(out, "$setOnInsert", &born);
	if (host)
		(void)bson_append_utf8(&set, "host", -1, host, -1);
	(void)bson_append_bool(&set, "dirty", -1, true);
	append_operator(out, "$set", &set);
}
