#include "agent/cli/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/json_read.h"
#include "agent/cli/place.h"
#include "agent/core/control.h"
#include "agent/core/rundir.h"
#include "agent/map/run_dir.h"
#include "hashing/namespace.h"

enum {
	REPORT_TIMEOUT_MS = 10000,
	DRAIN_TRIES = 20, /* its store may be in other hands for a moment */
	DRAIN_PAUSE_MS = 100,
};

/* ---- Finding ---- */

static bool status_is_of_daemon(const char *status, char store[PATH_MAX])
{
	const char *path = strstr(status, " store=");

	if (!path || !memmem(status, (size_t)(path - status), " daemon=1", 9))
		return false;
	(void)snprintf(store, PATH_MAX, "%s", path + strlen(" store="));
	return true;
}

/* With --store the daemon must have just that one. */
static bool is_wanted(const char *store, const struct lf_options *options)
{
	char real[PATH_MAX];

	if (!options->store)
		return true;
	return lf_store_real_path(options->store, real, NULL) == 0 && strcmp(real, store) == 0;
}

static bool find_daemon(struct lf_guest *guest, const struct lf_options *options)
{
	char named[PATH_MAX], status[LF_CONTROL_LINE_MAX], store[PATH_MAX];

	lf_place_named_base(named);
	if (lf_run_dir_find(guest->run_dir, named, getenv("XDG_RUNTIME_DIR"), LF_RUN_DIR_SHARED) < 0)
		return false;
	guest->dirfd = open(guest->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return guest->dirfd >= 0 &&
	       lf_control_ask(guest->dirfd, "status", LF_CONTROL_ANSWER_MS, status, sizeof(status), NULL) == 0 &&
	       status_is_of_daemon(status, store) && is_wanted(store, options);
}

/* ---- Entering ---- */

static bool make_id(char out[LF_RUN_ID_CHARS + 1])
{
	uint64_t id = 0;

	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id) || !id)
		return false;
	lf_run_id_format(id, out);
	return true;
}

/* The one that the command's processes will name; empty: none, then the daemon says which it is. */
static const char *namespace_of(const struct lf_options *options)
{
	const char *inherited = getenv("LOGFOLD_NAMESPACE");

	if (options->namespace)
		return options->namespace;
	return lf_namespace_is(inherited) ? inherited : "";
}

static bool be_let_in(struct lf_guest *guest, const struct lf_options *options)
{
	char request[LF_RUN_ID_CHARS + LF_NAMESPACE_MAX + 16];
	const char *namespace = namespace_of(options);
	struct lf_error err;
	int rc;

	if (!make_id(guest->id))
		return false;
	(void)snprintf(request, sizeof(request), "run %s%s%s", guest->id, *namespace ? " " : "", namespace);
	rc = lf_control_ask(guest->dirfd, request, LF_CONTROL_ANSWER_MS, NULL, 0, &err);
	if (rc == -EREMOTEIO)
		lf_complain("the agent at '%s' does not take this run (%s): it has an agent of its own",
			    guest->run_dir, err.text);
	return rc == 0;
}

bool lf_guest_enter(struct lf_guest *out, const struct lf_options *options)
{
	out->dirfd = -1;
	if (find_daemon(out, options) && be_let_in(out, options))
		return true;
	lf_guest_leave(out);
	return false;
}

void lf_guest_leave(struct lf_guest *guest)
{
	if (guest->dirfd >= 0)
		(void)close(guest->dirfd);
	guest->dirfd = -1;
}

/* ---- Reporting ---- */

static int fail(const struct lf_guest *guest, int rc, struct lf_error *err)
{
	struct lf_error why = *err;

	if (rc == -EREMOTEIO)
		return lf_fail(err, rc, "there is no summary of this run: %s; `logfold ls --agent %s` has "
					"the counts", why.text, guest->run_dir);
	return lf_fail(err, rc, "there is no summary of this run, as the agent of '%s' %s (%s): what it "
				"has not drained waits in '%s/" LF_SEGMENTS_DIR "' for %s",
		       guest->run_dir, rc == -ETIMEDOUT ? "does not answer" : "is gone", why.text, guest->run_dir,
		       rc == -ETIMEDOUT ? "it" : "the next one");
}

static int drain(const struct lf_guest *guest, struct lf_error *err)
{
	static const struct timespec pause = { 0, DRAIN_PAUSE_MS * 1000000L };
	int rc = -EREMOTEIO;

	for (int tries = 0; rc == -EREMOTEIO && tries < DRAIN_TRIES; tries++) {
		if (tries > 0)
			(void)nanosleep(&pause, NULL);
		rc = lf_control_ask(guest->dirfd, "drain", REPORT_TIMEOUT_MS, NULL, 0, err);
	}
	return rc;
}

/* One object of the report: an entry, or how many live. */
static int take_line(struct lf_store *store, struct lf_json_reader *reader, struct lf_text line,
		     unsigned *living, struct lf_error *err)
{
	static const char last[] = "{\"living\":";
	struct lf_share share = { .incarnation = "00000000-0000-4000-8000-000000000000" };
	struct lf_json_line read;
	int rc;

	if (line.len > sizeof(last) && memcmp(line.data, last, sizeof(last) - 1) == 0) {
		*living = (unsigned)strtoul(line.data + sizeof(last) - 1, NULL, 10);
		return 0;
	}
	rc = lf_json_read(reader, line, &read, err);
	if (rc < 0)
		return rc;
	memcpy(share.counts, read.entry.counts, sizeof(share.counts));
	return lf_store_merge(store, &read.entry, &share, 1, err);
}

static int take_lines(struct lf_store *store, const char *data, size_t bytes, unsigned *living,
                      struct lf_error *err)
{
	struct lf_json_reader *reader = NULL;
	int rc = lf_json_reader_new(&reader, err);

	if (rc == 0)
		rc = lf_store_begin(store, err);
	while (rc == 0 && bytes > 0) {
		const char *end = memchr(data, '\n', bytes);
		size_t len = end ? (size_t)(end - data) : bytes;

		rc = take_line(store, reader, (struct lf_text){ data, len }, living, err);
		data += len + (end != NULL);
		bytes -= len + (end != NULL);
	}
	lf_json_reader_free(reader);
	return rc == 0 ? lf_store_commit(store, err) : rc;
}

int lf_guest_report(const struct lf_guest *guest, struct lf_store **out, unsigned *living,
                    struct lf_error *err)
{
	char request[LF_RUN_ID_CHARS + 16];
	struct lf_store *store = NULL;
	char *data = NULL;
	size_t bytes = 0;
	int rc = drain(guest, err);

	(void)snprintf(request, sizeof(request), "report %s", guest->id);
	if (rc == -EREMOTEIO)
		lf_complain("the agent of '%s' cannot drain now (%s): what is missing here is counted later",
			    guest->run_dir, err->text);
	if (rc == 0 || rc == -EREMOTEIO)
		rc = lf_control_fetch(guest->dirfd, request, REPORT_TIMEOUT_MS, &data, &bytes, err);
	if (rc < 0)
		return fail(guest, rc, err);
	rc = lf_store_open(&store, LF_STORE_MEMORY, LF_STORE_WRITE, err);
	if (rc == 0)
		rc = take_lines(store, data, bytes, living, err);
	free(data);
	if (rc < 0)
		lf_store_close(store);
	else
		*out = store;
	return rc;
}
