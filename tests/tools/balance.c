/* Checks the balance of every entry while rules change under a program that prints:
 *
 *   balance PRELOAD PROGRAM FOLDER FIRST COUNT
 *
 * For each seed from FIRST on it runs PROGRAM (tests/progs/balance.c) with PRELOAD, in a run directory of
 * its own below FOLDER, gives and takes rules at random meanwhile, and kills the program in every fourth
 * run.  Then, kind by kind of message:
 *   passed + muted + sampled + limited + folded = what the program says it printed
 *                                                 (killed: between what was done and what was begun)
 *   passed                                     = the lines in its output (killed: at least these, but for
 *                                                 the calls in flight)
 *   what was told to be repeated              <= folded
 * Prints one line at the end; a seed that fails is named, and the status is 1.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/map/flags.h"
#include "agent/map/reader.h"
#include "agent/map/segment_file.h"
#include "tests/progs/ledger.h"

enum { KINDS = 8, IDS_MAX = 64 };
static const char *const kinds[KINDS] = { "alpha ", "beta ",    "gamma ", "delta ",
	                                  "epsilon", "zeta ", "eta ",   "theta" };

struct run {
	unsigned long seed;
	uint64_t state;
	char dir[4096], out[4200], err[4200], ledger_path[4200];
	struct row *ledger;
	struct lf_flags *flags;
	pid_t pid;
	bool killed;
};

static struct {
	uint64_t calls, of[LF_OUTCOME_COUNT], published, told, kills;
} totals;

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "balance: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- What the segments say ---- */

struct counted {
	struct lf_id ids[IDS_MAX];
	unsigned ids_count;
	uint64_t of[KINDS][LF_OUTCOME_COUNT];
	uint64_t stray; /* of no kind, and overflow */
};

static int kind_of(struct lf_text text)
{
	for (int i = 0; i < KINDS; i++)
		if (text.len >= strlen(kinds[i]) && memcmp(text.data, kinds[i], strlen(kinds[i])) == 0)
			return i;
	return -1;
}

static void add(struct counted *out, int kind, const struct lf_counts *counts)
{
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		if (kind < 0)
			out->stray += counts->of[i];
		else
			out->of[kind][i] += counts->of[i];
}

static void add_slots(struct lf_reader *reader, struct counted *out)
{
	const struct lf_counters *counters = lf_reader_counters(reader);
	struct lf_reader_entry entry;

	add(out, -1, &counters->overflow);
	for (uint32_t c = 0; c < counters->chunks; c++)
		for (uint32_t i = 0; i < counters->chunk[c].slots; i++) {
			struct lf_counts counts = lf_counters_get(counters, c, i);

			if (!lf_reader_id(reader, c, i) ||
			    lf_reader_entry(reader, c, i, &entry, NULL) < 0)
				continue;
			add(out, kind_of(entry.identity.template), &counts);
			if (out->ids_count < IDS_MAX)
				out->ids[out->ids_count++] = entry.id;
		}
}

/* A line that was begun when its process was killed. */
static void add_tails(struct lf_reader *reader, struct counted *out)
{
	for (unsigned i = 0; i < LF_TAILS; i++) {
		struct lf_reader_tail tail;
		struct lf_counts one = { { 0 } };

		if (lf_reader_tail(reader, i, &tail, NULL) != 1)
			continue;
		one.of[tail.outcome] = 1;
		add(out, kind_of(tail.line), &one);
	}
}

static void count(const struct run *run, bool ended, struct counted *out)
{
	char path[4200];
	struct dirent *entry;
	DIR *dir;

	memset(out, 0, sizeof(*out));
	(void)snprintf(path, sizeof(path), "%s/segments", run->dir);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		struct lf_reader *reader;

		if (entry->d_name[0] == '.' ||
		    lf_reader_new(&reader, entry->d_name, LF_READER_OURS) < 0)
			continue;
		if (lf_reader_read(reader, dirfd(dir), lf_segment_now_ms(), NULL) == 0) {
			add_slots(reader, out);
			if (ended)
				add_tails(reader, out);
		}
		lf_reader_rest(reader);
		lf_reader_free(reader);
	}
	if (dir)
		closedir(dir);
}

/* ---- Rules ---- */

