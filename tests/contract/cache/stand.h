/* A cache for one test: what the contract of logfold/cache.h stands on.
 *
 * Its tiers are those that LOGFOLD_TEST_CACHE names ("memory sqlite redis mongo"; memory alone where it is not set),
 * at LOGFOLD_TEST_REDIS and LOGFOLD_TEST_MONGO; with LOGFOLD_TEST_BEHIND=1 the ones below memory are written behind.
 * Each test has an app and a folder of its own.
 */
#ifndef LOGFOLD_TESTS_CONTRACT_CACHE_STAND_H
#define LOGFOLD_TESTS_CONTRACT_CACHE_STAND_H

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "logfold/cache.h"

#define TEXT(literal) ((struct lf_text){ (literal), sizeof(literal) - 1 })
#define BYTES TEXT("\0 \xff\xfe not UTF-8: \xc3\x28 \r\n\0")
#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

enum { VALUE_MAX = 100000, DAY_MS = 86400000, WITHIN_MS = 20000 };

extern struct lf_cache *cache;
extern struct lf_cache_space *users; /* of type user, organisation acme */
extern struct lf_error err;

/* The result is that one, else the sentence of the failure is shown. */
#define expect(want, call) \
	do { \
		int want_ = (want), rc_; \
		err.text[0] = '\0'; \
		rc_ = (call); \
		cr_assert(rc_ == want_, "%s is %d, not %d: %s", #call, rc_, want_, err.text); \
	} while (0)

void open_stand(void);
void close_stand(void);

bool has(enum lf_cache_tier tier);
bool is_behind(void);
/* Whether something below memory is there, that another cache shares. */
bool is_shared(void);

/* How many keys are many: more than any tier takes or gives in one piece.  The stand-in for MongoDB reads all there
 * are for every question, so there they are fewer. */
enum { MANY_MAX = 2500 };
int many(void);

/* The cache's clock, which stands still. */
int64_t clock_is(void);
void clock_moves(int64_t by_ms);

/* Options as the stand's own. */
struct lf_cache_options stand_options(void);
/* Another cache at the same tiers, as of another process.  The caller closes it. */
struct lf_cache *open_another(void);
struct lf_cache_space *space_of(struct lf_cache *of, const char *type, const char *org);
/* Closes the stand's cache, and opens it anew. */
void reopen(void);

/* What was written is where it is to be, and memory holds none of it. */
void only_below(void);

/* --- short forms: what they do must succeed ----------------------------------------------------------- */

struct lf_text text(const char *string);
void set_to(struct lf_cache_space *space, struct lf_text id, struct lf_text value);
void set_tagged(struct lf_cache_space *space, struct lf_text id, const char *tag);
void expect_value(struct lf_cache_space *space, struct lf_text id, struct lf_text want);
void expect_nothing(struct lf_cache_space *space, struct lf_text id);
void expect_field(struct lf_cache_space *space, struct lf_text id, struct lf_text field, struct lf_text want);
void expect_ttl(struct lf_cache_space *space, struct lf_text id, int64_t want);
void set_field(struct lf_cache_space *space, struct lf_text id, struct lf_text field, struct lf_text value);
/* How often the scan comes to that id; how many ids in all. */
unsigned times_in_scan(struct lf_cache_space *space, const char *pattern, struct lf_text id);
unsigned count_of_scan(struct lf_cache_space *space, const char *pattern);

#endif
