#include "sinks/cache/commands.h"

#include <errno.h>

#include "sinks/cache/apply.h"

int lf_apply_type(const struct lf_record *before, enum lf_record_type want, struct lf_error *err)
{
	if (!before || before->type == want)
		return 0;
	return lf_fail(err, -EPROTOTYPE, "the key holds a %s, and this is a command of %s: delete it, or set it anew",
	               before->type == LF_RECORD_HASH ? "hash" : "string", want == LF_RECORD_HASH ? "hashes" : "strings");
}

int lf_apply_too_big(const struct lf_command *command, struct lf_error *err)
{
	return lf_fail(err, -EFBIG, "the value is over the limit of %zu bytes: raise value_max", command->value_max);
}

/* --- the outcomes ---------------------------------------------------------------------------------- */

static int nothing(struct lf_command_result *out)
{
	*out = (struct lf_command_result){ .outcome = LF_COMMAND_NOTHING };
	return 0;
}

static int removed(struct lf_command_result *out, int64_t number)
{
	*out = (struct lf_command_result){ .outcome = LF_COMMAND_REMOVE, .number = number };
	return 0;
}

/* `out->number` stays. */
static int stored(const struct lf_apply *apply, struct lf_record *draft, struct lf_command_result *out,
                  struct lf_error *err)
{
	if (lf_record_expired(draft, apply->now_ms))
		return removed(out, out->number);
	draft->version = apply->version;
	out->record = lf_record_new(draft);
	if (!out->record)
		return lf_fail(err, -ENOMEM, "no memory for a record of %zu bytes", draft->value.len);
	out->outcome = LF_COMMAND_STORE;
	return 0;
}

/* As it is when it is set. */
static struct lf_record draft_of(const struct lf_command *command)
{
	return (struct lf_record){
		.type = LF_RECORD_STRING,
		.flags = command->critical ? LF_RECORD_CRITICAL : 0,
		.tags_count = command->tags_count,
		.tags = command->tags,
		.expires_ms = command->expires_ms,
		.fresh_until_ms = command->fresh_until_ms,
		.revision = command->revision,
		.type_stamp = command->type_stamp,
		.org_stamp = command->org_stamp,
		.value = command->value,
	};
}

static struct lf_record copy_of(const struct lf_record *before)
{
	return (struct lf_record){
		.type = before->type,
		.flags = before->flags,
		.tags_count = before->tags_count,
		.tags = before->tags,
		.load_ms = before->load_ms,
		.expires_ms = before->expires_ms,
		.fresh_until_ms = before->fresh_until_ms,
		.revision = before->revision,
		.type_stamp = before->type_stamp,
		.org_stamp = before->org_stamp,
		.value = before->value,
	};
}

int lf_apply_value(const struct lf_apply *apply, enum lf_record_type type, struct lf_text value,
                   struct lf_command_result *out, struct lf_error *err)
{
	struct lf_record draft = apply->before ? copy_of(apply->before) : draft_of(apply->command);

	draft.type = (uint8_t)type;
	draft.value = value;
	if (apply->command->critical)
		draft.flags |= LF_RECORD_CRITICAL;
	return stored(apply, &draft, out, err);
}

/* --- the commands ---------------------------------------------------------------------------------- */

static bool may_set(const struct lf_command *command, const struct lf_record *before)
{
	if (command->when == LF_CACHE_IF_ABSENT ? before != NULL : command->when == LF_CACHE_IF_PRESENT && !before)
		return false;
	return command->kind != LF_COMMAND_SET_IF_NEWER || command->revision > (before ? before->revision : 0);
}

static int set(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err)
{
	const struct lf_command *command = apply->command;
	struct lf_record draft = draft_of(command);

	if (command->value.len > command->value_max)
		return lf_apply_too_big(command, err);
	if (!may_set(command, apply->before))
		return nothing(out);
	if (command->keep_ttl) {
		draft.expires_ms = apply->before ? apply->before->expires_ms : 0;
		draft.fresh_until_ms = apply->before ? apply->before->fresh_until_ms : 0;
	}
	out->number = 1;
	return stored(apply, &draft, out, err);
}

/* Where nothing is, too: the tombstone keeps out what a loader that began before is about to store. */
static int del(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err)
{
	(void)err;
	return removed(out, apply->before != NULL);
}

static int expire(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err)
{
	struct lf_record draft;

	if (apply->command->expires_ms == 0)
		return lf_fail(err, -EINVAL, "a key that is to expire needs a time: use persist for one that is not");
	if (!apply->before)
		return nothing(out);
	draft = copy_of(apply->before);
	draft.expires_ms = apply->command->expires_ms;
	draft.fresh_until_ms = apply->command->fresh_until_ms;
	out->number = 1;
	return stored(apply, &draft, out, err);
}

static int persist(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err)
{
	struct lf_record draft;

	if (!apply->before || apply->before->expires_ms == 0)
		return nothing(out);
	draft = copy_of(apply->before);
	draft.expires_ms = 0;
	draft.fresh_until_ms = 0;
	out->number = 1;
	return stored(apply, &draft, out, err);
}

typedef int (*command_function)(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err);

static const command_function functions[] = {
	[LF_COMMAND_SET] = set,
	[LF_COMMAND_SET_IF_NEWER] = set,
	[LF_COMMAND_DEL] = del,
	[LF_COMMAND_INCRBY] = lf_apply_number,
	[LF_COMMAND_DECRBY] = lf_apply_number,
	[LF_COMMAND_EXPIRE] = expire,
	[LF_COMMAND_PERSIST] = persist,
	[LF_COMMAND_HSET] = lf_apply_hset,
	[LF_COMMAND_HDEL] = lf_apply_hdel,
};

int lf_command_apply(const struct lf_command *command, const struct lf_record *before, struct lf_version version,
                     int64_t now_ms, struct lf_command_result *out, struct lf_error *err)
{
	struct lf_apply apply = { command, before, version, now_ms };

	if ((unsigned)command->kind >= sizeof(functions) / sizeof(*functions))
		return lf_fail(err, -EINVAL, "there is no command of number %d", (int)command->kind);
	if (command->tags_count > LF_CACHE_TAGS_MAX)
		return lf_fail(err, -EINVAL, "%u tags are too many: a value may have %d", command->tags_count, LF_CACHE_TAGS_MAX);
	if (before && !lf_record_readable(before, now_ms))
		apply.before = NULL;
	*out = (struct lf_command_result){ .outcome = LF_COMMAND_NOTHING };
	return functions[command->kind](&apply, out, err);
}

/* --- reading --------------------------------------------------------------------------------------- */

static int value_of(const struct lf_record *before, enum lf_record_type want, struct lf_text *out, struct lf_error *err)
{
	int rc;

	if (!before || (before->type != LF_RECORD_STRING && before->type != LF_RECORD_HASH))
		return 0;
	rc = lf_apply_type(before, want, err);
	if (rc < 0)
		return rc;
	*out = before->value;
	return 1;
}

int lf_command_get(const struct lf_record *before, struct lf_text *out, struct lf_error *err)
{
	return value_of(before, LF_RECORD_STRING, out, err);
}

int lf_command_hgetall(const struct lf_record *before, struct lf_text *out, struct lf_error *err)
{
	return value_of(before, LF_RECORD_HASH, out, err);
}
