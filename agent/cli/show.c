/* logfold show: all fields of the chosen messages. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/afar.h"
#include "agent/cli/chosen.h"
#include "agent/cli/cli.h"
#include "agent/cli/display.h"
#include "agent/core/fields.h"
#include "agent/core/json.h"
#include "agent/core/sources.h"

static void show_value(const struct lf_field *field, const struct lf_entry *entry)
{
	switch (field->kind) {
	case LF_FIELD_TEXT:
	case LF_FIELD_TAGS:
		(void)lf_display(stdout, lf_field_text(field, entry), LF_CELLS_UNLIMITED);
		break;
	case LF_FIELD_BOOL:
		(void)fputs(lf_field_bool(field, entry) ? "true" : "false", stdout);
		break;
	case LF_FIELD_COUNT:
		(void)printf("%" PRIu64, lf_field_count(field, entry));
		break;
	case LF_FIELD_NUMBER:
		(void)printf("%" PRId64, lf_field_number(field, entry));
		break;
	}
}

static bool is_of_source(const struct lf_field *field)
{
	return strncmp(field->name, "source", strlen("source")) == 0;
}

/* As compilers write a place, and editors read one. */
static void show_source(const struct lf_entry *entry)
{
	if (!entry->source_file.len)
		return;
	(void)fputs("source: ", stdout);
	(void)lf_display(stdout, entry->source_file, LF_CELLS_UNLIMITED);
	if (entry->source_line > 0)
		(void)printf(":%" PRId64, entry->source_line);
	(void)putchar('\n');
}

static void show_entry(const struct lf_entry *entry)
{
	const struct lf_field *field;

	for (field = lf_fields; field->name; field++) {
		if (is_of_source(field) || !lf_field_is_known(field, entry))
			continue;
		(void)printf("%s: ", field->name);
		show_value(field, entry);
		(void)putchar('\n');
	}
	show_source(entry);
}

/* The debug information may have come since the agent looked, or nobody has looked yet. */
static struct lf_entry with_source(const struct lf_entry *entry, const struct lf_place *place,
                                   char *file, size_t size)
{
	struct lf_entry complete = *entry;
	struct lf_store *store = NULL;

	if (entry->source_file.len || lf_store_open(&store, place->store, LF_STORE_READ_ONLY, NULL) < 0)
		return complete;
	if (lf_sources_find(store, entry, file, size, &complete.source_line))
		complete.source_file = (struct lf_text){ file, strlen(file) };
	lf_store_close(store);
	return complete;
}

static int show(void *arg, const struct lf_place *place, const struct lf_options *options,
                struct lf_catalog *chosen)
{
	char file[LF_LOCATE_FILE_MAX + 1];
	size_t i;

	(void)arg;
	for (i = 0; i < chosen->count; i++) {
		struct lf_entry entry = with_source(&chosen->entries[i], place, file, sizeof(file));

		if (options->json) {
			lf_json_entry(stdout, &entry);
			continue;
		}
		if (i > 0)
			(void)putchar('\n');
		show_entry(&entry);
	}
	return LF_EXIT_OK;
}

static void show_text(const struct lf_entry *entry, const char *source)
{
	show_entry(entry);
	(void)printf("foundIn: %s\n", source);
}

static void show_json(const struct lf_entry *entry, const char *source)
{
	(void)source;
	lf_json_entry(stdout, entry);
}

int lf_cmd_show(const struct lf_options *options)
{
	if (lf_afar_show(options, options->json ? show_json : show_text))
		return LF_EXIT_OK;
	return lf_chosen_do(options, LF_CHOSEN_FRESH, show, NULL);
}
