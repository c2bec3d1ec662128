/* The commands of hashes that change something. */
#include <errno.h>
#include <stdlib.h>

#include "sinks/cache/prepare.h"

static int change(struct lf_cache_space *space, struct lf_text id, enum lf_command_kind kind,
                  const struct lf_cache_field *fields, size_t count, struct lf_error *err)
{
	struct lf_command_result result = { 0 };
	struct lf_command command;
	char key[LF_KEY_MAX];
	size_t len;
	int rc = lf_key_make(key, &len, space->prefix, id, err);

	if (!rc && !count)
		rc = lf_fail(err, -EINVAL, "a command of hashes needs at least one field");
	if (!rc)
		rc = lf_prepare_change(space, id, kind, &command);
	if (rc)
		return rc;
	command.fields = fields;
	command.fields_count = count;
	rc = lf_stack_change(space, (struct lf_text){ key, len }, &command, lf_stack_deadline(space->cache), &result, err);
	lf_record_drop(result.record);
	return rc ? rc : (int)result.number;
}

int lf_cache_hset(struct lf_cache_space *space, struct lf_text id, const struct lf_cache_field *fields, size_t count,
                  struct lf_error *err)
{
	return change(space, id, LF_COMMAND_HSET, fields, count, err);
}

int lf_cache_hdel(struct lf_cache_space *space, struct lf_text id, const struct lf_text *fields, size_t count,
                  struct lf_error *err)
{
	struct lf_cache_field *named = calloc(count + 1, sizeof(*named));
	int rc;

	if (!named)
		return lf_fail(err, -ENOMEM, "no memory for %zu fields", count);
	for (size_t i = 0; i < count; i++)
		named[i].name = fields[i];
	rc = change(space, id, LF_COMMAND_HDEL, named, count, err);
	free(named);
	return rc;
}
