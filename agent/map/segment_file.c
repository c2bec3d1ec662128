#include "agent/map/segment_file.h"

#include <string.h>

#include "agent/map/process_id.h"
#include "agent/map/reserve.h"
#include "agent/map/run_dir.h"
#include "hashing/sys.h"

uint64_t lf_segment_now_ms(void)
{
	struct timespec now = { 0 };

	(void)lf_sys_clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int reserve_and_map(int fd, uint32_t n, char **out)
{
	off_t offset = (off_t)n * LF_CHUNK_BYTES;
	void *memory;
	int rc = lf_reserve(fd, offset, LF_CHUNK_BYTES);

	if (rc < 0)
		return rc;
	rc = lf_sys_mmap(NULL, LF_CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset,
	                 &memory);
	if (rc == 0)
		*out = memory;
	return rc;
}

/* Appends to a buffer of `size` bytes with a NUL; false when it does not fit. */
static bool append(char *out, size_t size, const char *text)
{
	size_t have = strlen(out), more = strlen(text);

	if (have + more + 1 > size)
		return false;
	memcpy(out + have, text, more + 1);
	return true;
}

static int name_file(struct lf_segment_file *file, const char *run_dir,
                     const struct lf_process_id *self)
{
	char name[LF_SEGMENT_NAME_MAX];
	uint8_t random[16];
	ssize_t got = lf_sys_getrandom(random, sizeof(random), 0);

	if (got != (ssize_t)sizeof(random))
		return got < 0 ? (int)got : -EIO;
	lf_process_id_name(self, random, name);
	file->path[0] = '\0';
	if (!append(file->path, sizeof(file->path), run_dir) ||
	    !append(file->path, sizeof(file->path), "/" LF_SEGMENTS_DIR "/") ||
	    !append(file->path, sizeof(file->path), name))
		return -ENAMETOOLONG;
	return 0;
}

/* Through the directory that was checked: whoever owns a shared one must not be able to have us make a
 * file elsewhere, by a link in the place of `segments`. */
static int create_in(const char *run_dir, const char *name, enum lf_run_dir_kind *kind)
{
	int fd, dirfd = lf_run_dir_open_segments(run_dir, kind);

	if (dirfd < 0)
		return dirfd;
	fd = lf_sys_openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	(void)lf_sys_close(dirfd);
	return fd;
}

static void fill_header(struct lf_segment *segment, const struct lf_process_id *self,
                        const struct lf_segment_facts *facts, const char program[64])
{
	const char *namespace = facts->namespace;

	segment->layout = LF_SEGMENT_LAYOUT;
	segment->chunk_bytes = LF_CHUNK_BYTES;
	atomic_store_explicit(&segment->chunks, 1, memory_order_relaxed);
	segment->pid = self->pid;
	segment->pid_namespace = self->pid_namespace;
	segment->start_time = self->start_time;
	segment->created_ms = lf_segment_now_ms();
	segment->run_id = facts->run_id;
	memcpy(segment->namespace, namespace, strnlen(namespace, LF_NAMESPACE_MAX));
	memcpy(segment->program, program, sizeof(segment->program));
	/* Release: who sees the magic sees the header. */
	atomic_store_explicit(&segment->magic, LF_SEGMENT_MAGIC, memory_order_release);
}

/* In a shared directory the daemon reads by its group, which the creator's umask may have kept out. */
static void let_group_read(int fd, const struct stat *st, enum lf_run_dir_kind kind)
{
	if (kind == LF_RUN_DIR_SHARED && !(st->st_mode & S_IRGRP))
		(void)lf_sys_fchmod(fd, 0640);
}

int lf_segment_file_create(struct lf_segment_file *file, const char *run_dir,
                           const struct lf_segment_facts *facts, struct lf_segment **out)
{
	char program[sizeof((*out)->program)];
	enum lf_run_dir_kind kind;
	struct lf_process_id self;
	struct stat st;
	char *mapped;
	int fd, rc;

	lf_process_id_read(&self, facts->owner_pid);
	lf_process_program(program, sizeof(program), file->path, sizeof(file->path));
	rc = name_file(file, run_dir, &self);
	if (rc < 0)
		return rc;
	fd = create_in(run_dir, file->path + strlen(run_dir) + strlen("/" LF_SEGMENTS_DIR "/"), &kind);
	if (fd < 0)
		return fd;
	rc = lf_sys_fstat(fd, &st);
	if (rc < 0)
		goto remove;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	let_group_read(fd, &st, kind);
	rc = reserve_and_map(fd, 0, &mapped);
	if (rc == -ENOSPC)
		goto out; /* the empty file tells the agent */
	if (rc < 0)
		goto remove;
	*out = (struct lf_segment *)mapped;
	fill_header(*out, &self, facts, program);
	goto out;
remove:
	(void)lf_sys_unlinkat(AT_FDCWD, file->path, 0);
out:
	(void)lf_sys_close(fd);
	return rc;
}

int lf_segment_file_grow(const struct lf_segment_file *file, uint32_t n, char **out)
{
	struct stat st;
	int fd = lf_sys_open(file->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
	int rc;

	if (fd < 0)
		return fd;
	rc = lf_sys_fstat(fd, &st);
	if (rc == 0 && (st.st_dev != file->dev || st.st_ino != file->ino))
		rc = -ESTALE;
	if (rc == 0)
		rc = reserve_and_map(fd, n, out);
	(void)lf_sys_close(fd);
	return rc;
}

void lf_segment_file_remove(const struct lf_segment_file *file)
{
	(void)lf_sys_unlinkat(AT_FDCWD, file->path, 0);
}
