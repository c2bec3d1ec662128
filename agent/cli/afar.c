#include "agent/cli/afar.h"

#include <stdlib.h>
#include <string.h>

#include "agent/cli/json_read.h"
#include "agent/cli/place.h"

enum { ASK_TIMEOUT_MS = 15000 }; /* the agent may be waiting for a tier that is about to fail */

static bool is_whole_hash(const char *word)
{
	return strlen(word) == LF_HASH_CHARS && strspn(word, "0123456789abcdef") == LF_HASH_CHARS;
}

static int note(void *arg, const struct lf_entry *entry)
{
	(void)entry;
	*(bool *)arg = true;
	return 1;
}

static bool is_in_store(const struct lf_place *place, const char *namespace, const char *hash)
{
	struct lf_query query = { .namespace = namespace, .hash_prefix = hash };
	struct lf_store *store = NULL;
	bool found = false;

	if (lf_store_open(&store, place->store, LF_STORE_READ_ONLY, NULL) == 0 &&
	    lf_store_each(store, &query, note, &found, NULL) < 0)
		found = false;
	lf_store_close(store);
	return found;
}

/* Two lines: the entry, and where it was found. */
static bool read_answer(char *answer,
                        void (*show)(const struct lf_entry *entry, const char *source))
{
	struct lf_json_reader *reader = NULL;
	struct lf_json_line line;
	char *end = strchr(answer, '\n'), *source;
	bool read = false;

	if (!end || lf_json_reader_new(&reader, NULL) < 0)
		return false;
	source = end + 1;
	source[strcspn(source, "\n")] = '\0';
	if (lf_json_read(reader, (struct lf_text){ answer, (size_t)(end - answer) }, &line, NULL) == 0) {
		show(&line.entry, source);
		read = true;
	}
	lf_json_reader_free(reader);
	return read;
}

bool lf_afar_show(const struct lf_options *options,
                  void (*show)(const struct lf_entry *entry, const char *source))
{
	const char *namespace = options->namespace ? options->namespace : ""; /* the agent's own */
	char request[LF_NAMESPACE_MAX + LF_HASH_CHARS + 8], *answer = NULL;
	struct lf_place place;
	bool shown;

	if (options->words_count != 1 || !is_whole_hash(options->words[0]) ||
	    lf_place_find(&place, options, NULL) < 0 ||
	    is_in_store(&place, options->namespace, options->words[0]))
		return false;
	(void)snprintf(request, sizeof(request), "find %s%s%s", namespace, *namespace ? " " : "",
	               options->words[0]);
	shown = lf_place_ask(&place, request, ASK_TIMEOUT_MS, &answer, NULL) == 0 &&
	        read_answer(answer, show);
	free(answer);
	return shown;
}
