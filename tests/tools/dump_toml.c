/* Reads TOML documents and tells what is in them, for tests that compare with another parser.
 *
 * stdin: documents, each `LENGTH LF` and so many bytes.  stdout: a line of JSON for each: {"error": "…"} or
 * {"table": {…}}.  Values: {"table": {…}}, [ … ], "…", 12, true, {"float": "0.1"}, {"time": "…"} as Python's
 * isoformat() writes it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/toml.h"

static void dump_text(struct lf_text text)
{
	size_t i;

	(void)putchar('"');
	for (i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c < ' ' || c == '"' || c == '\\' || c == 0x7f)
			(void)printf("\\u%04x", c);
		else
			(void)putchar(c);
	}
	(void)putchar('"');
}

static void dump_time(const struct lf_toml_time *time)
{
	int offset = abs(time->offset_minutes);

	(void)printf("{\"time\": \"");
	if (time->has_date)
		(void)printf("%04d-%02d-%02d", time->year, time->month, time->day);
	if (time->has_date && time->has_time)
		(void)putchar('T');
	if (time->has_time)
		(void)printf("%02d:%02d:%02d", time->hour, time->minute, time->second);
	if (time->microsecond)
		(void)printf(".%06d", time->microsecond);
	if (time->has_offset)
		(void)printf("%c%02d:%02d", time->offset_minutes < 0 ? '-' : '+', offset / 60, offset % 60);
	(void)printf("\"}");
}

static void dump(const struct lf_toml_node *node);

static void dump_children(const struct lf_toml_node *node, bool with_keys)
{
	const struct lf_toml_node *child;

	for (child = node->first; child; child = child->next) {
		if (child != node->first)
			(void)printf(", ");
		if (with_keys) {
			dump_text(child->key);
			(void)printf(": ");
		}
		dump(child);
	}
}

static void dump(const struct lf_toml_node *node)
{
	switch (node->type) {
	case LF_TOML_TABLE:
		(void)printf("{\"table\": {");
		dump_children(node, true);
		(void)printf("}}");
		break;
	case LF_TOML_ARRAY:
		(void)putchar('[');
		dump_children(node, false);
		(void)putchar(']');
		break;
	case LF_TOML_STRING:
		dump_text(node->as.string);
		break;
	case LF_TOML_INTEGER:
		(void)printf("%" PRId64, node->as.integer);
		break;
	case LF_TOML_FLOAT:
		(void)printf("{\"float\": \"%.17g\"}", node->as.number);
		break;
	case LF_TOML_BOOLEAN:
		(void)printf("%s", node->as.boolean ? "true" : "false");
		break;
	default:
		dump_time(&node->as.time);
	}
}

static void tell(struct lf_text document)
{
	struct lf_error err = { "" };
	struct lf_toml *toml = NULL;

	if (lf_toml_parse(&toml, "doc", document, &err) < 0) {
		(void)printf("{\"error\": ");
		dump_text((struct lf_text){ err.text, strlen(err.text) });
		(void)printf("}\n");
		return;
	}
	dump(lf_toml_root(toml));
	(void)putchar('\n');
	lf_toml_free(toml);
}

int main(void)
{
	char line[32], *bytes;
	size_t len;

	while (fgets(line, sizeof(line), stdin)) {
		len = strtoul(line, NULL, 10);
		/* Of just its size, so that a sanitizer sees each read beyond it. */
		bytes = malloc(len ? len : 1);
		if (!bytes || fread(bytes, 1, len, stdin) != len)
			return 1;
		tell((struct lf_text){ bytes, len });
		free(bytes);
	}
	return ferror(stdin) || fflush(stdout) != 0;
}
