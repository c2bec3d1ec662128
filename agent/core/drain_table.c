#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/drain_internal.h"

/* The place of the name, or where it would stand. */
static size_t place_of(const struct lf_drain *drain, const char *name)
{
	size_t low = 0, high = drain->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(drain->segments[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct lf_drain_segment *lf_drain_find(struct lf_drain *drain, const char *name)
{
	size_t at = place_of(drain, name);

	if (at < drain->count && strcmp(drain->segments[at]->name, name) == 0)
		return drain->segments[at];
	return NULL;
}

struct lf_drain_segment *lf_drain_find_file(struct lf_drain *drain, const char *name)
{
	struct lf_drain_segment *segment = lf_drain_find(drain, name);

	if (segment || !drain->shared ||
	    faccessat(lf_rundir_segments_fd(drain->dir), name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return segment;
	segment = lf_drain_learn(drain, name);
	if (segment)
		segment->listed = true;
	return segment;
}

static int make_room(struct lf_drain *drain)
{
	size_t room = drain->room ? 2 * drain->room : 16;
	struct lf_drain_segment **grown;

	if (drain->count < drain->room)
		return 0;
	grown = realloc(drain->segments, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	drain->segments = grown;
	drain->room = room;
	return 0;
}

struct lf_drain_segment *lf_drain_learn(struct lf_drain *drain, const char *name)
{
	struct lf_drain_segment *segment = lf_drain_find(drain, name);
	size_t at = place_of(drain, name);

	if (segment)
		return segment;
	if (strlen(name) >= sizeof(segment->name) || make_room(drain) < 0)
		return NULL;
	segment = calloc(1, sizeof(*segment));
	if (!segment)
		return NULL;
	segment->watch = -1;
	(void)strcpy(segment->name, name);
	memmove(drain->segments + at + 1, drain->segments + at,
	        (drain->count - at) * sizeof(*drain->segments));
	drain->segments[at] = segment;
	drain->count++;
	return segment;
}

void lf_drain_forget(struct lf_drain *drain, bool (*is_over)(const struct lf_drain_segment *))
{
	size_t kept = 0;

	for (size_t i = 0; i < drain->count; i++) {
		struct lf_drain_segment *segment = drain->segments[i];

		if (!is_over(segment)) {
			drain->segments[kept++] = segment;
			continue;
		}
		lf_drain_release(drain, segment);
		lf_drain_drop_name(drain, segment);
		lf_owner_unwatch(&segment->watch);
		lf_reader_free(segment->reader);
		lf_counters_fini(&segment->drained);
		lf_drain_forget_folds(segment);
		free(segment);
	}
	drain->count = kept;
}

static bool is_segment_name(const char *name)
{
	size_t len = strlen(name), suffix = sizeof(LF_SEGMENT_SUFFIX) - 1;

	return len > suffix && strcmp(name + len - suffix, LF_SEGMENT_SUFFIX) == 0;
}

static int take_name(struct lf_drain *drain, const char *name)
{
	struct lf_drain_segment *segment = lf_drain_find(drain, name);
	struct lf_drain_user *owner = NULL;

	if (strlen(name) >= sizeof(segment->name)) {
		lf_drain_quarantine(drain, name, "its name is not a segment's");
		return 0;
	}
	if (!segment) {
		if (!lf_drain_takes_name(drain, name, &owner))
			return 0;
		segment = lf_drain_learn(drain, name);
		if (!segment)
			return -ENOMEM;
		lf_drain_keep_name(drain, segment, owner);
	}
	segment->listed = true;
	return 0;
}

int lf_drain_list(struct lf_drain *drain, struct lf_error *err)
{
	int fd = openat(lf_rundir_segments_fd(drain->dir), ".",
	                O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int rc = 0;

	if (!listing) {
		rc = -errno;
		if (fd >= 0)
			(void)close(fd);
		return lf_fail(err, rc, "directory '%s/segments' cannot be read: %s",
		               lf_rundir_path(drain->dir), strerror(-rc));
	}
	for (size_t i = 0; i < drain->count; i++)
		drain->segments[i]->listed = false;
	while (rc == 0 && (errno = 0, entry = readdir(listing)))
		if (is_segment_name(entry->d_name))
			rc = take_name(drain, entry->d_name);
	if (rc == 0 && errno)
		rc = -errno;
	(void)closedir(listing);
	return rc < 0 ? lf_fail(err, rc, "directory '%s/segments' cannot be read: %s",
	                        lf_rundir_path(drain->dir), strerror(-rc)) : 0;
}

static bool was_counted(struct lf_drain_segment *const *segments, size_t before, uint32_t pid)
{
	for (size_t i = 0; i < before; i++)
		if (segments[i]->of_asked_run && segments[i]->owner.pid == pid)
			return true;
	return false;
}

/* exec leaves a segment behind under the same pid: one process, counted once. */
unsigned lf_drain_living(const struct lf_drain *drain, uint64_t run_id)
{
	unsigned living = 0;

	for (size_t i = 0; i < drain->count; i++) {
		struct lf_drain_segment *segment = drain->segments[i];
		struct lf_reader_header header;

		segment->of_asked_run = false;
		if (!segment->listed || !segment->reader)
			continue;
		header = lf_reader_header(segment->reader);
		if (header.run_id != run_id ||
		    lf_owner_is_dead(&drain->host, &segment->owner, header.pid_namespace))
			continue;
		living += !was_counted(drain->segments, i, segment->owner.pid);
		segment->of_asked_run = true;
	}
	return living;
}
