/* The commands of strings that change something. */
#include <errno.h>
#include <stdlib.h>

#include "sinks/cache/prepare.h"
#include "sinks/cache/set.h"
#include "sinks/cache/stamps.h"

/* Runs it under the id's key.  0 and what it says, or a failure. */
static int change(struct lf_cache_space *space, struct lf_text id, const struct lf_command *command, int64_t *number,
                  struct lf_error *err)
{
	struct lf_command_result result = { 0 };
	char key[LF_KEY_MAX];
	size_t len;
	int rc = lf_key_make(key, &len, space->prefix, id, err);

	if (!rc)
		rc = lf_stack_change(space, (struct lf_text){ key, len }, command, lf_stack_deadline(space->cache), &result, err);
	lf_record_drop(result.record);
	*number = result.number;
	return rc;
}

static int set(struct lf_cache_space *space, struct lf_text id, struct lf_text value, uint64_t revision,
               const struct lf_cache_set *how, struct lf_error *err)
{
	struct lf_record_tag tags[LF_CACHE_TAGS_MAX];
	struct lf_command command;
	int64_t number;
	int rc = lf_stack_prepare(space, id, value, how, NULL, 0, tags, &command, err);

	if (rc)
		return rc;
	if (revision) {
		command.kind = LF_COMMAND_SET_IF_NEWER;
		command.revision = revision;
	}
	rc = change(space, id, &command, &number, err);
	return rc ? rc : (int)number;
}

int lf_cache_set(struct lf_cache_space *space, struct lf_text id, struct lf_text value, const struct lf_cache_set *how,
                 struct lf_error *err)
{
	return set(space, id, value, 0, how, err);
}

int lf_cache_set_if_newer(struct lf_cache_space *space, struct lf_text id, struct lf_text value, uint64_t revision,
                          const struct lf_cache_set *how, struct lf_error *err)
{
	if (!revision)
		return lf_fail(err, -EINVAL, "a revision is a number over 0");
	return set(space, id, value, revision, how, err);
}

int lf_cache_del(struct lf_cache_space *space, struct lf_text id, struct lf_error *err)
{
	struct lf_command command;
	int64_t number;
	int rc = lf_prepare_change(space, id, LF_COMMAND_DEL, &command);

	if (!rc)
		rc = change(space, id, &command, &number, err);
	return rc ? rc : (int)number;
}

/* --- counting -------------------------------------------------------------------------------------- */

static int count(struct lf_cache_space *space, struct lf_text id, enum lf_command_kind kind, int64_t by, int64_t *out,
                 struct lf_error *err)
{
	struct lf_command command;
	int64_t number;
	int rc = lf_prepare_change(space, id, kind, &command);

	command.number = by;
	if (!rc)
		rc = change(space, id, &command, &number, err);
	if (!rc && out)
		*out = number;
	return rc;
}

int lf_cache_incrby(struct lf_cache_space *space, struct lf_text id, int64_t by, int64_t *out, struct lf_error *err)
{
	return count(space, id, LF_COMMAND_INCRBY, by, out, err);
}

int lf_cache_decrby(struct lf_cache_space *space, struct lf_text id, int64_t by, int64_t *out, struct lf_error *err)
{
	return count(space, id, LF_COMMAND_DECRBY, by, out, err);
}

int lf_cache_incr(struct lf_cache_space *space, struct lf_text id, int64_t *out, struct lf_error *err)
{
	return count(space, id, LF_COMMAND_INCRBY, 1, out, err);
}

int lf_cache_decr(struct lf_cache_space *space, struct lf_text id, int64_t *out, struct lf_error *err)
{
	return count(space, id, LF_COMMAND_DECRBY, 1, out, err);
}

/* --- many ------------------------------------------------------------------------------------------ */

/* Room for as many as go into one round trip. */
struct many {
	char key[LF_SET_MAX][LF_KEY_MAX];
	struct lf_text keys[LF_SET_MAX];
	struct lf_command commands[LF_SET_MAX];
	struct lf_record_tag tags[LF_SET_MAX][LF_CACHE_TAGS_MAX];
};

static int prepare_some(struct lf_cache_space *space, const struct lf_text *ids, const struct lf_text *values, size_t some,
                        const struct lf_cache_set *how, int64_t end_ms, struct many *many, struct lf_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < some; i++) {
		many->keys[i].data = many->key[i];
		rc = lf_key_make(many->key[i], &many->keys[i].len, space->prefix, ids[i], err);
		if (!rc)
			rc = lf_stack_prepare(space, ids[i], values[i], how, NULL, end_ms, many->tags[i], &many->commands[i], err);
	}
	return rc;
}

/* Those with conditions one by one; of one key that is there twice, the last is meant. */
static int set_some(struct lf_cache_space *space, struct many *many, size_t some, int64_t end_ms, struct lf_error *err)
{
	int rc = 0;

	if (lf_set_is_blind(&many->commands[0]) && atomic_load_explicit(&space->cache->enabled, memory_order_acquire))
		return lf_set_all(space, many->keys, many->commands, some, end_ms, err);
	for (size_t i = 0; !rc && i < some; i++) {
		struct lf_command_result result = { 0 };

		rc = lf_stack_change(space, many->keys[i], &many->commands[i], end_ms, &result, err);
		lf_record_drop(result.record);
	}
	return rc;
}

int lf_cache_mset(struct lf_cache_space *space, const struct lf_text *ids, const struct lf_text *values, size_t count_of,
                  const struct lf_cache_set *how, struct lf_error *err)
{
	int64_t end_ms = lf_stack_deadline(space->cache);
	struct many *many = count_of ? malloc(sizeof(*many)) : NULL;
	int rc = many || !count_of ? 0 : lf_fail(err, -ENOMEM, "no memory for %zu keys", count_of);

	for (size_t at = 0; !rc && at < count_of; at += LF_SET_MAX) {
		size_t some = count_of - at < LF_SET_MAX ? count_of - at : LF_SET_MAX;

		rc = prepare_some(space, ids + at, values + at, some, how, end_ms, many, err);
		if (!rc)
			rc = set_some(space, many, some, end_ms, err);
	}
	free(many);
	return rc;
}
