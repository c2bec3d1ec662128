/* What the files of the shipper share.  Nobody else includes this. */
#ifndef LOGFOLD_CORE_SHIPPER_INTERNAL_H
#define LOGFOLD_CORE_SHIPPER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/core/batch.h"
#include "sinks/breaker.h"
#include "agent/core/publish.h"
#include "agent/core/shipper.h"

/* An entry of the hot set, as the tier was told last. */
struct lf_hot {
	int64_t row;
	char namespace[LF_NAMESPACE_MAX + 1];
	char hash[LF_HASH_CHARS + 1];
};

struct lf_hot_set {
	struct lf_hot *item; /* sorted by row */
	size_t count, room;
};

struct lf_namespaces {
	char **name; /* sorted */
	size_t count;
};

struct lf_shipper {
	struct lf_shipper_options options;
	char *password;
	pthread_t thread;
	bool started;
	int wake_fd; /* eventfd */
	_Atomic bool stopping;
	_Atomic int64_t deadline_ms; /* of the last calls, once stopping */

	pthread_mutex_t lock;         /* of what follows, which other threads see */
	struct lf_tier_status status;
	struct lf_lookup *lookups;

	/* The thread's own. */
	struct lf_store *store;
	struct lf_incarnation at; /* whom the sink speaks for, and how far the store was at the last look */
	struct lf_sink *sink;
	bool greeted;                 /* hello() succeeded since the last failure */
	bool watching;
	struct lf_sink_hello hello;
	struct lf_breaker breaker;
	struct lf_namespaces namespaces;
	struct lf_tier_mark mark;       /* as the store has it */
	uint64_t told;                  /* the sequence that the tier is known to have */
	struct lf_store_mark flags;     /* flags that changed behind it are to be sent before all else */
	struct lf_store_mark cursor;    /* of a tier that holds all */
	uint64_t hot_sequence;          /* of a hot one: what changed behind it is to be sent */
	struct lf_hot_set hot;
	struct lf_batch batch;
	size_t piece;                   /* entries of one write, at most batch_size */
	bool more;                      /* the last flush did not come to its end */
	bool left;                      /* it failed */
	bool busy;                      /* tend() has more to do */
	bool adopted;                   /* flags, and nobody has been told */
	int64_t next_flush_ms, next_poll_ms, next_tend_ms, renew_ms, succeeded_ms;
	int64_t rest_ms;                /* until then a store that fails is left alone */
	char writer[LF_WRITER_MAX];
	char said[512];       /* the sentence that was told last */
	char store_said[512]; /* the same of the store, which the tier's successes do not take back */
};

/* shipper_call.c: every call to the sink goes through these two, so that none goes unnoticed */
int lf_shipper_timeout(const struct lf_shipper *shipper);
bool lf_shipper_took(struct lf_shipper *shipper, enum lf_sink_result result,
                     const struct lf_error *err);
/* A failure of the store, told once. */
void lf_shipper_trouble(struct lf_shipper *shipper, const char *sentence);

/* shipper_connect.c: the store and the sink; false, or a negative errno, when something failed */
int lf_shipper_check_options(struct lf_shipper *shipper, struct lf_error *err);
bool lf_shipper_prepare(struct lf_shipper *shipper); /* both are open */
void lf_shipper_close_sink(struct lf_shipper *shipper);
void lf_shipper_free_namespaces(struct lf_namespaces *namespaces);
bool lf_shipper_greet(struct lf_shipper *shipper); /* asks the tier who it is, and compares */
bool lf_shipper_may_watch(const struct lf_shipper *shipper);
bool lf_shipper_watch(struct lf_shipper *shipper);

/* Where the store is now; false when it failed, or counts under another incarnation than the sink speaks
 * for: then all begins anew. */
bool lf_shipper_look_at_store(struct lf_shipper *shipper);

/* shipper_flush.c: true unless something failed.  Flags that changed go at once, however much else waits: a
 * person may change them again in the tier, and what we send later would undo that. */
bool lf_shipper_flush_flags(struct lf_shipper *shipper);
bool lf_shipper_flush(struct lf_shipper *shipper);
void lf_shipper_forget_all(struct lf_shipper *shipper); /* the tier is to be told all again */
void lf_hot_fini(struct lf_hot_set *set);

/* shipper_flags.c */
bool lf_shipper_read_flags(struct lf_shipper *shipper, bool everything);
bool lf_shipper_take_changes(struct lf_shipper *shipper);

#endif
