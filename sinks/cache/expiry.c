/* The commands that change when a key expires. */
#include <errno.h>

#include "sinks/cache/prepare.h"

static int change(struct lf_cache_space *space, struct lf_text id, enum lf_command_kind kind, int64_t expires_ms,
                  struct lf_error *err)
{
	struct lf_command_result result = { 0 };
	struct lf_command command;
	char key[LF_KEY_MAX];
	size_t len;
	int rc = lf_key_make(key, &len, space->prefix, id, err);

	if (!rc)
		rc = lf_prepare_change(space, id, kind, &command);
	if (rc)
		return rc;
	command.expires_ms = expires_ms;
	rc = lf_stack_change(space, (struct lf_text){ key, len }, &command, lf_stack_deadline(space->cache), &result, err);
	lf_record_drop(result.record);
	return rc ? rc : (int)result.number;
}

int lf_cache_expire_at(struct lf_cache_space *space, struct lf_text id, int64_t at_ms, struct lf_error *err)
{
	/* 0 is never; that point in time has passed as any before it. */
	return change(space, id, LF_COMMAND_EXPIRE, at_ms ? at_ms : -1, err);
}

int lf_cache_expire(struct lf_cache_space *space, struct lf_text id, int64_t ttl_ms, struct lf_error *err)
{
	int64_t now = lf_cache_now(space->cache), at;

	if (__builtin_add_overflow(now, ttl_ms, &at))
		at = ttl_ms > 0 ? INT64_MAX : INT64_MIN;
	return lf_cache_expire_at(space, id, at, err);
}

int lf_cache_persist(struct lf_cache_space *space, struct lf_text id, struct lf_error *err)
{
	return change(space, id, LF_COMMAND_PERSIST, 0, err);
}
