/* One directory for many users: whose segments count, and how much of the agent one user may take. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/drain_internal.h"

enum {
	USERS_MAX = 4096,
	STRANGERS_MAX = 256, /* pairs of user and namespace; more of them are left in silence */
};

void lf_drain_users_close(struct lf_drain *drain)
{
	while (drain->users) {
		struct lf_drain_user *user = drain->users;

		drain->users = user->next;
		free(user);
	}
	free(drain->strangers);
}

/* NULL without memory, or when there are too many. */
static struct lf_drain_user *user_of(struct lf_drain *drain, uid_t uid)
{
	struct lf_drain_user *user;
	unsigned count = 0;

	for (user = drain->users; user; user = user->next, count++)
		if (user->uid == uid)
			return user;
	user = count < USERS_MAX ? calloc(1, sizeof(*user)) : NULL;
	if (!user)
		return NULL;
	user->uid = uid;
	user->next = drain->users;
	drain->users = user;
	return user;
}

static bool is_stranger(uid_t uid)
{
	return uid != geteuid() && uid != 0;
}

/* ---- How much ---- */

static bool too_many_names(const struct lf_drain *drain, const struct lf_drain_user *user)
{
	return user->names >= LF_DRAIN_USER_SEGMENTS || drain->all.names >= LF_DRAIN_ALL_SEGMENTS;
}

static void add(struct lf_drain_user *user, unsigned segments, uint64_t bytes)
{
	user->segments += segments;
	user->bytes += bytes;
}

void lf_drain_release(struct lf_drain *drain, struct lf_drain_segment *segment)
{
	if (!segment->user)
		return;
	add(segment->user, (unsigned)-1, -segment->bytes);
	add(&drain->all, (unsigned)-1, -segment->bytes);
	segment->user = NULL;
	segment->bytes = 0;
}

static bool fits(const struct lf_drain *drain, const struct lf_drain_user *user, uint64_t bytes)
{
	return user->segments < LF_DRAIN_USER_SEGMENTS &&
	       user->bytes + bytes <= LF_DRAIN_USER_BYTES &&
	       drain->all.segments < LF_DRAIN_ALL_SEGMENTS &&
	       drain->all.bytes + bytes <= LF_DRAIN_ALL_BYTES;
}

static void tell_too_much(const struct lf_drain *drain, struct lf_drain_user *user)
{
	if (!user->told)
		lf_say(&drain->options.reporter,
		       "user %u has more in '%s/segments' than this agent takes from one user (%d processes, "
		       "%d MiB) or from all: the rest waits until some of them end", (unsigned)user->uid,
		       lf_rundir_path(drain->dir), LF_DRAIN_USER_SEGMENTS,
		       LF_DRAIN_USER_BYTES / (1024 * 1024));
	user->told = true;
}

