/* logfold mute and unmute: whether the chosen messages are printed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/chosen.h"
#include "agent/cli/cli.h"
#include "agent/cli/display.h"
#include "agent/core/json.h"
#include "agent/cli/rows.h"
#include "agent/core/agent.h"

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

/* The line of an entry that is different now: `muted 3f2a…  printf  user %s in`. */
static void print_change(const struct lf_entry *entry, bool muted, bool json)
{
	struct lf_entry changed = *entry;

	changed.enabled = !muted;
	if (json) {
		lf_json_entry(stdout, &changed);
		return;
	}
	(void)printf("%s %.*s…  ", muted ? "muted" : "unmuted", LF_SHORT_HASH_CHARS, entry->hash.data);
	(void)lf_display(stdout, entry->method, LF_CELLS_UNLIMITED);
	(void)fputs("  ", stdout);
	(void)lf_display(stdout, entry->message_template, LF_CELLS_UNLIMITED);
	(void)putchar('\n');
}

static int set_muted(const struct lf_place *place, const struct lf_entry *entry, bool muted,
                     struct lf_error *err)
{
	const struct lf_everywhere where = { .store_path = place->store,
		                             .base_dir = lf_place_base(place),
		                             .shared_dir = lf_place_shared(place),
		                             .reporter = lf_complainer };
	char hash[LF_HASH_CHARS + 1], namespace[LF_NAMESPACE_MAX + 1];

	(void)snprintf(hash, sizeof(hash), "%.*s", (int)entry->hash.len, entry->hash.data);
	(void)snprintf(namespace, sizeof(namespace), "%.*s", (int)entry->namespace.len,
		       entry->namespace.data);
	return lf_mute_everywhere(&where, namespace, hash, muted, err);
}

struct tally {
	size_t changed, unchanged, overflow, failed;
};

/* Also where nothing changes: a directory may have missed it the last time. */
static void change(struct tally *tally, const struct lf_place *place,
                   const struct lf_options *options, const struct lf_entry *entry, bool muted)
{
	struct lf_error err;

	if (muted && is_overflow(entry)) {
		tally->overflow++;
	} else if (set_muted(place, entry, muted, &err) < 0) {
		lf_complain("%s", err.text);
		tally->failed++;
	} else if (entry->enabled != muted) {
		tally->unchanged++;
	} else {
		print_change(entry, muted, options->json);
		tally->changed++;
	}
}

static int change_all(void *arg, const struct lf_place *place, const struct lf_options *options,
                      const struct lf_catalog *chosen)
{
	bool muted = *(const bool *)arg;
	struct tally tally = { 0 };
	size_t i;

	for (i = 0; i < chosen->count; i++)
		change(&tally, place, options, &chosen->entries[i], muted);
	if (tally.overflow > 0)
		lf_complain("the overflow entry cannot be muted: it stands for all messages that found no "
			    "room of their own");
	if (tally.changed == 0 && tally.unchanged > 0)
		lf_complain("%s %s already", tally.unchanged == 1 ? "it is" : "all of them are",
			    muted ? "muted" : "unmuted");
	if (tally.failed > 0 || tally.overflow == chosen->count)
		return LF_EXIT_FAILED;
	return LF_EXIT_OK;
}

int lf_cmd_mute(const struct lf_options *options)
{
	bool muted = true;

	return lf_chosen_do(options, LF_CHOSEN_STORED, change_all, &muted);
}

int lf_cmd_unmute(const struct lf_options *options)
{
	bool muted = false;

	return lf_chosen_do(options, LF_CHOSEN_STORED, change_all, &muted);
}
