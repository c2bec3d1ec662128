#include "tests/unit/segment_fixture.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/map/process_id.h"
#include "tests/unit/folder_fixture.h"

/* ---- Directories ---- */

static char own_dir[FOLDER_MAX];

const char *fixture_dir(void)
{
	if (!own_dir[0])
		new_folder(own_dir);
	return own_dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void fixture_remove(void)
{
	if (own_dir[0])
		(void)nftw(own_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	own_dir[0] = '\0';
}

const char *fixture_path(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, PATH_MAX, "%s/%s", fixture_dir(), name);
	return path;
}

bool fixture_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

unsigned fixture_names(const char *path)
{
	DIR *listing = opendir(path);
	unsigned names = 0;

	if (!listing)
		return 0;
	for (struct dirent *entry; (entry = readdir(listing));)
		names += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	(void)closedir(listing);
	return names;
}

/* ---- Segments ---- */

static pid_t dead_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	(void)waitpid(pid, NULL, 0);
	return pid;
}

static void identify(struct lf_process_id *id, enum fixture_owner owner)
{
	lf_process_id_read(id, 0);
	if (owner == OWNER_DEAD) {
		id->pid = (uint32_t)dead_pid();
		id->start_time = 1;
	}
	if (owner == OWNER_BEFORE_US)
		id->start_time--;
	if (owner == OWNER_OF_OLDER_BOOT)
		memset(id->boot_id, 'b', 32);
	if (owner == OWNER_ELSEWHERE) {
		id->pid = (uint32_t)dead_pid();
		id->pid_namespace++;
	}
}

static void name_segment(struct fixture_segment *out, const char *run_dir,
                         const struct lf_process_id *id)
{
	static uint8_t random[16];

	random[0]++;
	lf_process_id_name(id, random, out->name);
	(void)snprintf(out->path, sizeof(out->path), "%s/segments/%s", run_dir, out->name);
}

/* The mapping covers what the file may grow to. */
enum { CHUNKS_MAPPED = 64 };

static void grow(struct fixture_segment *segment)
{
	cr_assert(segment->chunks < CHUNKS_MAPPED, "the fixture has no more chunks");
	segment->chunks++;
	cr_assert_eq(truncate(segment->path, (off_t)segment->chunks * LF_CHUNK_BYTES), 0);
	segment->memory->chunks = segment->chunks;
}

void fixture_segment(struct fixture_segment *out, const char *run_dir, enum fixture_owner owner)
{
	struct lf_process_id id;
	char segments[PATH_MAX];
	int fd;

	memset(out, 0, sizeof(*out));
	(void)mkdir(run_dir, 0700);
	(void)snprintf(segments, sizeof(segments), "%s/segments", run_dir);
	(void)mkdir(segments, 0700);
	identify(&id, owner);
	name_segment(out, run_dir, &id);
	fd = open(out->path, O_RDWR | O_CREAT | O_EXCL, 0640);
	cr_assert(fd >= 0, "%s: %s", out->path, strerror(errno));
	out->memory = mmap(NULL, (size_t)CHUNKS_MAPPED * LF_CHUNK_BYTES, PROT_READ | PROT_WRITE,
	                   MAP_SHARED, fd, 0);
	(void)close(fd);
	cr_assert_neq(out->memory, MAP_FAILED);
	grow(out);
	out->memory->layout = LF_SEGMENT_LAYOUT;
	out->memory->chunk_bytes = LF_CHUNK_BYTES;
	out->memory->pid = id.pid;
	out->memory->pid_namespace = id.pid_namespace;
	out->memory->start_time = id.start_time;
	out->memory->created_ms = (uint64_t)time(NULL) * 1000 - 5000;
	(void)strcpy(out->memory->namespace, "shop");
	(void)strcpy(out->memory->program, "fixture");
	out->memory->magic = LF_SEGMENT_MAGIC;
}

void fixture_kill(struct fixture_segment *segment, const char *run_dir)
{
	struct lf_process_id id;
	char old[PATH_MAX];

	identify(&id, OWNER_DEAD);
	memcpy(old, segment->path, sizeof(old));
	name_segment(segment, run_dir, &id);
	cr_assert_eq(rename(old, segment->path), 0);
}

void fixture_forget(struct fixture_segment *segment)
{
	(void)munmap(segment->memory, (size_t)CHUNKS_MAPPED * LF_CHUNK_BYTES);
}

static void *at(const struct fixture_segment *segment, lf_ref ref)
{
	return (char *)segment->memory + ref;
}

/* Room in the newest chunk: a slot, text, or both. */
static void claim(struct fixture_segment *segment, uint32_t slots, uint32_t text, lf_ref *slot,
                  lf_ref *string)
{
	uint32_t n = segment->chunks - 1;
	struct lf_chunk *chunk = at(segment, n * LF_CHUNK_BYTES);
	uint64_t used = chunk->used;
	uint64_t all = lf_chunk_first_slot(n) + lf_chunk_used_text(used) + text +
	               (lf_chunk_used_slots(used) + slots) * sizeof(struct lf_slot);

	if (all > LF_CHUNK_BYTES) {
		grow(segment);
		claim(segment, slots, text, slot, string);
		return;
	}
	*slot = n * LF_CHUNK_BYTES + lf_chunk_first_slot(n) +
	        lf_chunk_used_slots(used) * (uint32_t)sizeof(struct lf_slot);
	*string = (n + 1) * LF_CHUNK_BYTES - lf_chunk_used_text(used) - text;
	chunk->used = used + slots + ((uint64_t)text << 32);
}

