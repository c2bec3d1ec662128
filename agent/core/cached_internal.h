/* What the files of the agent's caches share.  Nobody else includes this. */
#ifndef LOGFOLD_CORE_CACHED_INTERNAL_H
#define LOGFOLD_CORE_CACHED_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/core/cached.h"

enum { LF_FOLLOW_MAX = 256 }; /* entries whose flags changed, at a time */

/* A job of its own: one round of copies to be forgotten. */
struct lf_following {
	struct lf_cached_job job; /* first */
	bool known, running;      /* the main thread's: whether `mark` is known; whether the job is out */
	_Atomic bool done;        /* the job's; the wake behind it makes the main thread look */
	struct lf_store_mark mark;
	size_t count, at; /* `at`: the job's, while it is out */
	struct {
		char namespace[LF_NAMESPACE_MAX + 1], hash[LF_HASH_CHARS + 1];
	} entry[LF_FOLLOW_MAX];
};

struct lf_cached {
	struct lf_cached_options options;
	struct lf_cache *own;
	struct lf_following *following;

	pthread_t thread;
	bool has_thread;
	_Atomic(struct lf_cache *) fleet; /* the thread sets it; who is no job may see it go only while it ends */
	int64_t ttl_ms;   /* of the fleet's values; set before `fleet` is */
	pthread_mutex_t lock; /* of what stands below */
	pthread_cond_t come;
	struct lf_cached_job *first, **last;
	bool stopping;
	char trouble[512];
};

#endif