static uint64_t any_rule(struct run *run)
{
	switch (draw(&run->state, 4)) {
	case 0: return lf_rule_make(LF_RULE_MUTE, 0, 0);
	case 1: return lf_rule_make(LF_RULE_SAMPLE, 1 + draw(&run->state, 9), 0);
	case 2: return lf_rule_make(LF_RULE_LIMIT, 1 + draw(&run->state, 5), 1 + draw(&run->state, 5));
	default: return lf_rule_make(LF_RULE_FOLD, 0, 1 + draw(&run->state, 5));
	}
}

static void change_rules(struct run *run)
{
	struct counted now;
	struct lf_flags_row rows[IDS_MAX];
	size_t count_rows = 0;

	count(run, false, &now);
	for (unsigned i = 0; i < now.ids_count; i++)
		if (draw(&run->state, 2))
			rows[count_rows++] = (struct lf_flags_row){ now.ids[i], lf_flags_namespace_key("balance"),
				                                    any_rule(run) };
	if (lf_flags_publish(run->flags, rows, count_rows) < 0)
		die("publishing");
	if (draw(&run->state, 4) == 0)
		lf_flags_set_defaults(run->flags, &(struct lf_flags_defaults){
			.namespace = "balance", .rule = draw(&run->state, 2) ? any_rule(run) : 0 });
	totals.published++;
}

/* ---- One run ---- */

static struct row *new_ledger(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct row *ledger;

	if (fd < 0 || ftruncate(fd, KINDS * sizeof(struct row)) < 0)
		die(path);
	(void)close(fd);
	ledger = map_ledger(path, KINDS);
	if (!ledger)
		die(path);
	return ledger;
}

