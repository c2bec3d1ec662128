/* What each command does, apart from where: a pure function from a record to a record and a reply.  The semantics of
 * Redis (wrong types, overflow, which command keeps a TTL) exist here and nowhere else.
 */
#ifndef LOGFOLD_SINKS_CACHE_COMMANDS_H
#define LOGFOLD_SINKS_CACHE_COMMANDS_H

#include "sinks/cache/record.h"

enum lf_command_kind {
	LF_COMMAND_SET,          /* value, expires, when, tags, critical, revision */
	LF_COMMAND_SET_IF_NEWER, /* the same; by revision */
	LF_COMMAND_DEL, /* REMOVE where nothing is, too: the tombstone keeps out what a loader has yet to store */
	LF_COMMAND_INCRBY, /* number; `expires_ms` for a key that is made by it, in HSET too */
	LF_COMMAND_DECRBY,
	LF_COMMAND_EXPIRE, /* expires_ms, never 0 */
	LF_COMMAND_PERSIST,
	LF_COMMAND_HSET,   /* fields; none change nothing */
	LF_COMMAND_HDEL,   /* fields, names only */
};

struct lf_command {
	enum lf_command_kind kind;
	struct lf_text value;
	int64_t number;
	const struct lf_cache_field *fields;
	size_t fields_count;
	int64_t expires_ms;     /* a point in time; 0: never; one that has passed deletes */
	int64_t fresh_until_ms;
	bool keep_ttl;          /* SET: expires_ms is not used */
	enum lf_cache_when when;
	bool critical;
	uint64_t revision;
	uint64_t type_stamp, org_stamp;
	const struct lf_record_tag *tags;
	uint8_t tags_count;
	size_t value_max;
};

enum lf_outcome_of_command { LF_COMMAND_NOTHING /* stays as it is */, LF_COMMAND_STORE, LF_COMMAND_REMOVE };

struct lf_command_result {
	enum lf_outcome_of_command outcome;
	struct lf_record *record; /* STORE: with one user, and `version`; else NULL */
	int64_t number;           /* INCRBY, DECRBY: the number; HSET, HDEL: how many; else 1 or 0 */
};

/* `before`: what is there and readable, or NULL.  0, or -EPROTOTYPE, -EBADMSG, -ERANGE, -EFBIG, -EINVAL, -ENOMEM.
 * A critical record stays critical until it is set anew. */
LF_MUST_CHECK int lf_command_apply(const struct lf_command *command, const struct lf_record *before,
                                   struct lf_version version, int64_t now_ms,
                                   struct lf_command_result *out, struct lf_error *err);

/* 1 and where it lies, or 0; -EPROTOTYPE.  `before` as above. */
LF_MUST_CHECK int lf_command_get(const struct lf_record *before, struct lf_text *out, struct lf_error *err);
LF_MUST_CHECK int lf_command_hget(const struct lf_record *before, struct lf_text field, struct lf_text *out, struct lf_error *err);
LF_MUST_CHECK int lf_command_hgetall(const struct lf_record *before, struct lf_text *out, struct lf_error *err);

#endif
