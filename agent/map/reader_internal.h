/* What the files of the reader share.  Nobody else includes this. */
#ifndef LOGFOLD_MAP_READER_INTERNAL_H
#define LOGFOLD_MAP_READER_INTERNAL_H

#include <sys/stat.h>

#include "agent/map/reader.h"

/* What is kept of a slot from one reading to the next, beside its counters. */
struct lf_slot_facts {
	struct lf_id id;
	uint64_t first_seen_ms;
	uint64_t policed;
	lf_ref method, template, frame, source;
	uint32_t source_at;
	uint8_t kind;
	bool ready;
};

struct lf_chunk_facts {
	uint32_t slots;
	struct lf_slot_facts *slot;
};

struct lf_reader {
	int fd; /* -1 while at rest */
	struct stat st;
	bool known; /* `st` is of the file that was read before */
	enum lf_reader_owner owner;
	uint32_t chunks;
	struct lf_chunk_facts *chunk;
	struct lf_counters counters;
	struct lf_segment header;
	char name[LF_SEGMENT_NAME_MAX];
};

int lf_reader_bad(const char *reason, struct lf_error *err); /* -EBADMSG */

/* All of these bytes, or why not. */
int lf_reader_exactly(const struct lf_reader *reader, void *out, size_t bytes, off_t offset,
                      struct lf_error *err);

/* How much of a chunk is used, checked. */
int lf_reader_used(const struct lf_reader *reader, uint32_t chunk, uint64_t *out,
                   struct lf_error *err);

/* NULL while it is not READY. */
const struct lf_slot_facts *lf_reader_slot(const struct lf_reader *reader, uint32_t chunk,
                                           uint32_t index);

/* reader_texts.c: reads the entry's texts and computes its id. */
int lf_reader_texts(const struct lf_reader *reader, const struct lf_slot_facts *slot,
                    struct lf_reader_entry *out, struct lf_error *err);

#endif
