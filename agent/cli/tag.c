/* logfold tag and untag: words that people give to messages, to choose them by. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/display.h"
#include "agent/cli/wish.h"
#include "agent/core/excerpt.h"
#include "agent/core/json.h"
#include "hashing/utf8.h"

enum { TAG_MAX = 64 };

static bool is_tag(const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)word[i] < ' ' || word[i] == 0x7f)
			return false;
	return len > 0 && len <= TAG_MAX && lf_utf8_is_clean(lf_text_of(word));
}

/* The words as a JSON array; NULL when one is no tag, or memory is out: that was told. */
static char *array_of(char **words, int *status)
{
	char *text = NULL, shown[LF_EXCERPT_MAX];
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	*status = LF_EXIT_FAILED;
	for (char **word = words; out && *word; word++) {
		if (!is_tag(*word)) {
			lf_complain("'%s' is no tag: give 1 to %d bytes of text",
				    lf_excerpt(lf_text_of(*word), shown), (int)TAG_MAX);
			*status = LF_EXIT_USAGE;
			(void)fclose(out);
			free(text);
			return NULL;
		}
		(void)fputc(word == words ? '[' : ',', out);
		lf_json_string(out, lf_text_of(*word));
	}
	if (out) {
		(void)fputc(']', out);
		(void)fclose(out);
	}
	if (!text)
		lf_complain("out of memory");
	return text;
}

/* The first word chooses, the others are tags. */
static int set_tags(const struct lf_options *options, struct lf_wish *wish, const char **array)
{
	struct lf_options chosen = *options;
	int status;
	char *tags = array_of(options->words + 1, &status);

	if (!tags)
		return status;
	*array = tags;
	wish->change.what = LF_FLAG_TAGS;
	chosen.words_count = 1;
	status = lf_wish_do(&chosen, wish);
	free(tags);
	return status;
}

int lf_cmd_tag(const struct lf_options *options)
{
	struct lf_wish wish = { .done = "tagged",
		                .already_one = "it is tagged so already",
		                .already_all = "all of them are tagged so already" };

	return set_tags(options, &wish, &wish.change.tags_added);
}

int lf_cmd_untag(const struct lf_options *options)
{
	struct lf_wish wish = { .done = "untagged",
		                .already_one = "it is not tagged so",
		                .already_all = "none of them is tagged so" };

	return set_tags(options, &wish, &wish.change.tags_removed);
}
