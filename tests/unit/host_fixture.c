#include "tests/unit/host_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/hook/console.h"
#include "agent/map/reader.h"
#include "agent/map/segment_file.h"
#include "hashing/entry_id.h"
#include "tests/unit/folder_fixture.h"

const char *host_run_dir(void)
{
	static char path[FOLDER_MAX];
	const char *given = getenv("LOGFOLD_UNIT_RUN_DIR");

	if (given)
		return given;
	if (!path[0])
		new_folder(path);
	return path;
}

struct lf_process *host_start(int console_fd)
{
	char streams[64];
	struct stat st;

	if (fstat(console_fd, &st) < 0)
		return NULL;
	(void)snprintf(streams, sizeof(streams), "%llu:%llu", (unsigned long long)st.st_dev,
	               (unsigned long long)st.st_ino);
	setenv("LOGFOLD_STREAMS", streams, 1);
	setenv("LOGFOLD_RUN_DIR", host_run_dir(), 1);
	setenv("LOGFOLD_NAMESPACE", "unit", 1);
	return lf_process_enter();
}

struct sum {
	const char *template; /* NULL: all */
	enum lf_outcome outcome;
	uint64_t count;
	unsigned entries;
	struct lf_id id;
};

static void add_segment(struct lf_reader *reader, struct sum *sum)
{
	const struct lf_counters *counters = lf_reader_counters(reader);

	for (uint32_t c = 0; c < counters->chunks; c++)
		for (uint32_t i = 0; i < counters->chunk[c].slots; i++) {
			struct lf_reader_entry entry;

			if (!lf_reader_id(reader, c, i) ||
			    lf_reader_entry(reader, c, i, &entry, NULL) < 0)
				continue;
			sum->entries++;
			if (sum->template &&
			    (entry.identity.template.len != strlen(sum->template) ||
			     memcmp(entry.identity.template.data, sum->template,
			            entry.identity.template.len) != 0))
				continue;
			sum->count += lf_counters_get(counters, c, i).of[sum->outcome];
			sum->id = entry.id;
		}
	if (!sum->template)
		sum->count += counters->overflow.of[sum->outcome];
}

static void walk(struct sum *sum)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/segments", host_run_dir());
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		struct lf_reader *reader;

		if (entry->d_name[0] == '.' || lf_reader_new(&reader, entry->d_name, LF_READER_OURS) < 0)
			continue;
		if (lf_reader_read(reader, dirfd(dir), lf_segment_now_ms(), NULL) == 0)
			add_segment(reader, sum);
		lf_reader_rest(reader);
		lf_reader_free(reader);
	}
	if (dir)
		closedir(dir);
}

uint64_t host_count(const char *template, enum lf_outcome outcome)
{
	struct sum sum = { .template = template, .outcome = outcome };

	walk(&sum);
	return sum.count;
}

uint64_t host_total(enum lf_outcome outcome)
{
	return host_count(NULL, outcome);
}

unsigned host_entries(void)
{
	struct sum sum = { .outcome = LF_PASSED };

	walk(&sum);
	return sum.entries;
}

static struct lf_flags *open_flags(void)
{
	int rc, dirfd = open(host_run_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);

	close(dirfd);
	return flags;
}

static void publish(const struct lf_id *id, uint64_t rule)
{
	struct lf_flags_row row = { *id, lf_flags_namespace_key("unit"), rule };
	struct lf_flags *flags = open_flags();

	if (flags && lf_flags_publish(flags, &row, 1) < 0)
		abort();
	lf_flags_unmap(flags);
}

void host_rule(const char *template, uint64_t rule)
{
	struct sum sum = { .template = template, .outcome = LF_PASSED };

	walk(&sum);
	publish(&sum.id, rule);
}

void host_rule_unseen(const struct lf_process *process, struct lf_origin origin,
                      const char *template, uint64_t rule)
{
	struct lf_identity identity = {
		.method = lf_map_text(process->map, origin.method),
		.template = { template, strlen(template) },
		.frame = lf_map_text(process->map, origin.frame),
	};
	struct lf_id id;

	lf_entry_id(&identity, &id);
	publish(&id, rule);
}

void host_default_rule(uint64_t rule)
{
	struct lf_flags *flags = open_flags();

	if (flags)
		lf_flags_set_defaults(flags, &(struct lf_flags_defaults){ .namespace = "unit", .rule = rule });
	lf_flags_unmap(flags);
}

void host_mute(const char *template)
{
	host_rule(template, lf_rule_make(LF_RULE_MUTE, 0, 0));
}

void host_unmute_all(void)
{
	struct lf_flags *flags = open_flags();

	if (flags && lf_flags_publish(flags, NULL, 0) < 0)
		abort();
	lf_flags_unmap(flags);
}

int host_expect(const char *what, uint64_t got, uint64_t wanted)
{
	if (got == wanted)
		return 0;
	(void)fprintf(stderr, "%s: %s: %" PRIu64 " instead of %" PRIu64 "\n",
	              program_invocation_short_name, what, got, wanted);
	return 1;
}
