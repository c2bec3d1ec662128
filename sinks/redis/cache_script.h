/* What runs inside the server for the cache tier.  Each script works on keys of one slot, so that a cluster takes
 * it, too; it looks first, then tells, then writes, so that one who may not tell changes nothing.
 *
 * Versions are compared byte by byte, and numbers by length, then digit by digit: Lua's numbers are doubles, and its
 * comparison of strings is the locale's.
 */
#ifndef LOGFOLD_SINKS_REDIS_CACHE_SCRIPT_H
#define LOGFOLD_SINKS_REDIS_CACHE_SCRIPT_H

#include "sinks/redis/script.h"

enum lf_redis_cache_script {
	/* KEYS: the record; with mode l its lock.  ARGV: mode (n newer, v of that version, l newer and locked), bytes, when it
	 * goes ("": never), version or token, channel, message.  1: stored. */
	LF_REDIS_CACHE_STORE,
	/* KEYS: the stamp.  ARGV: number, channel, message.  The number that is there then. */
	LF_REDIS_CACHE_RAISE,
	/* KEYS: the record.  ARGV: the clock's eight bytes; anything, or "".  Removes it unless it is newer, or anything is
	 * given and it is critical. */
	LF_REDIS_CACHE_DROP,
	/* KEYS: any.  ARGV: how its bytes begin.  Removes it if they still do. */
	LF_REDIS_CACHE_DISCARD,
	/* KEYS: the lock.  ARGV: its value. */
	LF_REDIS_CACHE_UNLOCK,
	LF_REDIS_CACHE_SCRIPTS
};

const struct lf_redis_scripts *lf_redis_cache_scripts(void);

#endif
