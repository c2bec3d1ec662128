/* logfold show: all fields of the chosen messages. */
#include <inttypes.h>
#include <stdio.h>

#include "agent/cli/chosen.h"
#include "agent/cli/cli.h"
#include "agent/cli/display.h"
#include "agent/cli/json.h"

static void show_text(const char *name, struct lf_text text)
{
	(void)printf("%s: ", name);
	(void)lf_display(stdout, text, LF_CELLS_UNLIMITED);
	(void)putchar('\n');
}

static void show_known_text(const char *name, struct lf_text text)
{
	if (text.len > 0)
		show_text(name, text);
}

static void show_bool(const char *name, bool value)
{
	(void)printf("%s: %s\n", name, value ? "true" : "false");
}

static void show_counts(const struct lf_entry *entry)
{
	static const char *const names[LF_OUTCOME_COUNT] = {
		[LF_PASSED] = "countPassed",   [LF_MUTED] = "countMuted",   [LF_SAMPLED] = "countSampled",
		[LF_LIMITED] = "countLimited", [LF_FOLDED] = "countFolded",
	};
	unsigned i;

	(void)printf("countTotal: %" PRIu64 "\n", entry->count_total);
	for (i = 0; i < LF_OUTCOME_COUNT; i++)
		(void)printf("%s: %" PRIu64 "\n", names[i], entry->counts[i]);
}

/* The order of logfold/entry.h, as in JSON. */
static void show_entry(const struct lf_entry *entry)
{
	show_text("hash", entry->hash);
	show_text("namespace", entry->namespace);
	show_text("method", entry->method);
	show_text("messageTemplate", entry->message_template);
	show_text("templateKind", entry->template_kind);
	show_text("topFrame", entry->top_frame);
	show_bool("enabled", entry->enabled);
	show_counts(entry);
	show_text("firstSeenAt", entry->first_seen_at);
	show_text("lastSeenAt", entry->last_seen_at);
	show_bool("persistToCache", entry->persist_to_cache);
	show_bool("persistToDb", entry->persist_to_db);
	show_text("tags", entry->tags);
	(void)printf("flagsVersion: %" PRId64 "\n", entry->flags_version);
	show_text("flagsWriter", entry->flags_writer);
	show_known_text("sourceFile", entry->source_file);
	if (entry->source_line > 0)
		(void)printf("sourceLine: %" PRId64 "\n", entry->source_line);
	show_known_text("family", entry->family);
	show_known_text("policy", entry->policy);
}

static int show(void *arg, const struct lf_place *place, const struct lf_options *options,
                const struct lf_catalog *chosen)
{
	size_t i;

	(void)arg;
	(void)place;
	for (i = 0; i < chosen->count; i++) {
		if (options->json) {
			lf_json_entry(stdout, &chosen->entries[i]);
			continue;
		}
		if (i > 0)
			(void)putchar('\n');
		show_entry(&chosen->entries[i]);
	}
	return LF_EXIT_OK;
}

int lf_cmd_show(const struct lf_options *options)
{
	return lf_chosen_do(options, show, NULL);
}
