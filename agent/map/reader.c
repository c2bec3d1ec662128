#include "agent/map/reader_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hashing/entry_id.h"
#include "hashing/utf8.h"

int lf_reader_new(struct lf_reader **out, const char *name, enum lf_reader_owner owner)
{
	struct lf_reader *reader;

	if (strlen(name) >= sizeof(reader->name))
		return -ENAMETOOLONG;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	reader->fd = -1;
	reader->owner = owner;
	memcpy(reader->name, name, strlen(name));
	*out = reader;
	return 0;
}

void lf_reader_free(struct lf_reader *reader)
{
	if (!reader)
		return;
	lf_reader_rest(reader);
	for (uint32_t c = 0; c < reader->chunks; c++)
		free(reader->chunk[c].slot);
	free(reader->chunk);
	lf_counters_fini(&reader->counters);
	free(reader);
}

void lf_reader_rest(struct lf_reader *reader)
{
	if (reader->fd >= 0)
		(void)close(reader->fd);
	reader->fd = -1;
}

bool lf_reader_had_no_room(const struct lf_reader *reader)
{
	return reader->st.st_size == 0;
}

uint64_t lf_reader_age_ms(const struct lf_reader *reader, uint64_t now_ms)
{
	uint64_t changed_ms = (uint64_t)reader->st.st_ctim.tv_sec * 1000 +
	                      (uint64_t)reader->st.st_ctim.tv_nsec / 1000000;

	return now_ms > changed_ms ? now_ms - changed_ms : 0;
}

struct lf_reader_header lf_reader_header(const struct lf_reader *reader)
{
	return (struct lf_reader_header){
		.namespace = reader->header.namespace,
		.pid_namespace = reader->header.pid_namespace,
		.created_ms = reader->header.created_ms,
		.run_id = reader->header.run_id,
		.uid = reader->st.st_uid,
	};
}

const struct lf_counters *lf_reader_counters(const struct lf_reader *reader)
{
	return &reader->counters;
}

const struct lf_slot_facts *lf_reader_slot(const struct lf_reader *reader, uint32_t chunk,
                                          uint32_t index)
{
	if (chunk >= reader->chunks || index >= reader->chunk[chunk].slots)
		return NULL;
	return reader->chunk[chunk].slot[index].ready ? &reader->chunk[chunk].slot[index] : NULL;
}

const struct lf_id *lf_reader_id(const struct lf_reader *reader, uint32_t chunk, uint32_t index)
{
	const struct lf_slot_facts *slot = lf_reader_slot(reader, chunk, index);

	return slot ? &slot->id : NULL;
}

uint64_t lf_reader_first_seen_ms(const struct lf_reader *reader, uint32_t chunk, uint32_t index)
{
	const struct lf_slot_facts *slot = lf_reader_slot(reader, chunk, index);

	return slot ? slot->first_seen_ms : 0;
}

uint64_t lf_reader_policed(const struct lf_reader *reader, uint32_t chunk, uint32_t index)
{
	const struct lf_slot_facts *slot = lf_reader_slot(reader, chunk, index);

	return slot ? slot->policed : 0;
}

int lf_reader_bad(const char *reason, struct lf_error *err)
{
	return lf_fail(err, -EBADMSG, "%s", reason);
}

int lf_reader_exactly(const struct lf_reader *reader, void *out, size_t bytes, off_t offset,
                        struct lf_error *err)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t got = pread(reader->fd, (char *)out + done, bytes - done,
		                    offset + (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return lf_fail(err, -errno, "it cannot be read: %s", strerror(errno));
		if (got == 0)
			return lf_reader_bad("it was cut off", err);
		done += (size_t)got;
	}
	return 0;
}

/* ---- The file and its header ---- */

static int check_file(struct lf_reader *reader, struct lf_error *err)
{
	struct stat st;

	if (fstat(reader->fd, &st) < 0)
		return lf_fail(err, -errno, "it cannot be examined: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return lf_reader_bad("it is not a regular file", err);
	if (reader->owner == LF_READER_OURS && st.st_uid != geteuid() && geteuid() != 0)
		return lf_reader_bad("it belongs to another user", err);
	/* A link to somebody else's segment would count it a second time. */
	if (reader->owner == LF_READER_ANYBODY && st.st_nlink > 1)
		return lf_reader_bad("the file has other names", err);
	if (reader->known && st.st_uid != reader->st.st_uid)
		return lf_reader_bad("its owner changed", err);
	if (reader->known && (st.st_dev != reader->st.st_dev || st.st_ino != reader->st.st_ino))
		return lf_reader_bad("it was replaced by another file", err);
	if (st.st_size > (off_t)LF_CHUNKS_MAX * LF_CHUNK_BYTES)
		return lf_reader_bad("it is larger than a segment can be", err);
	reader->st = st;
	reader->known = true;
	return 0;
}

static int open_file(struct lf_reader *reader, int dirfd, struct lf_error *err)
{
	/* Not blocking: what is a fifo must not hold the agent up. */
	int fd = openat(dirfd, reader->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == ELOOP)
		return lf_reader_bad("it is a symbolic link", err);
	if (fd < 0 && errno == ENXIO)
		return lf_reader_bad("it is not a regular file", err); /* a socket cannot be opened at all */
	if (fd < 0)
		return lf_fail(err, -errno, "it cannot be opened: %s", strerror(errno));
	lf_reader_rest(reader);
	reader->fd = fd;
	return check_file(reader, err);
}

static bool is_namespace(const char *name, size_t room)
{
	size_t len = strnlen(name, room);

	if (len == 0 || len > LF_NAMESPACE_MAX || len == room)
		return false;
	for (; *name; name++)
		if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
		      (*name >= '0' && *name <= '9') || *name == '.' || *name == '_' || *name == '-'))
			return false;
	return true;
}

