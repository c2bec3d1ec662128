/* logfold show: all fields of the chosen messages. */
#include <inttypes.h>
#include <stdio.h>

#include "agent/cli/afar.h"
#include "agent/cli/chosen.h"
#include "agent/cli/cli.h"
#include "agent/cli/display.h"
#include "agent/core/fields.h"
#include "agent/core/json.h"

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

static void show_entry(const struct lf_entry *entry)
{
	const struct lf_field *field;

	for (field = lf_fields; field->name; field++) {
		if (!lf_field_is_known(field, entry))
			continue;
		(void)printf("%s: ", field->name);
		show_value(field, entry);
		(void)putchar('\n');
	}
}

static int show(void *arg, const struct lf_place *place, const struct lf_options *options,
                struct lf_catalog *chosen)
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
