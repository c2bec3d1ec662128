#include "agent/cli/wish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/chosen.h"
#include "agent/cli/cli.h"
#include "agent/cli/display.h"
#include "agent/cli/rows.h"
#include "agent/core/agent.h"
#include "agent/core/json.h"

struct granted {
	const struct lf_wish *wish;
	struct lf_catalog *chosen; /* without those that it is not for */
	size_t overflow;
	struct lf_entry_key *keys; /* of each, as the next two */
	bool *changed, *missed;
	struct names {
		char namespace[LF_NAMESPACE_MAX + 1], hash[LF_HASH_CHARS + 1];
	} *names; /* the keys' texts */
};

static bool is_text(struct lf_text text, const char *string)
{
	return text.len == strlen(string) && memcmp(text.data, string, text.len) == 0;
}

/* It stands for many messages that no process can tell apart. */
static bool is_overflow(const struct lf_entry *entry)
{
	return is_text(entry->method, LF_OVERFLOW_METHOD) &&
	       is_text(entry->message_template, LF_OVERFLOW_TEMPLATE) &&
	       is_text(entry->top_frame, LF_OVERFLOW_FRAME);
}

static void fini(struct granted *granted)
{
	free(granted->keys);
	free(granted->changed);
	free(granted->missed);
	free(granted->names);
}

static int init(struct granted *granted, struct lf_error *err)
{
	struct lf_catalog *chosen = granted->chosen;
	size_t room = chosen->count ? chosen->count : 1;

	granted->keys = calloc(room, sizeof(*granted->keys));
	granted->changed = calloc(room, sizeof(*granted->changed));
	granted->missed = calloc(room, sizeof(*granted->missed));
	granted->names = calloc(room, sizeof(*granted->names));
	if (!granted->keys || !granted->changed || !granted->missed || !granted->names)
		return lf_fail(err, -ENOMEM, "out of memory for so many entries");
	for (size_t i = 0; i < chosen->count; i++) {
		const struct lf_entry *entry = &chosen->entries[i];
		struct names *names = &granted->names[i];

		(void)snprintf(names->namespace, sizeof(names->namespace), "%.*s",
			       (int)entry->namespace.len, entry->namespace.data);
		(void)snprintf(names->hash, sizeof(names->hash), "%.*s", (int)entry->hash.len,
			       entry->hash.data);
		granted->keys[i] = (struct lf_entry_key){ names->namespace, names->hash };
	}
	return 0;
}

/* The line of an entry that is different now: `muted 3f2a…  printf  user %s in`. */
static void print_change(const struct lf_entry *entry, const char *done, bool json)
{
	if (json) {
		lf_json_entry(stdout, entry);
		return;
	}
	(void)printf("%s %.*s…  ", done, LF_SHORT_HASH_CHARS, entry->hash.data);
	(void)lf_display(stdout, entry->method, LF_CELLS_UNLIMITED);
	(void)fputs("  ", stdout);
	(void)lf_display(stdout, entry->message_template, LF_CELLS_UNLIMITED);
	(void)putchar('\n');
}

/* A policy does nothing as long as its message is muted. */
static void tell_muted(const struct granted *granted)
{
	const struct lf_flag_change *change = &granted->wish->change;
	size_t muted = 0;

	if (!(change->what & LF_FLAG_POLICY) || !*change->policy)
		return;
	for (size_t i = 0; i < granted->chosen->count; i++)
		muted += !granted->missed[i] && !granted->chosen->entries[i].enabled;
	if (muted == 1 && granted->chosen->count == 1)
		lf_complain("it is muted and stays so: `logfold unmute` lets the policy work");
	else if (muted > 0)
		lf_complain("%zu of them %s muted and %s so: `logfold unmute` lets the policy work", muted,
			    muted == 1 ? "is" : "are", muted == 1 ? "stays" : "stay");
}

static void tell(const struct granted *granted, bool json)
{
	const struct lf_wish *wish = granted->wish;
	size_t changed = 0, unchanged = 0;

	for (size_t i = 0; i < granted->chosen->count; i++) {
		if (granted->missed[i])
			continue;
		if (granted->changed[i])
			print_change(&granted->chosen->entries[i], wish->done, json);
		changed += granted->changed[i];
		unchanged += !granted->changed[i];
	}
	if (granted->overflow)
		lf_complain("the overflow entry cannot be %s: it stands for all messages that found no "
			    "room of their own", wish->not_overflow);
	if (changed == 0 && unchanged > 0)
		lf_complain("%s", unchanged == 1 ? wish->already_one : wish->already_all);
	tell_muted(granted);
}

/* Also where nothing changes: a directory may have missed it the last time. */
static int grant(struct granted *granted, const struct lf_place *place, bool json)
{
	const struct lf_everywhere where = { .store_path = place->store,
		                             .base_dir = lf_place_base(place),
		                             .shared_dir = lf_place_shared(place),
		                             .reporter = lf_complainer };
	struct lf_error err;
	struct lf_flag_wish wish = { .keys = granted->keys, .count = granted->chosen->count,
		                     .change = granted->wish->change, .changed = granted->changed,
		                     .missed = granted->missed };
	int rc = lf_set_everywhere(&where, &wish, &err);

	if (rc < 0)
		lf_complain("%s", err.text);
	lf_catalog_refresh(granted->chosen, place->store);
	tell(granted, json);
	return rc < 0 ? LF_EXIT_FAILED : LF_EXIT_OK;
}

/* Only overflow was chosen. */
static int refuse(const struct granted *granted)
{
	tell(granted, false);
	return LF_EXIT_FAILED;
}

static int act(void *arg, const struct lf_place *place, const struct lf_options *options,
               struct lf_catalog *chosen)
{
	struct granted granted = { .wish = arg, .chosen = chosen };
	struct lf_error err;
	int status = LF_EXIT_FAILED;

	if (granted.wish->not_overflow)
		granted.overflow = lf_catalog_drop(chosen, is_overflow);
	if (init(&granted, &err) < 0)
		lf_complain("%s", err.text);
	else if (chosen->count == 0)
		status = refuse(&granted);
	else
		status = grant(&granted, place, options->json);
	fini(&granted);
	return status;
}

int lf_wish_do(const struct lf_options *options, const struct lf_wish *wish)
{
	return lf_chosen_do(options, LF_CHOSEN_STORED, act, (void *)wish);
}
