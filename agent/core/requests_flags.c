/* What an agent is asked to do with flags: of many entries at once, and published once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/agent_internal.h"
#include "agent/core/policy.h"
#include "agent/core/publish.h"
#include "agent/core/tags.h"

enum { KEYS_MAX = LF_CONTROL_LINE_MAX / (LF_HASH_CHARS + 1) };

struct wish {
	char namespace[LF_NAMESPACE_MAX + 1];
	char hashes[LF_CONTROL_LINE_MAX];
	struct lf_entry_key keys[KEYS_MAX];
	bool changed[KEYS_MAX], missed[KEYS_MAX];
	size_t count;
	const char *value; /* what stands behind the hashes; "": nothing does */
};

static int say_how(const struct lf_flag_verb *verb, struct lf_error *err)
{
	return lf_fail(err, -EINVAL, "say: %s <namespace> <hash>[,<hash>…]%s%s", verb->name,
	               *verb->value ? " " : "", verb->value);
}

static bool split_hashes(struct wish *wish)
{
	char *rest = wish->hashes, *hash;

	while ((hash = strsep(&rest, ","))) {
		if (strlen(hash) != LF_HASH_CHARS || wish->count == KEYS_MAX)
			return false;
		wish->keys[wish->count++] = (struct lf_entry_key){ wish->namespace, hash };
	}
	return true;
}

static bool read_wish(struct wish *wish, const char *args)
{
	size_t namespace = strcspn(args, " "), hashes;
	const char *at = args + namespace + (args[namespace] == ' ');

	hashes = strcspn(at, " ");
	if (namespace == 0 || namespace > LF_NAMESPACE_MAX || hashes == 0 || hashes >= sizeof(wish->hashes))
		return false;
	(void)snprintf(wish->namespace, sizeof(wish->namespace), "%.*s", (int)namespace, args);
	(void)snprintf(wish->hashes, sizeof(wish->hashes), "%.*s", (int)hashes, at);
	wish->value = at + hashes + (at[hashes] == ' ');
	return split_hashes(wish);
}

static struct lf_text text_of(const char *text)
{
	return (struct lf_text){ text, strlen(text) };
}

static int take_value(const struct lf_flag_verb *verb, const char *value, struct lf_flag_change *change,
                      struct lf_error *err)
{
	uint64_t rule;

	change->what = verb->what;
	change->enabled = verb->enabled;
	if (verb->what == LF_FLAG_ENABLED)
		return *value ? say_how(verb, err) : 0;
	if (verb->what == LF_FLAG_POLICY) {
		change->policy = value;
		return lf_policy_parse(text_of(value), &rule, err);
	}
	if (!lf_tags_are_valid(text_of(value)))
		return say_how(verb, err);
	*(verb->enabled ? &change->tags_added : &change->tags_removed) = value;
	return 0;
}

static int set(struct lf_agent *agent, struct wish *wish, const struct lf_flag_change *change,
               struct lf_error *err)
{
	struct lf_error said;
	int published, missed;
	int rc = lf_store_set_flags(agent->store, wish->keys, wish->count, change, wish->changed, err);

	if (rc < 0)
		return rc;
	published = lf_agent_publish_now(agent, &said);
	if (change->what == LF_FLAG_TAGS) /* of which processes know nothing */
		return 0;
	missed = lf_publish_check(agent->store, lf_rundir_fd(agent->dir), wish->keys, wish->count,
	                          wish->missed, err);
	if (missed <= 0)
		return missed;
	if (published < 0)
		return lf_fail(err, published, "%s", said.text);
	return lf_fail(err, -EAGAIN, "store '%s' does not say so: try again", lf_store_path(agent->store));
}

int lf_agent_request_flags(struct lf_agent *agent, const struct lf_flag_verb *verb, const char *args,
                           struct lf_error *err)
{
	char writer[LF_WRITER_MAX];
	struct lf_flag_change change = { .writer = writer };
	struct wish *wish = calloc(1, sizeof(*wish));
	int rc;

	if (!wish)
		return lf_fail(err, -ENOMEM, "there is no memory for the flags");
	lf_flags_writer(writer);
	if (read_wish(wish, args))
		rc = take_value(verb, wish->value, &change, err);
	else
		rc = say_how(verb, err);
	if (rc == 0)
		rc = set(agent, wish, &change, err);
	free(wish);
	return rc;
}
