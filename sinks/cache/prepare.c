/* What a user wants kept, as a command: times by the class, what is critical, the stamps of its tags. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "sinks/cache/commands.h"
#include "sinks/cache/prepare.h"
#include "sinks/cache/stamps.h"

/* Spreads ends of TTLs; nobody guesses them for gain. */
static uint64_t any_number(void)
{
	static _Thread_local uint64_t state;

	while (!state)
		if (getrandom(&state, sizeof(state), 0) != sizeof(state))
			state = (uint64_t)(uintptr_t)&state;
	state ^= state << 13; /* xorshift64: Marsaglia, Xorshift RNGs, 2003 */
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static int64_t after(int64_t now_ms, int64_t ttl_ms)
{
	return ttl_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + ttl_ms;
}

static int64_t class_ttl(const struct lf_cache_class *class)
{
	int64_t most = class->ttl_ms / 100 * class->jitter_pct + class->ttl_ms % 100 * class->jitter_pct / 100;

	return most > 0 ? class->ttl_ms - (int64_t)(any_number() % (uint64_t)(most + 1)) : class->ttl_ms;
}

int64_t lf_prepare_class_end(const struct lf_cache_space *space)
{
	const struct lf_cache_class *class = &space->class;

	return class->ttl_ms ? after(lf_cache_now(space->cache), class_ttl(class)) : 0;
}

/* A value that ends sooner than its class calls old is old in the second half of its time. */
static int64_t fresh_until(const struct lf_cache_space *space, int64_t expires_ms)
{
	int64_t stale = space->class.stale_ms, now = lf_cache_now(space->cache);

	if (!stale || !expires_ms || expires_ms <= now)
		return 0;
	return expires_ms - now > stale ? expires_ms - stale : now + (expires_ms - now) / 2;
}

static int prepare_times(const struct lf_cache_space *space, const struct lf_cache_set *how, struct lf_command *out,
                         struct lf_error *err)
{
	if (how->expires_ms)
		out->expires_ms = how->expires_ms;
	else if (how->ttl_ms == LF_CACHE_TTL_KEEP)
		out->keep_ttl = true;
	else if (how->ttl_ms == LF_CACHE_TTL_CLASS)
		out->expires_ms = lf_prepare_class_end(space);
	else if (how->ttl_ms > 0)
		out->expires_ms = after(lf_cache_now(space->cache), how->ttl_ms);
	else if (how->ttl_ms != LF_CACHE_TTL_NONE)
		return lf_fail(err, -EINVAL, "a TTL of %lld ms is none: it is over 0, or one of LF_CACHE_TTL_CLASS, _NONE and _KEEP",
		               (long long)how->ttl_ms);
	if (!out->keep_ttl)
		out->fresh_until_ms = fresh_until(space, out->expires_ms);
	return 0;
}

bool lf_stack_is_critical(const struct lf_cache_space *space, struct lf_text id)
{
	const struct lf_cache_options *options = &space->cache->options;
	char name[2 * (LF_CACHE_NAME_MAX + 1) + LF_CACHE_ID_MAX];
	struct lf_text text = { name, 0 };

	if (!options->critical_count || !id.len || id.len > LF_CACHE_ID_MAX)
		return false;
	memcpy(name, space->type.data, space->type.len);
	text.len = space->type.len;
	name[text.len++] = ':';
	memcpy(name + text.len, space->org.data, space->org.len);
	text.len += space->org.len;
	name[text.len++] = ':';
	memcpy(name + text.len, id.data, id.len);
	text.len += id.len;
	for (size_t i = 0; i < options->critical_count; i++)
		if (lf_glob((struct lf_text){ options->critical[i], strlen(options->critical[i]) }, text))
			return true;
	return false;
}

int lf_stack_prepare(struct lf_cache_space *space, struct lf_text id, struct lf_text value, const struct lf_cache_set *how,
                     const struct lf_begun *begun, int64_t end_ms, struct lf_record_tag *tags, struct lf_command *out,
                     struct lf_error *err)
{
	static const struct lf_cache_set usual;
	int rc;

	if (!how)
		how = &usual;
	if ((unsigned)how->when > LF_CACHE_IF_PRESENT)
		return lf_fail(err, -EINVAL, "%d is no condition of setting: take LF_CACHE_ALWAYS, _IF_ABSENT or _IF_PRESENT",
		               (int)how->when);
	*out = (struct lf_command){ .kind = LF_COMMAND_SET,
		                    .value = value,
		                    .when = how->when,
		                    .critical = how->critical || lf_stack_is_critical(space, id),
		                    .tags = tags,
		                    .tags_count = (uint8_t)(how->tags_count <= LF_CACHE_TAGS_MAX ? how->tags_count : 0),
		                    .value_max = space->cache->options.value_max };
	rc = prepare_times(space, how, out, err);
	return rc ? rc : lf_stamps_take(space, how->tags, how->tags_count, begun, out->critical, end_ms, tags, &out->type_stamp,
	                                &out->org_stamp, err);
}

int lf_prepare_change(struct lf_cache_space *space, struct lf_text id, enum lf_command_kind kind, struct lf_command *out)
{
	*out = (struct lf_command){ .kind = kind,
		                    .critical = lf_stack_is_critical(space, id),
		                    .value_max = space->cache->options.value_max };
	if (kind != LF_COMMAND_INCRBY && kind != LF_COMMAND_DECRBY && kind != LF_COMMAND_HSET)
		return 0;
	out->expires_ms = lf_prepare_class_end(space);
	return lf_stamps_take(space, NULL, 0, NULL, false, 0, NULL, &out->type_stamp, &out->org_stamp, NULL);
}
