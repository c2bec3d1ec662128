/* A record as a line of JSON, and back: what lf_cache_export() writes and lf_cache_import() reads (logfold/cache.h). */
#ifndef LOGFOLD_SINKS_CACHE_LINES_H
#define LOGFOLD_SINKS_CACHE_LINES_H

#include "sinks/cache/record.h"

/* malloc()ed, without a newline; NULL: no memory.  The record is readable. */
char *lf_line_write(struct lf_text id, const struct lf_record *record, int64_t now_ms, size_t *len);

struct lf_line {
	struct lf_text id, value;
	enum lf_record_type type;
	const struct lf_cache_field *fields;
	size_t fields_count;
	struct lf_text tags[LF_CACHE_TAGS_MAX];
	size_t tags_count;
	int64_t ttl_ms; /* 0: it does not expire */
	uint64_t revision;
	bool critical;
};

struct lf_line_reader;

LF_MUST_CHECK int lf_line_reader_new(struct lf_line_reader **out, struct lf_error *err);
void lf_line_reader_free(struct lf_line_reader *reader); /* NULL is fine */

/* -EINVAL: the sentence says what is wrong with the line; -ENOMEM.  The texts of `*out` are the reader's, until its next
 * line. */
LF_MUST_CHECK int lf_line_read(struct lf_line_reader *reader, struct lf_text line, struct lf_line *out, struct lf_error *err);

#endif