bool lf_drain_admits(struct lf_drain *drain, struct lf_drain_segment *segment)
{
	struct lf_drain_user *user;
	struct stat st;

	if (!drain->shared)
		return true;
	/* What cannot be looked at, or be a segment, the reader tells. */
	if (fstatat(lf_rundir_segments_fd(drain->dir), segment->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !is_stranger(st.st_uid) || st.st_size > (off_t)LF_CHUNKS_MAX * LF_CHUNK_BYTES)
		return true;
	user = user_of(drain, st.st_uid);
	if (!user)
		return false;
	lf_drain_release(drain, segment);
	if (!fits(drain, user, (uint64_t)st.st_size)) {
		tell_too_much(drain, user);
		return false;
	}
	segment->user = user;
	segment->bytes = (uint64_t)st.st_size;
	add(user, 1, segment->bytes);
	add(&drain->all, 1, segment->bytes);
	return true;
}

bool lf_drain_takes_name(struct lf_drain *drain, const char *name, struct lf_drain_user **owner)
{
	struct stat st;

	*owner = NULL;
	if (!drain->shared ||
	    fstatat(lf_rundir_segments_fd(drain->dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !is_stranger(st.st_uid))
		return true;
	*owner = user_of(drain, st.st_uid);
	if (!*owner)
		return false;
	if (!too_many_names(drain, *owner))
		return true;
	tell_too_much(drain, *owner);
	return false;
}

void lf_drain_keep_name(struct lf_drain *drain, struct lf_drain_segment *segment,
                        struct lf_drain_user *owner)
{
	segment->named = owner;
	if (!owner)
		return;
	owner->names++;
	drain->all.names++;
}

void lf_drain_drop_name(struct lf_drain *drain, struct lf_drain_segment *segment)
{
	if (!segment->named)
		return;
	segment->named->names--;
	drain->all.names--;
	segment->named = NULL;
}

bool lf_drain_tells_waiting(struct lf_drain *drain, struct lf_drain_segment *segment)
{
	struct lf_drain_user *user = segment->named;

	if (!user)
		return true;
	if (user->waiting == LF_DRAIN_USER_QUARANTINED)
		lf_say(&drain->options.reporter,
		       "user %u has more in '%s/segments' that cannot be read: from here on it is not told",
		       (unsigned)user->uid, lf_rundir_path(drain->dir));
	return user->waiting++ < LF_DRAIN_USER_QUARANTINED;
}

bool lf_drain_keeps_quarantined(struct lf_drain *drain, const char *name)
{
	struct lf_drain_user *user;
	struct stat st;

	if (!drain->shared ||
	    fstatat(lf_rundir_segments_fd(drain->dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !is_stranger(st.st_uid))
		return true;
	user = user_of(drain, st.st_uid);
	if (!user)
		return false;
	if (user->quarantined == LF_DRAIN_USER_QUARANTINED)
		lf_say(&drain->options.reporter,
		       "user %u goes on putting what is no segment into '%s/segments': from here on it is "
		       "removed and not told", (unsigned)user->uid, lf_rundir_path(drain->dir));
	return user->quarantined++ < LF_DRAIN_USER_QUARANTINED;
}

/* ---- Whose ---- */

static bool was_told(const struct lf_drain *drain, uid_t uid, const char *namespace)
{
	for (size_t i = 0; i < drain->strangers_count; i++)
		if (drain->strangers[i].uid == uid &&
		    strcmp(drain->strangers[i].namespace, namespace) == 0)
			return true;
	return false;
}

static void tell_not_accepted(struct lf_drain *drain, uid_t uid, const char *namespace)
{
	struct lf_drain_stranger *grown;

	if (drain->strangers_count == STRANGERS_MAX || was_told(drain, uid, namespace))
		return;
	grown = reallocarray(drain->strangers, drain->strangers_count + 1, sizeof(*grown));
	if (!grown)
		return;
	drain->strangers = grown;
	grown[drain->strangers_count].uid = uid;
	(void)strcpy(grown[drain->strangers_count++].namespace, namespace);
	lf_say(&drain->options.reporter,
	       "what user %u prints in namespace '%s' is not counted, as agent.toml does not allow it: add "
	       "\"%u:%s\" to namespaces", (unsigned)uid, namespace, (unsigned)uid, namespace);
}

static void ask(struct lf_drain *drain, struct lf_drain_segment *segment)
{
	struct lf_reader_header header = lf_reader_header(segment->reader);
	const struct lf_drain_options *options = &drain->options;

	(void)snprintf(segment->namespace, sizeof(segment->namespace), "%s", header.namespace);
	segment->admission = LF_DRAIN_ACCEPTED;
	if (!options->accepts || options->accepts(options->accepts_arg, header.uid, header.namespace))
		return;
	segment->admission = LF_DRAIN_NOT_ACCEPTED;
	tell_not_accepted(drain, header.uid, header.namespace);
}

int lf_drain_is_accepted(struct lf_drain *drain, struct lf_drain_segment *segment, bool *accepted,
                         struct lf_error *err)
{
	if (segment->namespace[0] &&
	    strcmp(segment->namespace, lf_reader_header(segment->reader).namespace) != 0)
		return lf_fail(err, -EBADMSG, "its namespace changed");
	if (segment->admission == LF_DRAIN_UNASKED)
		ask(drain, segment);
	*accepted = segment->admission == LF_DRAIN_ACCEPTED;
	return 0;
}

void lf_drain_accept_anew(struct lf_drain *drain)
{
	for (size_t i = 0; i < drain->count; i++)
		drain->segments[i]->admission = LF_DRAIN_UNASKED;
	drain->strangers_count = 0;
}
