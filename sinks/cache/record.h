/* A record: all that is kept under one key.  It never changes once it is made, and is shared by count, so a
 * value that was read stays as it is while its key is set anew, evicted or deleted.
 *
 * As bytes, in SQLite, Redis and MongoDB (numbers little-endian but for the version):
 *
 *   0   1  'L'; 1  1  format, 1
 *   2  16  version: clock, then writer, both big-endian, so that later ones compare higher as bytes
 *   18  1  type; 19  1  flags; 20  1  codec of the value; 21  1  tags
 *   22  8  expires_ms; 30  8  fresh_until_ms; 38  8  revision; 46  4  load_ms
 *   50  8  type_stamp; 58  8  org_stamp
 *   66  4  length of the value as it was, not as it is compressed
 *   70     tags, each: 8 stamp, 1 length, name; then the value
 */
#ifndef LOGFOLD_SINKS_CACHE_RECORD_H
#define LOGFOLD_SINKS_CACHE_RECORD_H

#include <stdatomic.h>

#include "logfold/cache.h"

/* A hybrid logical clock: milliseconds << 16, with a counter below them; whoever sees a higher one goes on from
 * there (Kulkarni, Demirbas, Madappa, Avva, Leone: Logical physical clocks, OPODIS 2014).  The writer, one random
 * number per opened cache, settles the rest. */
struct lf_version {
	uint64_t clock, writer;
};

static inline int lf_version_compare(struct lf_version a, struct lf_version b)
{
	if (a.clock != b.clock)
		return a.clock < b.clock ? -1 : 1;
	return a.writer < b.writer ? -1 : a.writer > b.writer;
}

static inline bool lf_version_is_none(struct lf_version version)
{
	return version.clock == 0 && version.writer == 0;
}

enum lf_record_type {
	LF_RECORD_STRING = 1,
	LF_RECORD_HASH,     /* the value: each field as 4 bytes length, name, 4 bytes length, value */
	LF_RECORD_NEGATIVE, /* a loader said that there is none */
	LF_RECORD_GONE,     /* deleted: a tombstone, so that late writes of what was before stay out */
};

enum { LF_RECORD_CRITICAL = 1 };

/* A tag and its stamp as it was known when the making of the value began. */
struct lf_record_tag {
	struct lf_text name;
	uint64_t stamp;
};

struct lf_record {
	_Atomic uint32_t users;
	uint8_t type, flags, tags_count;
	uint32_t load_ms;      /* how long the loader took */
	struct lf_version version;
	int64_t expires_ms;     /* 0: never */
	int64_t fresh_until_ms; /* before it expires: from then on it is stale; 0: not */
	uint64_t revision;
	uint64_t type_stamp, org_stamp; /* as a tag's, of its type and of its organisation */
	const struct lf_record_tag *tags;
	struct lf_text value;
	size_t size; /* of the whole block */
};

/* A copy of all that `from` points at, in one block, with one user.  NULL: no memory. */
struct lf_record *lf_record_new(const struct lf_record *from);

static inline struct lf_record *lf_record_keep(const struct lf_record *record)
{
	struct lf_record *kept = (struct lf_record *)(uintptr_t)record;

	if (kept)
		(void)atomic_fetch_add_explicit(&kept->users, 1, memory_order_relaxed);
	return kept;
}
void lf_record_drop(const struct lf_record *record); /* NULL is fine */

/* Whether there is something to read: it has not expired, and is a string or a hash. */
static inline bool lf_record_expired(const struct lf_record *record, int64_t now_ms)
{
	return record->expires_ms != 0 && record->expires_ms <= now_ms;
}
static inline bool lf_record_readable(const struct lf_record *record, int64_t now_ms)
{
	return (record->type == LF_RECORD_STRING || record->type == LF_RECORD_HASH) && !lf_record_expired(record, now_ms);
}

/* The bytes, malloc()ed; the value compressed by zstd where it has at least compress_min bytes (0: never) and
 * becomes smaller.  -ENOMEM; -EFBIG: it is over what the format has room for. */
LF_MUST_CHECK int lf_record_encode(const struct lf_record *record, size_t compress_min, char **out, size_t *len);

/* -EBADMSG: these are no bytes of a record: cut off, of another format, or corrupt; -ENOMEM.  `value_max`
 * bounds what is taken for a compressed value's length. */
LF_MUST_CHECK int lf_record_decode(struct lf_text bytes, size_t value_max, struct lf_record **out, struct lf_error *err);

#endif