static int check_header(const struct lf_segment *header, struct lf_error *err)
{
	if (header->layout != LF_SEGMENT_LAYOUT)
		return lf_fail(err, -EBADMSG, "its layout is number %u, this program knows %d",
		               header->layout, LF_SEGMENT_LAYOUT);
	if (header->chunk_bytes != LF_CHUNK_BYTES)
		return lf_reader_bad("its chunks have another size", err);
	if (header->chunks == 0 || header->chunks > LF_CHUNKS_MAX)
		return lf_reader_bad("its number of chunks is impossible", err);
	if (!is_namespace(header->namespace, sizeof(header->namespace)))
		return lf_reader_bad("its namespace is not a valid name", err);
	return 0;
}

/* Once: then the header is whole. */
static int read_magic(const struct lf_reader *reader, struct lf_error *err)
{
	uint64_t magic = 0;
	int rc;

	if (reader->header.magic == LF_SEGMENT_MAGIC)
		return 0;
	rc = lf_reader_exactly(reader, &magic, sizeof(magic), offsetof(struct lf_segment, magic), err);
	if (rc < 0)
		return rc;
	if (magic == 0)
		return -EAGAIN;
	if (magic != LF_SEGMENT_MAGIC)
		return lf_reader_bad("it does not begin like a segment", err);
	/* Pairs with the owner's release of the magic: the rest is read after it. */
	atomic_thread_fence(memory_order_acquire);
	return 0;
}

static int read_header(struct lf_reader *reader, struct lf_error *err)
{
	struct lf_segment header;
	int rc;

	if (reader->st.st_size == 0)
		return -EAGAIN;
	rc = read_magic(reader, err);
	if (rc == 0)
		rc = lf_reader_exactly(reader, &header, sizeof(header), 0, err);
	if (rc == 0 && header.magic != LF_SEGMENT_MAGIC)
		rc = lf_reader_bad("its header was wiped out", err);
	if (rc == 0)
		rc = check_header(&header, err);
	if (rc < 0)
		return rc;
	reader->header = header;
	/* The file grows before `chunks` does, so its size is looked at after `chunks`. */
	if ((off_t)header.chunks * LF_CHUNK_BYTES > reader->st.st_size)
		rc = check_file(reader, err);
	if (rc == 0 && (off_t)header.chunks * LF_CHUNK_BYTES > reader->st.st_size)
		rc = lf_reader_bad("it is shorter than its chunks", err);
	if (rc == 0 && header.chunks < reader->chunks)
		rc = lf_reader_bad("it has fewer chunks than before", err);
	return rc;
}

/* ---- Text ---- */

int lf_reader_used(const struct lf_reader *reader, uint32_t chunk, uint64_t *used,
                     struct lf_error *err)
{
	int rc = lf_reader_exactly(reader, used, sizeof(*used),
	                      (off_t)chunk * LF_CHUNK_BYTES + (off_t)offsetof(struct lf_chunk, used),
	                      err);
	uint64_t all;

	if (rc < 0)
		return rc;
	all = lf_chunk_first_slot(chunk) + (uint64_t)lf_chunk_used_text(*used) +
	      (uint64_t)lf_chunk_used_slots(*used) * sizeof(struct lf_slot);
	return all > LF_CHUNK_BYTES ? lf_reader_bad("a chunk is fuller than it can be", err) : 0;
}

/* ---- Slots ---- */