lf_ref fixture_string(struct fixture_segment *segment, const char *text)
{
	lf_ref slot, ref;
	struct lf_string *string;
	size_t len = strlen(text);

	claim(segment, 0, (uint32_t)((sizeof(uint16_t) + len + 7) & ~(size_t)7), &slot, &ref);
	string = at(segment, ref);
	string->len = (uint16_t)len;
	memcpy(string->bytes, text, len);
	return ref;
}

struct lf_slot *fixture_slot(struct fixture_segment *segment, const char *method,
                             const char *template, const char *frame, enum lf_kind kind)
{
	lf_ref method_ref = fixture_string(segment, method);
	lf_ref template_ref = fixture_string(segment, template);
	lf_ref frame_ref = fixture_string(segment, frame);
	lf_ref ref, text;
	struct lf_slot *slot;

	claim(segment, 1, 0, &ref, &text);
	slot = at(segment, ref);
	slot->method = method_ref;
	slot->template = template_ref;
	slot->frame = frame_ref;
	slot->kind = (uint8_t)kind;
	slot->first_seen_ms = segment->memory->created_ms + 1000;
	slot->state = LF_SLOT_READY;
	return slot;
}

void fixture_tail(struct fixture_segment *segment, unsigned i, const char *method,
                  const char *frame, const char *bytes, uint32_t flags)
{
	lf_ref method_ref = fixture_string(segment, method);
	lf_ref frame_ref = fixture_string(segment, frame);
	lf_ref slot, ref;
	struct lf_tail *tail;

	claim(segment, 0, sizeof(*tail), &slot, &ref);
	tail = at(segment, ref);
	tail->method = method_ref;
	tail->frame = frame_ref;
	memcpy(tail->bytes, bytes, strlen(bytes));
	tail->state = (uint32_t)strlen(bytes) | LF_TAIL_BEGUN | flags;
	segment->memory->tails[i] = ref;
}

/* ---- Stores ---- */

struct lf_store *fixture_store(const char *path)
{
	struct lf_store *store = NULL;
	struct lf_error err = { "" };
	int rc = lf_store_open(&store, path, LF_STORE_WRITE, &err);

	cr_assert_eq(rc, 0, "%s", err.text);
	return store;
}

struct lf_store_totals fixture_totals(struct lf_store *store, bool this_run)
{
	struct lf_query query = { .this_run = this_run };
	struct lf_store_totals totals = { 0 };
	struct lf_error err = { "" };

	cr_assert_eq(lf_store_totals(store, &query, &totals, &err), 0, "%s", err.text);
	return totals;
}

uint64_t fixture_total(struct lf_store *store)
{
	return fixture_totals(store, false).count_total;
}

struct wanted {
	const char *template;
	uint64_t count;
};

static int add_if_wanted(void *arg, const struct lf_entry *entry)
{
	struct wanted *wanted = arg;

	if (entry->message_template.len == strlen(wanted->template) &&
	    memcmp(entry->message_template.data, wanted->template, entry->message_template.len) == 0)
		wanted->count += entry->count_total;
	return 0;
}

uint64_t fixture_count_of(struct lf_store *store, const char *template)
{
	struct lf_query query = { .order = LF_BY_KEY };
	struct wanted wanted = { template, 0 };
	struct lf_error err = { "" };

	cr_assert_eq(lf_store_each(store, &query, add_if_wanted, &wanted, &err), 0, "%s", err.text);
	return wanted.count;
}

static int count_row(void *arg, const struct lf_segment_row *row)
{
	(void)row;
	++*(unsigned *)arg;
	return 0;
}

unsigned fixture_rows(struct lf_store *store)
{
	struct lf_error err = { "" };
	unsigned rows = 0;

	cr_assert_eq(lf_store_each_segment(store, NULL, count_row, &rows, &err), 0, "%s", err.text);
	return rows;
}

/* ---- What was told ---- */

static char said[16384];
static unsigned sentences;

static void listen_to(void *arg, const char *sentence)
{
	size_t len = strlen(said);

	(void)arg;
	sentences++;
	(void)snprintf(said + len, sizeof(said) - len, "%s\n", sentence);
}

struct lf_reporter fixture_reporter(void)
{
	return (struct lf_reporter){ listen_to, NULL };
}

bool fixture_said(const char *part)
{
	return strstr(said, part) != NULL;
}

unsigned fixture_sentences(void)
{
	return sentences;
}

const char *fixture_all_said(void)
{
	return said;
}

/* ---- A whole drain ---- */

int fixture_drain_hooked(const char *run_dir, struct lf_store *store,
                         const struct lf_drain_hooks *hooks)
{
	struct lf_drain_options options = { .reporter = fixture_reporter(),
		                            .tally = true,
		                            .hooks = hooks };
	struct lf_rundir *dir = NULL;
	struct lf_drain *drain = NULL;
	struct lf_error err = { "" };
	int rc = lf_rundir_open(&dir, run_dir, LF_RUNDIR_CREATE, &err);

	if (rc == 0)
		rc = lf_rundir_lock(dir, &err);
	if (rc == 0)
		rc = lf_drain_open(&drain, dir, store, &options, &err);
	if (rc == 0)
		rc = lf_drain_run(drain, store, &err);
	if (rc < 0)
		listen_to(NULL, err.text);
	lf_drain_close(drain);
	lf_rundir_close(dir);
	return rc;
}

int fixture_drain(const char *run_dir, struct lf_store *store)
{
	return fixture_drain_hooked(run_dir, store, NULL);
}
