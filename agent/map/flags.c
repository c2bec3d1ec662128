#include "agent/map/flags.h"

#include <string.h>

#include "agent/map/reserve.h"
#include "hashing/decimal.h"
#include "hashing/sys.h"

uint64_t lf_flags_namespace_key(const char *namespace)
{
	uint64_t key = UINT64_C(0xcbf29ce484222325);

	for (; *namespace; namespace++)
		key = (key ^ (uint8_t)*namespace) * UINT64_C(0x100000001b3);
	return key;
}

/* Reserves an empty table in a file that nobody can see yet. */
static int fill_new(int fd)
{
	struct {
		uint64_t magic;
		uint32_t layout, cells_count;
	} head = { LF_FLAGS_MAGIC, LF_FLAGS_LAYOUT, LF_FLAGS_CELLS };
	int rc = lf_reserve(fd, 0, sizeof(struct lf_flags));

	if (rc < 0)
		return rc;
	return lf_sys_pwrite(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) ? 0 : -EIO;
}

/* An unnamed file becomes `flags` by link(2), complete or not at all.  Who loses the race takes
 * the winner's file.  Where the file system knows no O_TMPFILE there is no table before an agent's
 * directory is on one that does. */
static int create(int dirfd)
{
	char self[sizeof("/proc/self/fd/") + LF_DECIMAL_MAX] = "/proc/self/fd/";
	int fd = lf_sys_openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return fd;
	rc = fill_new(fd);
	if (rc < 0)
		goto out;
	*lf_decimal_put(self + strlen(self), (uint64_t)fd) = '\0';
	rc = (int)lf_sys_call6(SYS_linkat, AT_FDCWD, (long)self, dirfd, (long)LF_FLAGS_FILE,
	                       AT_SYMLINK_FOLLOW, 0);
	if (rc == -EEXIST)
		rc = 0;
out:
	(void)lf_sys_close(fd);
	return rc;
}

static int open_table(int dirfd, int writable)
{
	int mode = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW;
	int fd = lf_sys_openat(dirfd, LF_FLAGS_FILE, mode, 0);

	if (fd == -ENOENT) {
		int rc = create(dirfd);

		if (rc < 0)
			return rc;
		fd = lf_sys_openat(dirfd, LF_FLAGS_FILE, mode, 0);
	}
	return fd;
}

static int map_table(int fd, int writable, struct lf_flags **out)
{
	struct stat st;
	struct lf_flags *flags;
	void *memory;
	int rc = lf_sys_fstat(fd, &st);

	if (rc < 0)
		return rc;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct lf_flags))
		return -EBADMSG;
	rc = lf_sys_mmap(NULL, sizeof(struct lf_flags), PROT_READ | (writable ? PROT_WRITE : 0),
	                 MAP_SHARED, fd, 0, &memory);
	if (rc < 0)
		return rc;
	flags = memory;
	if (flags->magic != LF_FLAGS_MAGIC || flags->layout != LF_FLAGS_LAYOUT ||
	    flags->cells_count != LF_FLAGS_CELLS) {
		lf_flags_unmap(flags);
		return -EBADMSG;
	}
	*out = flags;
	return 0;
}

static struct lf_flags *try_to_map(int dirfd, int writable, int *rc)
{
	struct lf_flags *flags = NULL;
	int fd = open_table(dirfd, writable);

	if (fd < 0) {
		*rc = fd;
		return NULL;
	}
	*rc = map_table(fd, writable, &flags);
	(void)lf_sys_close(fd);
	return flags;
}

struct lf_flags *lf_flags_map(int dirfd, int writable, int *rc)
{
	struct lf_flags *flags = try_to_map(dirfd, writable, rc);

	/* Of another version of logfold: its processes keep their mapping, new ones get a table of ours. */
	if (*rc == -EBADMSG && writable &&
	    lf_sys_unlinkat(dirfd, LF_FLAGS_FILE, 0) == 0)
		flags = try_to_map(dirfd, writable, rc);
	return flags;
}

void lf_flags_unmap(struct lf_flags *flags)
{
	if (flags)
		(void)lf_sys_munmap(flags, sizeof(*flags));
}

static uint32_t place_of(const struct lf_id *id)
{
	uint32_t start;

	memcpy(&start, id->bytes, sizeof(start));
	return start % LF_FLAGS_CELLS;
}

/* Of the entry itself; 0: it has none. */
static uint64_t find_own(const struct lf_flags *flags, const struct lf_id *id,
                         uint64_t namespace_key)
{
	uint32_t at = place_of(id);

	for (unsigned tries = 0; tries < LF_FLAGS_CELLS; tries++, at = (at + 1) % LF_FLAGS_CELLS) {
		const struct lf_flags_cell *cell = &flags->cells[at];

		if (!cell->rule)
			break;
		if (cell->namespace_key == namespace_key &&
		    memcmp(cell->id, id->bytes, LF_ID_BYTES) == 0)
			return cell->rule;
	}
	return 0;
}

/* A new generation has every process look up every entry again: not for nothing. */
static int says_so(const struct lf_flags *flags, const struct lf_flags_row *rows, size_t count)
{
	if (atomic_load_explicit(&flags->generation, memory_order_relaxed) & 1 ||
	    atomic_load_explicit(&flags->rows, memory_order_relaxed) != count)
		return 0;
	for (size_t i = 0; i < count; i++)
		if (find_own(flags, &rows[i].id, rows[i].namespace_key) != rows[i].rule)
			return 0;
	return 1;
}

