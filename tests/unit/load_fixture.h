/* Loaders that say when they begin and end as they are told, and callers in threads of their own. */
#ifndef LF_LOAD_FIXTURE_H
#define LF_LOAD_FIXTURE_H

#include "sinks/cache/load.h"
#include "tests/unit/cache_fixture.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

/* What a loader does, and what it did.  All zero: it says that there is none. */
struct source {
	_Atomic int calls, inside, releases;
	_Atomic bool held; /* it does not return while it is */
	const char *value; /* NULL: there is none */
	int fails;
	const char *sentence;
	struct lf_cache_set how;
	int (*also)(struct source *source, struct lf_text id, struct lf_error *err); /* while it runs */
};
int source_load(void *source, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *err);

/* A cache of some tiers, by the clock that stands still, with one class for all types; value_max is 1000. */
struct lf_cache *load_cache(unsigned tiers, struct lf_cache_class of_all);

/* get_or_set of id "1". */
int load_get(struct lf_cache_space *space, struct source *source, struct lf_cache_value *out, struct lf_error *err);
void load_expect(struct lf_cache_space *space, struct source *source, const char *expected, bool stale);
/* What is there without a loader; NULL: nothing. */
void load_expect_kept(struct lf_cache_space *space, const char *expected);
void load_expect_value(const struct lf_cache_value *value, const char *expected);

/* Somebody else who calls it. */
struct caller {
	pthread_t thread;
	struct lf_cache_space *space;
	struct lf_cache_load how;
	struct lf_cache_value value;
	struct lf_error err;
	int rc;
};
void caller_start(struct caller *caller, struct lf_cache_space *space, struct source *source);
void caller_join(struct caller *caller, int rc, const char *expected);

/* These wait, with a deadline. */
void until_number(_Atomic int *number, int expected, const char *what);
void until_inside(struct source *source);
void until_waiting(struct lf_cache_space *space, unsigned count); /* callers that wait for somebody's loader */
void until_ended(struct lf_cache *cache, uint64_t count);         /* flights */

#endif
