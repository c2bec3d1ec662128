/* A cache for tests: with tiers of the caller's choice, a clock that stands still, and a shared tier in the memory of the
 * test program that fails as it is told to.
 *
 * Every test is a process of its own, so that servers and clock are there once.
 */
#ifndef LF_CACHE_FIXTURE_H
#define LF_CACHE_FIXTURE_H

#include "sinks/cache/internal.h"

/* --- the clock: options.clock_ms ------------------------------------------------------------------- */

extern _Atomic int64_t fake_now_ms; /* 2026-01-01 at first */
int64_t fake_clock_ms(void *arg);

/* --- shared tiers ---------------------------------------------------------------------------------- */

enum fake_op {
	FAKE_PING, FAKE_LOAD, FAKE_STORE, FAKE_SCAN, FAKE_DROP, FAKE_STAMPS, FAKE_RAISE, FAKE_LOCK, FAKE_UNLOCK, FAKE_WATCH,
	FAKE_OPS
};

/* One server.  All caches of the test that open this tier share it; each hears what the others change. */
struct fake;
struct fake *fake_server(enum lf_cache_tier which); /* LF_CACHE_REDIS or LF_CACHE_MONGO */

/* Every call is refused, those that wait end. */
void fake_down(struct fake *fake, bool down);
/* Every call takes so long; one that has less time is late, and done all the same. */
void fake_delay(struct fake *fake, int ms);
/* Of the next `count` calls of that kind: they fail so.  `done`: what was asked for is done all the same. */
void fake_fail(struct fake *fake, enum fake_op op, unsigned count, enum lf_tier_result result, bool done);
/* Called without a lock before the next call of that kind: there somebody else may be faster. */
void fake_before(struct fake *fake, enum fake_op op, void (*before)(void *arg), void *arg);
/* The same, behind it: before its caller has the answer. */
void fake_behind(struct fake *fake, enum fake_op op, void (*behind)(void *arg), void *arg);
/* All is gone, and its mark is another one. */
void fake_empty(struct fake *fake);
/* Nobody hears of changes any more; the channel breaks, and can be watched again. */
void fake_break_channel(struct fake *fake);

/* The time of all locks is over.  How many there were. */
unsigned fake_expire_locks(struct fake *fake);

unsigned fake_calls(struct fake *fake, enum fake_op op);
/* What is there under a key, with one user for the caller, or NULL. */
struct lf_record *fake_peek(struct fake *fake, struct lf_text key);
/* Puts it there as if another process had; those who listen are told. */
void fake_poke(struct fake *fake, struct lf_text key, const struct lf_record *record);
void fake_poke_stamp(struct fake *fake, struct lf_text name, uint64_t stamp);
uint64_t fake_peek_stamp(struct fake *fake, struct lf_text name);
/* One record goes without a trace, as a server does that needs room. */
void fake_evict(struct fake *fake, struct lf_text key);

/* --- the cache -------------------------------------------------------------------------------------- */

enum {
	WITH_MEMORY = 1u << LF_CACHE_MEMORY,
	WITH_SQLITE = 1u << LF_CACHE_SQLITE,
	WITH_REDIS = 1u << LF_CACHE_REDIS,
	WITH_MONGO = 1u << LF_CACHE_MONGO,
};

/* Short times; SQLite in a new folder of the test's.  Returns `options`. */
struct lf_cache_options *fixture_options(struct lf_cache_options *options, unsigned tiers);
/* Opened, with the tiers up that can be; the test fails if it cannot. */
struct lf_cache *fixture_open(const struct lf_cache_options *options);
/* The same with usual options. */
struct lf_cache *fixture_cache(unsigned tiers);
struct lf_cache_space *fixture_space(struct lf_cache *cache, const char *type, const char *org);

static inline struct lf_text text_of(const char *text)
{
	return (struct lf_text){ text, __builtin_strlen(text) };
}
/* `app:env:type:org:id` of an id that needs no escaping; good until the fourth call after it. */
struct lf_text fixture_key(const struct lf_cache_space *space, const char *id);

/* Waits until the tier has that state, and is done with what makes it so; false: it has not within 10 s. */
bool fixture_wait_state(struct lf_cache *cache, enum lf_cache_tier which, enum lf_cache_tier_state state);
/* Waits until `is` is true of the argument; false: 10 s have passed. */
bool fixture_wait(bool (*is)(void *arg), void *arg);

/* What get says: the value as a string of its own (at most 255 bytes), "(none)", or "(error -22)"; good until the fourth
 * call after it. */
const char *fixture_get(struct lf_cache_space *space, const char *id);

#endif
