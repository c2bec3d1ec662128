#include "agent/core/sources.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "hashing/module.h"

/* Modules between two drains: a crowd of new programs must not keep a processor busy. */
enum { MODULES_A_LOOK = 32 };

struct question {
	struct lf_locate *locate; /* NULL: none is being asked */
	uid_t uid;
	char module[LF_MODULE_PATH_MAX + 1], build_id[LF_BUILD_ID_CHARS + 1];
	size_t count;
	uint64_t addresses[LF_LOCATE_ADDRESSES];
	int64_t sites[LF_LOCATE_ADDRESSES];
};

struct lf_sources {
	struct lf_reporter reporter;
	struct question question;
	int64_t after_uid; /* whose turn it was; -1: nobody's yet */
	unsigned left;     /* modules until the next look */
	bool unable;       /* logfold-locate is not there, and that was told */
	bool hindered;     /* it could not be started the last time, and that was told */
};

int lf_sources_new(struct lf_sources **out, const struct lf_reporter *reporter, struct lf_error *err)
{
	struct lf_sources *sources = calloc(1, sizeof(*sources));

	if (!sources)
		return lf_fail(err, -ENOMEM, "there is no memory for the agent");
	sources->reporter = *reporter;
	sources->after_uid = -1;
	*out = sources;
	return 0;
}

void lf_sources_free(struct lf_sources *sources)
{
	if (!sources)
		return;
	lf_locate_end(sources->question.locate);
	free(sources);
}

/* ---- Asking ---- */

static bool copy(char *out, size_t size, const char *text)
{
	return snprintf(out, size, "%s", text) < (int)size;
}

/* What does not fit is none of ours, as anybody may write to the store; its place stays as it is. */
static void add(void *arg, const struct lf_site *site)
{
	struct question *question = arg;

	if (question->count == LF_LOCATE_ADDRESSES ||
	    !copy(question->module, sizeof(question->module), site->module) ||
	    !copy(question->build_id, sizeof(question->build_id), site->build_id))
		return;
	question->uid = site->uid;
	question->addresses[question->count] = site->address;
	question->sites[question->count++] = site->id;
}

static int ask(struct question *question, struct lf_error *err)
{
	const struct lf_locate_question asked = { question->uid, question->module, question->build_id,
		                                  question->addresses, question->count };

	return lf_locate_start(&question->locate, &asked, err);
}

/* What is not installed will not be there at the next look either; processes and files to be had may. */
static void note_asked(struct lf_sources *sources, int rc, const struct lf_error *err)
{
	bool told = sources->hindered;

	sources->unable = rc == -ENOENT || rc == -EINVAL;
	sources->hindered = rc < 0;
	if (rc == 0)
		return;
	sources->left = 0;
	if (!told)
		lf_say(&sources->reporter, "%s", err->text);
}

/* The store may be held by somebody: then there is another look. */
static void ask_next(struct lf_sources *sources, struct lf_store *store)
{
	struct question *question = &sources->question;
	struct lf_error err;

	if (question->locate || sources->unable || sources->left == 0)
		return;
	sources->left--;
	question->count = 0;
	if (lf_store_next_sites(store, &sources->after_uid, LF_LOCATE_ADDRESSES, add, question, &err) > 0 &&
	    question->count > 0)
		note_asked(sources, ask(question, &err), &err);
}

void lf_sources_look(struct lf_sources *sources, struct lf_store *store)
{
	sources->left = MODULES_A_LOOK;
	ask_next(sources, store);
}

int lf_sources_fd(const struct lf_sources *sources)
{
	return sources->question.locate ? lf_locate_fd(sources->question.locate) : -1;
}

int64_t lf_sources_deadline_ms(const struct lf_sources *sources)
{
	return sources->question.locate ? lf_locate_deadline_ms(sources->question.locate) : INT64_MAX;
}

/* ---- What is answered ---- */

static int store_one(const struct question *question, size_t i, struct lf_store *store,
                     struct lf_error *err)
{
	struct lf_source found = lf_locate_answer(question->locate, i);

	return lf_store_settle_site(store, question->sites[i], &found, err);
}

static bool found_any(const struct question *question)
{
	for (size_t i = 0; i < question->count; i++)
		if (lf_locate_answer(question->locate, i).line)
			return true;
	return false;
}

/* Where the store cannot be written now, all is asked again at another look. */
static bool store_all(const struct question *question, struct lf_store *store)
{
	struct lf_error err;
	int rc = lf_store_begin(store, &err);

	if (rc < 0)
		return false;
	for (size_t i = 0; rc == 0 && i < question->count; i++)
		rc = store_one(question, i, store, &err);
	if (rc == 0)
		rc = lf_store_commit(store, &err);
	if (rc < 0)
		lf_store_rollback(store);
	return rc == 0;
}

static bool take_answer(struct lf_sources *sources, struct lf_store *store)
{
	struct question *question = &sources->question;
	bool stored = store_all(question, store), changed = stored && found_any(question);

	lf_locate_end(question->locate);
	question->locate = NULL;
	if (!stored)
		sources->left = 0;
	return changed;
}

bool lf_sources_go_on(struct lf_sources *sources, struct lf_store *store)
{
	struct question *question = &sources->question;
	bool changed;

	if (!question->locate || !lf_locate_go_on(question->locate))
		return false;
	changed = take_answer(sources, store);
	ask_next(sources, store);
	return changed;
}

/* One that was cut off by our own hurry has not been tried. */
bool lf_sources_finish(struct lf_sources *sources, struct lf_store *store, int timeout_ms)
{
	struct question *question = &sources->question;
	int64_t end = lf_clock_ms() + timeout_ms;
	bool changed = false;

	lf_sources_look(sources, store);
	while (question->locate && lf_locate_wait(question->locate, end)) {
		changed |= take_answer(sources, store);
		ask_next(sources, store);
	}
	lf_sources_forget(sources);
	return changed;
}

void lf_sources_forget(struct lf_sources *sources)
{
	lf_locate_end(sources->question.locate);
	sources->question.locate = NULL;
}

/* ---- One entry ---- */

bool lf_sources_find(struct lf_store *store, const struct lf_entry *entry, char *file, size_t size,
                     int64_t *line)
{
	char namespace[LF_NAMESPACE_MAX + 1], hash[LF_HASH_CHARS + 1];
	struct question *question = calloc(1, sizeof(*question));
	struct lf_source found = { .line = 0 };

	(void)snprintf(namespace, sizeof(namespace), "%.*s", (int)entry->namespace.len,
	               entry->namespace.data);
	(void)snprintf(hash, sizeof(hash), "%.*s", (int)entry->hash.len, entry->hash.data);
	if (question && lf_store_site(store, namespace, hash, add, question, NULL) > 0 &&
	    question->count == 1 && ask(question, NULL) == 0) {
		(void)lf_locate_wait(question->locate, INT64_MAX);
		found = lf_locate_answer(question->locate, 0);
		*line = found.line;
		(void)snprintf(file, size, "%.*s", (int)found.file.len, found.file.len ? found.file.data : "");
		lf_locate_end(question->locate);
	}
	free(question);
	return found.line > 0;
}
