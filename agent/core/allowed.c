#include "agent/core/allowed.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logfold/entry.h"
#include "hashing/namespace.h"

struct rule {
	bool any_user;
	uid_t uid;
	char namespace[LF_NAMESPACE_MAX + 1]; /* or a star */
};

struct lf_allowed {
	size_t count;
	struct rule rules[];
};

void lf_allowed_free(struct lf_allowed *allowed)
{
	free(allowed);
}

/* ---- Reading ---- */

static bool is_number(const char *text, uid_t *out)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoul(text, &end, 10);
	/* (uid_t)-1 is nobody's. */
	if (*end || errno || number >= (uid_t)-1)
		return false;
	*out = (uid_t)number;
	return true;
}

/* A name comes before a number, as in chown(1). */
static int find_user(const char *name, uid_t *out, struct lf_error *err)
{
	long size = sysconf(_SC_GETPW_R_SIZE_MAX);
	size_t room = size > 0 ? (size_t)size : 16384;
	struct passwd entry, *found = NULL;
	char *text = malloc(room);
	int code;

	while (text && (code = getpwnam_r(name, &entry, text, room, &found)) == ERANGE) {
		char *larger = reallocarray(text, 2, room);

		if (!larger)
			break;
		text = larger;
		room *= 2;
	}
	if (found)
		*out = found->pw_uid;
	free(text);
	if (found || is_number(name, out))
		return 0;
	return lf_fail(err, -EINVAL, "there is no user '%.64s': correct namespaces, or give the number",
	               name);
}

static int read_rule(struct rule *out, const char *pattern, struct lf_error *err)
{
	const char *colon = strchr(pattern, ':');
	const char *namespace = colon ? colon + 1 : pattern;
	size_t len = strlen(namespace), user_len = colon ? (size_t)(colon - pattern) : 0;
	char user[256];

	if (len == 0 || len > LF_NAMESPACE_MAX ||
	    (strspn(namespace, LF_NAMESPACE_CHARS) != len && strcmp(namespace, "*") != 0) ||
	    (colon && (user_len == 0 || user_len >= sizeof(user))))
		return lf_fail(err, -EINVAL, "'%.128s' in namespaces is neither NAMESPACE nor "
		                             "USER:NAMESPACE, where a namespace is 1 to %d of letters, "
		                             "digits, '.', '_' and '-', or '*'", pattern, LF_NAMESPACE_MAX);
	*out = (struct rule){ .any_user = !colon };
	memcpy(out->namespace, namespace, len + 1);
	if (!colon)
		return 0;
	memcpy(user, pattern, user_len);
	user[user_len] = '\0';
	out->any_user = strcmp(user, "*") == 0;
	return out->any_user ? 0 : find_user(user, &out->uid, err);
}

int lf_allowed_new(struct lf_allowed **out, const char *const *patterns, size_t count,
                   struct lf_error *err)
{
	struct lf_allowed *allowed = calloc(1, sizeof(*allowed) + count * sizeof(allowed->rules[0]));
	int rc = 0;

	if (!allowed)
		return lf_fail(err, -ENOMEM, "there is no memory for namespaces");
	allowed->count = count;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = read_rule(&allowed->rules[i], patterns[i], err);
	if (rc < 0)
		lf_allowed_free(allowed);
	else
		*out = allowed;
	return rc;
}

/* ---- Judging ---- */

bool lf_allowed_is(void *arg, uid_t uid, const char *namespace)
{
	const struct lf_allowed *allowed = arg;

	if (!allowed || allowed->count == 0)
		return true;
	for (size_t i = 0; i < allowed->count; i++) {
		const struct rule *rule = &allowed->rules[i];

		if ((rule->any_user || rule->uid == uid) &&
		    (strcmp(rule->namespace, "*") == 0 || strcmp(rule->namespace, namespace) == 0))
			return true;
	}
	return false;
}
