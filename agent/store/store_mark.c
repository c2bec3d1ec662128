/* How far the store has been, noted beside it: `<store>.mark`, one line of incarnation and sequence.
 *
 * A database that is copied back over itself keeps device and inode, and nothing in it tells that it has
 * been further.  Were it to go on under its incarnation, what it counts from then on would be taken for
 * what the tiers know already, and be lost there.  So each commit is noted here after it is safe, and
 * whoever opens the store compares.  A note that is older than the store, as after a crash, says nothing,
 * and so does one that is missing: then the run directories' stamps and the tiers may still know.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/store/internal.h"

#define FORMAT "%-36s %20llu\n"

enum { MARK_BYTES = LF_UUID_CHARS + 1 + 20 + 1 };

static bool read_mark(const struct lf_store *store, char uuid[LF_UUID_CHARS + 1],
		      unsigned long long *sequence)
{
	char line[MARK_BYTES + 1];
	ssize_t got = pread(store->mark_fd, line, MARK_BYTES, 0);

	if (got != MARK_BYTES)
		return false;
	line[MARK_BYTES] = '\0';
	return sscanf(line, "%36s %20llu", uuid, sequence) == 2 && strlen(uuid) == LF_UUID_CHARS;
}

void lf_store_write_mark(const struct lf_store *store)
{
	char line[MARK_BYTES + 1];

	if (store->mark_fd < 0)
		return;
	(void)snprintf(line, sizeof(line), FORMAT, store->uuid, (unsigned long long)store->sequence);
	/* Without it only the comparison is weaker. */
	if (pwrite(store->mark_fd, line, MARK_BYTES, 0) != MARK_BYTES)
		return;
}

static int compare(struct lf_store *store, const char *uuid, uint64_t sequence, struct lf_error *err)
{
	enum lf_history history;
	int rc = lf_store_history(store, uuid, sequence, &history, err);

	if (rc < 0 || history != LF_HISTORY_FOREIGN)
		return rc;
	rc = lf_store_mint(store, "the store was set back", err);
	return rc < 0 ? rc : lf_store_note_foreign(store, uuid, err);
}

int lf_store_check_mark(struct lf_store *store, struct lf_error *err)
{
	char path[PATH_MAX + 8], uuid[LF_UUID_CHARS + 1];
	unsigned long long sequence;
	int rc = 0;

	if (strcmp(store->path, LF_STORE_MEMORY) == 0)
		return lf_store_get_uuid(store, store->uuid, err);
	(void)snprintf(path, sizeof(path), "%s.mark", store->path);
	store->mark_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* Read before the store's own numbers: another program may be committing just now.  A store that has
	 * its incarnation from this opening is no further than it says. */
	if (store->mark_fd >= 0 && !store->minted && read_mark(store, uuid, &sequence))
		rc = compare(store, uuid, sequence, err);
	return rc < 0 ? rc : lf_store_get_uuid(store, store->uuid, err);
}
