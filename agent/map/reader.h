/* The agent's side of a segment: reads another process's file and trusts nothing in it.
 *
 * With pread only: a file that is cut off under us is a short read, never SIGBUS, and its owner is
 * never slowed or disturbed.  A reader stays with one file from drain to drain and keeps, for each
 * slot, its id (computed here, from the text) and its counters; texts are read again when asked for.
 *
 * A slot counts once its state is READY.  One that is new is then read a second time, since the first
 * copy may have been taken while it was being filled.
 *
 * On the heap; a reader belongs to one thread.
 */
#ifndef LOGFOLD_MAP_READER_H
#define LOGFOLD_MAP_READER_H

#include <sys/types.h>

#include "agent/map/counters.h"
#include "agent/map/layout.h"

struct lf_reader;

enum lf_reader_owner {
	LF_READER_OURS,   /* only our own user's files; root reads any */
	LF_READER_ANYBODY, /* of a shared directory: any user's, as long as it has this one name only */
};

/* No file is touched yet. */
LF_MUST_CHECK int lf_reader_new(struct lf_reader **out, const char *name,
                                enum lf_reader_owner owner);
void lf_reader_free(struct lf_reader *reader); /* NULL is fine */

/* Opens the file below `dirfd` and reads all that is new.  The file stays open for the calls below
 * until lf_reader_rest().  `now_ms` becomes the counters' time.
 *   0         the counters are up to date
 *   -EAGAIN   unborn: without a header yet.  lf_reader_had_no_room() tells the two kinds apart
 *   -ENOENT   it is gone
 *   -EBADMSG  it cannot be a segment, or not one of its owner's; `err` has the reason
 *   -ENOMEM, -EACCES, -EIO…: it cannot be read now
 * After a failure the counters are a mix of this reading and the last: do not drain them. */
LF_MUST_CHECK int lf_reader_read(struct lf_reader *reader, int dirfd, uint64_t now_ms,
                                 struct lf_error *err);
void lf_reader_rest(struct lf_reader *reader);

/* After -EAGAIN: the file is empty, so its process found the file system full. */
bool lf_reader_had_no_room(const struct lf_reader *reader);

/* How long ago the file was last changed, for a file without a header. */
uint64_t lf_reader_age_ms(const struct lf_reader *reader, uint64_t now_ms);

/* What the header says, after a success.  `namespace` is valid and lives as long as the reader. */
struct lf_reader_header {
	const char *namespace;
	uint64_t pid_namespace;
	uint64_t created_ms;
	uint64_t run_id; /* 0: none */
	uid_t uid;       /* not the header's word: the file's owner */
};
struct lf_reader_header lf_reader_header(const struct lf_reader *reader);

const struct lf_counters *lf_reader_counters(const struct lf_reader *reader);

/* The id of a slot; NULL while it is not READY (its counters are 0 then). */
const struct lf_id *lf_reader_id(const struct lf_reader *reader, uint32_t chunk, uint32_t index);

/* An entry as the segment describes it.  The texts point into `room`. */
struct lf_reader_entry {
	struct lf_identity identity;
	struct lf_id id; /* of these very texts */
	enum lf_kind kind;
	uint64_t first_seen_ms; /* the owner's word */
	char room[LF_METHOD_MAX + LF_TEMPLATE_MAX + LF_FRAME_MAX];
};

/* Reads a READY slot's texts.  The file must be open.  -EBADMSG as in lf_reader_read(). */
LF_MUST_CHECK int lf_reader_entry(struct lf_reader *reader, uint32_t chunk, uint32_t index,
                                  struct lf_reader_entry *out, struct lf_error *err);

uint64_t lf_reader_first_seen_ms(const struct lf_reader *reader, uint32_t chunk, uint32_t index);

/* Where the first call of an entry stands, as its process says. */
struct lf_reader_source {
	const char *build_id; /* lower-case hex; NULL: `path` is a file of source */
	const char *path;     /* of the module, absolute; UTF-8 as all texts */
	uint32_t at;          /* address in the module's file, or line */
	char room[LF_SOURCE_MAX + 1];
};

/* Equal where the sources of two entries are the same; 0: there is none. */
uint64_t lf_reader_source_key(const struct lf_reader *reader, uint32_t chunk, uint32_t index);

/* 1: *out says it; 0: that is not known, or nothing is to be made of it (a module without a build id may be
 * another one by now); -EBADMSG as in lf_reader_read().  The file must be open. */
LF_MUST_CHECK int lf_reader_source(struct lf_reader *reader, uint32_t chunk, uint32_t index,
                                   struct lf_reader_source *out, struct lf_error *err);

/* How far the slot's policy is, as of the last reading: agent/map/verdict.h; 0 while it is not READY. */
uint64_t lf_reader_policed(const struct lf_reader *reader, uint32_t chunk, uint32_t index);

/* The unfinished line of a stream whose owner is dead. */
struct lf_reader_tail {
	struct lf_text method, frame, line; /* the line: any bytes */
	enum lf_outcome outcome;
	bool overflow; /* the map was full: it belongs to the overflow entry, and has no texts */
	char room[LF_METHOD_MAX + LF_FRAME_MAX];
	char bytes[LF_TAIL_BYTES];
};

/* 1: there is an open line that has not been counted; 0: there is none; -EBADMSG.  The file must be open. */
LF_MUST_CHECK int lf_reader_tail(struct lf_reader *reader, unsigned i, struct lf_reader_tail *out,
                                 struct lf_error *err);

#endif
