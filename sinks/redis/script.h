/* What runs inside the server: one script works on one key, so that a cluster takes it, too.
 *
 * A write that timed out may land after its repetition, or after a later one, so nothing is ever added:
 * each script compares what it is told with what is there.  It computes first and writes with a single
 * HSET, so that a server that refuses the write in the middle (full, no permission) leaves all as it was.
 * Numbers stay text or are taken apart at the twelfth digit, for Lua only has doubles.
 */
#ifndef LOGFOLD_SINKS_REDIS_SCRIPT_H
#define LOGFOLD_SINKS_REDIS_SCRIPT_H

#include <stddef.h>

enum { LF_REDIS_SHA_CHARS = 40 };

/* Those that a connection knows from its beginning: their Lua, and the names by which EVALSHA calls them. */
struct lf_redis_scripts {
	size_t count;
	const char *const *text;
	char (*sha)[LF_REDIS_SHA_CHARS + 1];
};
void lf_redis_scripts_name(const struct lf_redis_scripts *scripts); /* computes the names */

/* The sink's. */
const struct lf_redis_scripts *lf_redis_sink_scripts(void);

enum lf_redis_script {
	/* KEYS: the entry.  ARGV: see enum lf_redis_merge_arg.  1: its flags were written. */
	LF_REDIS_MERGE,
	/* KEYS: the entry.  ARGV: incarnations.  Removes it unless another one counts in it. */
	LF_REDIS_EVICT,
	/* KEYS: any.  ARGV: a number, a time to live in ms.  Raises the number there. */
	LF_REDIS_RAISE,
	LF_REDIS_SCRIPTS
};

enum lf_redis_merge_arg {
	LF_REDIS_ARG_TTL,     /* ms */
	LF_REDIS_ARG_MODE,    /* letters: f the record's flags changed, z its counts are frozen */
	LF_REDIS_ARG_CHANNEL, /* told of the hash when flags were written */
	LF_REDIS_ARG_FIRST_SEEN,
	LF_REDIS_ARG_LAST_SEEN,
	LF_REDIS_ARG_FIELDS, /* the values of lf_redis_field_names, in their order; empty: not known */
	/* then for each share: incarnation, "passed muted sampled limited folded" */
};

const char *lf_redis_script_sha(enum lf_redis_script script);

#endif