static void open_run(struct run *run, const char *folder, unsigned long seed)
{
	int rc = 0, dirfd;

	*run = (struct run){ .seed = seed, .state = seed * 77 + 1 };
	(void)snprintf(run->dir, sizeof(run->dir), "%s/%lu", folder, seed);
	if (mkdir(run->dir, 0700) < 0 || (dirfd = open(run->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		die(run->dir);
	run->flags = lf_flags_map(dirfd, 1, &rc);
	if (!run->flags)
		die("the flags table");
	close(dirfd);
	(void)snprintf(run->out, sizeof(run->out), "%s/out", run->dir);
	(void)snprintf(run->err, sizeof(run->err), "%s/err", run->dir);
	(void)snprintf(run->ledger_path, sizeof(run->ledger_path), "%s/ledger", run->dir);
	run->ledger = new_ledger(run->ledger_path);
}

static void redirect(const char *path, int fd)
{
	int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (file < 0 || dup2(file, fd) < 0)
		die(path);
	close(file);
}

static void start(struct run *run, const char *preload, const char *program)
{
	char seed[32];

	(void)snprintf(seed, sizeof(seed), "%lu", run->seed);
	run->pid = fork();
	if (run->pid < 0)
		die("fork");
	if (run->pid > 0)
		return;
	(void)setpgid(0, 0);
	setenv("LD_PRELOAD", preload, 1);
	setenv("LOGFOLD_RUN_DIR", run->dir, 1);
	setenv("LOGFOLD_NAMESPACE", "balance", 1);
	unsetenv("LOGFOLD_STREAMS");
	redirect(run->out, 1);
	redirect(run->err, 2);
	execl(program, program, seed, run->ledger_path, (char *)NULL);
	die(program);
}

/* Until it ends, or is killed with all its children. */
static int attend(struct run *run)
{
	unsigned rounds = 0, kill_at = run->seed % 4 == 3 ? 2 + draw(&run->state, 12) : UINT32_MAX;
	int status;

	(void)setpgid(run->pid, run->pid);
	while (waitpid(run->pid, &status, WNOHANG) == 0) {
		change_rules(run);
		(void)poll(NULL, 0, (int)draw(&run->state, 3));
		if (++rounds == kill_at) {
			run->killed = kill(-run->pid, SIGKILL) == 0;
			totals.kills += run->killed;
		}
	}
	(void)kill(-run->pid, SIGKILL); /* a child of one that was killed */
	return status;
}

/* ---- What the output says ---- */

struct output {
	uint64_t lines[KINDS], told[KINDS], stray;
};

static void read_output(const char *path, struct output *out)
{
	FILE *file = fopen(path, "r");
	char *line = NULL, *told;
	size_t room = 0;
	ssize_t len;

	if (!file)
		return; /* killed before that */
	while ((len = getline(&line, &room, file)) > 0) {
		int kind = kind_of((struct lf_text){ line, (size_t)len });
		static const char sign[] = " … repeated ";

		if (line[len - 1] != '\n')
			continue; /* killed */
		told = strstr(line, sign);
		/* A carrier's template is the line, masked. */
		if (kind < 0)
			out->stray++;
		else if (told)
			out->told[kind] += strtoul(told + sizeof(sign) - 1, NULL, 10);
		else
			out->lines[kind]++;
	}
	free(line);
	(void)fclose(file);
}

static bool check_kind(const struct run *run, int kind, const uint64_t of[LF_OUTCOME_COUNT],
                       const struct output *output)
{
	uint64_t sum = 0, begun = run->ledger[kind].begun, done = run->ledger[kind].done;
	bool fine;

	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		sum += of[i];
		totals.of[i] += of[i];
	}
	totals.calls += sum;
	totals.told += output->told[kind];
	fine = run->killed ? sum >= done && sum <= begun && of[LF_PASSED] + begun - done >= output->lines[kind]
	                   : sum == done && of[LF_PASSED] == output->lines[kind];
	fine = fine && output->told[kind] <= of[LF_FOLDED];
	if (!fine)
		(void)printf("seed %lu, %s%s: begun %" PRIu64 ", done %" PRIu64 ", passed %" PRIu64 ", muted %" PRIu64
		             ", sampled %" PRIu64 ", limited %" PRIu64 ", folded %" PRIu64 "; printed %" PRIu64
		             ", told %" PRIu64 "\n", run->seed, kinds[kind], run->killed ? " (killed)" : "",
		             begun, done, of[LF_PASSED], of[LF_MUTED], of[LF_SAMPLED], of[LF_LIMITED],
		             of[LF_FOLDED], output->lines[kind], output->told[kind]);
	return fine;
}

static bool check(const struct run *run, int status)
{
	struct counted counted;
	struct output output = { .stray = 0 };
	bool fine = run->killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0);

	if (!fine)
		(void)printf("seed %lu: the program ended with status %d\n", run->seed, status);
	count(run, true, &counted);
	read_output(run->out, &output);
	read_output(run->err, &output);
	for (int kind = 0; kind < KINDS; kind++)
		fine = check_kind(run, kind, counted.of[kind], &output) && fine;
	if (counted.stray || output.stray)
		(void)printf("seed %lu: %" PRIu64 " calls and %" PRIu64 " lines of no kind\n", run->seed,
		             counted.stray, output.stray);
	return fine && !counted.stray && !output.stray;
}

int main(int argc, char **argv)
{
	unsigned long first, seeds, failed = 0;

	if (argc != 6) {
		(void)fprintf(stderr, "usage: balance PRELOAD PROGRAM FOLDER FIRST COUNT\n");
		return 64;
	}
	first = strtoul(argv[4], NULL, 10);
	seeds = strtoul(argv[5], NULL, 10);
	for (unsigned long i = 0; i < seeds; i++) {
		struct run run;

		open_run(&run, argv[3], first + i);
		start(&run, argv[1], argv[2]);
		failed += !check(&run, attend(&run));
		lf_flags_unmap(run.flags);
		(void)munmap(run.ledger, KINDS * sizeof(struct row));
	}
	(void)printf("%lu seeds, %lu failed: %" PRIu64 " calls = %" PRIu64 " passed + %" PRIu64 " muted + %" PRIu64
	             " sampled + %" PRIu64 " limited + %" PRIu64 " folded (%" PRIu64 " of these told); %" PRIu64
	             " tables published, %" PRIu64 " kills\n", seeds, failed, totals.calls, totals.of[LF_PASSED],
	             totals.of[LF_MUTED], totals.of[LF_SAMPLED], totals.of[LF_LIMITED], totals.of[LF_FOLDED],
	             totals.told, totals.published, totals.kills);
	return failed ? 1 : 0;
}