static int reserve_facts(struct lf_reader *reader, uint32_t chunk, uint32_t slots)
{
	struct lf_slot_facts *grown;
	struct lf_chunk_facts *at;

	if (chunk >= reader->chunks) {
		struct lf_chunk_facts *more = realloc(reader->chunk, (chunk + 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		memset(more + reader->chunks, 0, (chunk + 1 - reader->chunks) * sizeof(*more));
		reader->chunk = more;
		reader->chunks = chunk + 1;
	}
	at = &reader->chunk[chunk];
	if (slots <= at->slots)
		return 0;
	grown = realloc(at->slot, slots * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + at->slots, 0, (slots - at->slots) * sizeof(*grown));
	at->slot = grown;
	at->slots = slots;
	return 0;
}

static const struct lf_slot *slot_in(const char *bytes, uint32_t chunk, uint32_t index)
{
	return (const struct lf_slot *)(bytes + lf_chunk_first_slot(chunk)) + index;
}

static int learn_slot(struct lf_reader *reader, const struct lf_slot *seen, struct lf_slot_facts *slot,
                      struct lf_error *err)
{
	struct lf_reader_entry entry;
	int rc;

	slot->method = seen->method;
	slot->template = seen->template;
	slot->frame = seen->frame;
	slot->source = seen->source;
	slot->source_at = seen->source_at;
	slot->kind = seen->kind;
	slot->first_seen_ms = seen->first_seen_ms;
	rc = lf_reader_texts(reader, slot, &entry, err);
	if (rc < 0)
		return rc;
	slot->id = entry.id;
	slot->ready = true;
	return 0;
}

/* `first` shows which slots are READY; `second`, read after it, has them whole.  A slot that became
 * READY in between waits for the next reading. */
static int learn_slots(struct lf_reader *reader, uint32_t chunk, const char *first,
                       const char *second, struct lf_error *err)
{
	struct lf_chunk_facts *at = &reader->chunk[chunk];

	for (uint32_t i = 0; i < at->slots; i++) {
		int rc;

		if (at->slot[i].ready || slot_in(first, chunk, i)->state != LF_SLOT_READY)
			continue;
		rc = learn_slot(reader, slot_in(second, chunk, i), &at->slot[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static bool has_new_slots(const struct lf_reader *reader, uint32_t chunk, const char *bytes)
{
	const struct lf_chunk_facts *at = &reader->chunk[chunk];

	for (uint32_t i = 0; i < at->slots; i++)
		if (!at->slot[i].ready && slot_in(bytes, chunk, i)->state == LF_SLOT_READY)
			return true;
	return false;
}

static void take_counts(struct lf_reader *reader, uint32_t chunk, const char *bytes)
{
	const struct lf_chunk_facts *at = &reader->chunk[chunk];

	for (uint32_t i = 0; i < at->slots; i++) {
		const struct lf_slot *slot = slot_in(bytes, chunk, i);

		if (!at->slot[i].ready)
			continue;
		memcpy(&reader->counters.chunk[chunk].slot[i], slot->counts, sizeof(struct lf_counts));
		at->slot[i].policed = atomic_load_explicit(&slot->policed, memory_order_relaxed);
	}
}

static int read_chunk(struct lf_reader *reader, uint32_t chunk, struct lf_error *err)
{
	_Alignas(struct lf_slot) char first[LF_CHUNK_BYTES], second[LF_CHUNK_BYTES];
	uint32_t slots;
	size_t bytes;
	uint64_t used;
	int rc = lf_reader_used(reader, chunk, &used, err);

	if (rc < 0)
		return rc;
	slots = lf_chunk_used_slots(used);
	if (chunk < reader->chunks && slots < reader->chunk[chunk].slots)
		return lf_reader_bad("a chunk has fewer entries than before", err);
	bytes = lf_chunk_first_slot(chunk) + slots * sizeof(struct lf_slot);
	if (reserve_facts(reader, chunk, slots) < 0 ||
	    lf_counters_reserve(&reader->counters, chunk, slots) < 0)
		return lf_fail(err, -ENOMEM, "there is no memory to read it");
	rc = lf_reader_exactly(reader, first, bytes, (off_t)chunk * LF_CHUNK_BYTES, err);
	if (rc < 0 || !has_new_slots(reader, chunk, first)) {
		if (rc == 0)
			take_counts(reader, chunk, first);
		return rc;
	}
	/* Pairs with the owner's release of READY: what is read from here on was written before. */
	atomic_thread_fence(memory_order_acquire);
	rc = lf_reader_exactly(reader, second, bytes, (off_t)chunk * LF_CHUNK_BYTES, err);
	if (rc == 0)
		rc = learn_slots(reader, chunk, first, second, err);
	if (rc == 0)
		take_counts(reader, chunk, second);
	return rc;
}

int lf_reader_read(struct lf_reader *reader, int dirfd, uint64_t now_ms, struct lf_error *err)
{
	int rc = open_file(reader, dirfd, err);

	if (rc == 0)
		rc = read_header(reader, err);
	if (rc < 0)
		return rc;
	memcpy(&reader->counters.overflow, reader->header.overflow, sizeof(struct lf_counts));
	for (uint32_t c = 0; rc == 0 && c < reader->header.chunks; c++)
		rc = read_chunk(reader, c, err);
	reader->counters.taken_ms = now_ms;
	return rc;
}