static void begin_writing(_Atomic uint32_t *generation)
{
	uint32_t odd = atomic_load_explicit(generation, memory_order_relaxed) | 1;

	/* Odd first, and ordered before what is written; pairs with the fences in lf_flags_look_up() and
	 * try_text(). */
	atomic_store_explicit(generation, odd, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

static void end_writing(_Atomic uint32_t *generation)
{
	/* Release: who sees the even generation sees what was written. */
	atomic_fetch_add_explicit(generation, 1, memory_order_release);
}

int lf_flags_publish(struct lf_flags *flags, const struct lf_flags_row *rows, size_t count)
{
	if (count > LF_FLAGS_ROWS_MAX)
		return -ENOSPC;
	if (says_so(flags, rows, count))
		return 0;
	begin_writing(&flags->generation);
	memset(flags->cells, 0, sizeof(flags->cells));
	for (size_t i = 0; i < count; i++) {
		uint32_t at = place_of(&rows[i].id);

		while (flags->cells[at].rule)
			at = (at + 1) % LF_FLAGS_CELLS;
		memcpy(flags->cells[at].id, rows[i].id.bytes, LF_ID_BYTES);
		flags->cells[at].namespace_key = rows[i].namespace_key;
		flags->cells[at].rule = rows[i].rule;
	}
	atomic_store_explicit(&flags->rows, (uint32_t)count, memory_order_relaxed);
	end_writing(&flags->generation);
	return 0;
}

/* What does not fit is left out. */
static void put_text(char *room, size_t size, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	memset(room, 0, size);
	if (len < size)
		memcpy(room, text, len);
}

static void put_texts(struct lf_flags *flags, const char *namespace, const char *skip_frames)
{
	begin_writing(&flags->texts);
	put_text(flags->namespace, LF_NAMESPACE_MAX + 1, namespace);
	put_text(flags->skip_frames, sizeof(flags->skip_frames), skip_frames);
	end_writing(&flags->texts);
}

void lf_flags_set_defaults(struct lf_flags *flags, const struct lf_flags_defaults *defaults)
{
	const char *skip = defaults->skip_frames ? defaults->skip_frames : "";

	atomic_store_explicit(&flags->entries_max, defaults->entries_max, memory_order_relaxed);
	atomic_store_explicit(&flags->fold_grace_ms, defaults->fold_grace_ms, memory_order_relaxed);
	if (atomic_load_explicit(&flags->texts, memory_order_relaxed) & 1 ||
	    strcmp(flags->namespace, defaults->namespace) != 0 ||
	    strcmp(flags->skip_frames, skip) != 0)
		put_texts(flags, defaults->namespace, skip);
	if (atomic_load_explicit(&flags->default_rule, memory_order_relaxed) == defaults->rule)
		return;
	begin_writing(&flags->generation);
	atomic_store_explicit(&flags->default_rule, defaults->rule, memory_order_relaxed);
	end_writing(&flags->generation);
}

/* False while the texts are being written. */
static int try_text(const struct lf_flags *flags, const char *room, char *out, size_t size)
{
	uint32_t before = atomic_load_explicit(&flags->texts, memory_order_acquire);

	if (before & 1)
		return 0;
	memcpy(out, room, size - 1);
	out[size - 1] = '\0';
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&flags->texts, memory_order_relaxed) == before;
}

/* Writing them takes less than a microsecond.  Of a writer that was killed just then nobody waits for the end:
 * the texts say nothing until the next one. */
static int get_text(const struct lf_flags *flags, const char *room, char *out, size_t size)
{
	enum { TRIES = 10000 };

	for (unsigned tries = 0; tries < TRIES; tries++)
		if (try_text(flags, room, out, size))
			return out[0] != '\0';
	return 0;
}

int lf_flags_namespace(const struct lf_flags *flags, char out[LF_NAMESPACE_MAX + 1])
{
	return get_text(flags, flags->namespace, out, LF_NAMESPACE_MAX + 1);
}

int lf_flags_skip_frames(const struct lf_flags *flags, char out[LF_SKIP_FRAMES_MAX])
{
	return get_text(flags, flags->skip_frames, out, LF_SKIP_FRAMES_MAX);
}

int lf_flags_look_up(const struct lf_flags *flags, const struct lf_id *id, uint64_t namespace_key,
                     uint32_t *generation, uint64_t *rule)
{
	uint32_t before = atomic_load_explicit(&flags->generation, memory_order_acquire);

	if (before & 1)
		return -EAGAIN;
	*rule = find_own(flags, id, namespace_key);
	if (*rule == 0)
		*rule = atomic_load_explicit(&flags->default_rule, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&flags->generation, memory_order_relaxed) != before)
		return -EAGAIN;
	*generation = before;
	return 0;
}

int lf_flags_has_own(const struct lf_flags *flags, const struct lf_id *id, uint64_t namespace_key)
{
	uint32_t generation;
	uint64_t rule;

	return find_own(flags, id, namespace_key) != 0 &&
	       lf_flags_look_up(flags, id, namespace_key, &generation, &rule) == 0 && rule != 0;
}
