#include "agent/core/stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hashing/hex.h"

#define NEW_FILE "stamp.new"
#define MAGIC_LINE "logfold-stamp 1"

void lf_stamp_fini(struct lf_stamp *stamp)
{
	for (size_t i = 0; i < stamp->count; i++)
		lf_counters_fini(&stamp->segments[i].counters);
	free(stamp->segments);
	memset(stamp, 0, sizeof(*stamp));
}

static int compare(const void *a, const void *b)
{
	const struct lf_stamp_segment *left = a, *right = b;

	return strcmp(left->name, right->name);
}

const struct lf_counters *lf_stamp_find(const struct lf_stamp *stamp, const char *name)
{
	struct lf_stamp_segment key;
	const struct lf_stamp_segment *found;

	if (!stamp->count || strlen(name) >= sizeof(key.name))
		return NULL;
	(void)strcpy(key.name, name);
	found = bsearch(&key, stamp->segments, stamp->count, sizeof(key), compare);
	return found ? &found->counters : NULL;
}

void lf_stamp_remove(int dirfd)
{
	(void)unlinkat(dirfd, LF_STAMP_FILE, 0);
}

/* ---- Reading ---- */

/* In place: the bytes take the room of the text. */
static int decode_hex(char *text, size_t *bytes)
{
	size_t len = strlen(text);

	if (len % 2)
		return -EBADMSG;
	for (size_t i = 0; i < len / 2; i++) {
		int high = lf_hex_digit(text[2 * i]), low = lf_hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EBADMSG;
		text[i] = (char)(high << 4 | low);
	}
	*bytes = len / 2;
	return 0;
}

static int add_segment(struct lf_stamp *stamp, char *line)
{
	char *hex = strchr(line, ' ');
	struct lf_stamp_segment *grown;
	size_t bytes;
	int rc;

	if (!hex || hex - line >= LF_SEGMENT_NAME_MAX)
		return -EBADMSG;
	*hex++ = '\0';
	rc = decode_hex(hex, &bytes);
	if (rc < 0)
		return rc;
	grown = realloc(stamp->segments, (stamp->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	stamp->segments = grown;
	memset(&grown[stamp->count], 0, sizeof(*grown));
	(void)strcpy(grown[stamp->count].name, line);
	rc = lf_counters_decode(&grown[stamp->count].counters, (const uint8_t *)hex, bytes);
	stamp->count += rc == 0;
	return rc;
}

/* `key ` at the start of the line, or NULL. */
static char *value_of(char *line, const char *key)
{
	size_t len = strlen(key);

	return strncmp(line, key, len) == 0 && line[len] == ' ' ? line + len + 1 : NULL;
}

/* 1 at the line that ends it. */
static int take_line(struct lf_stamp *stamp, char *line)
{
	char *value;

	if ((value = value_of(line, "segment")))
		return add_segment(stamp, value);
	if ((value = value_of(line, "store")) && strlen(value) < sizeof(stamp->store))
		return (void)strcpy(stamp->store, value), 0;
	if ((value = value_of(line, "incarnation")) && strcmp(value, "-") == 0)
		return 0;
	if (value && strlen(value) == LF_UUID_CHARS)
		return (void)strcpy(stamp->incarnation, value), 0;
	if ((value = value_of(line, "sequence"))) {
		char *end;

		errno = 0;
		stamp->sequence = strtoull(value, &end, 10);
		return errno || *end ? -EBADMSG : 0;
	}
	return strcmp(line, "end") == 0 ? 1 : -EBADMSG;
}

static int read_lines(FILE *file, struct lf_stamp *out)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int rc = 0;

	for (unsigned number = 0; rc == 0; number++) {
		len = getline(&line, &room, file);
		if (len <= 0 || line[len - 1] != '\n') {
			rc = -EBADMSG;
			break;
		}
		line[len - 1] = '\0';
		if (number > 0)
			rc = take_line(out, line);
		else if (strcmp(line, MAGIC_LINE) != 0)
			rc = -EBADMSG;
	}
	free(line);
	if (rc == 1)
		rc = out->store[0] ? 0 : -EBADMSG;
	return rc;
}

int lf_stamp_read(int dirfd, struct lf_stamp *out, struct lf_error *err)
{
	struct lf_stamp stamp = { .count = 0 };
	int fd = openat(dirfd, LF_STAMP_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	int rc;

	if (!file) {
		rc = -errno;
		if (fd >= 0)
			(void)close(fd);
		return lf_fail(err, rc, "the stamp cannot be read: %s", strerror(-rc));
	}
	rc = read_lines(file, &stamp);
	(void)fclose(file);
	if (rc < 0) {
		lf_stamp_fini(&stamp);
		return lf_fail(err, rc, rc == -ENOMEM ? "there is no memory to read the stamp" :
		                                        "the stamp is damaged");
	}
	if (stamp.count)
		qsort(stamp.segments, stamp.count, sizeof(*stamp.segments), compare);
	*out = stamp;
	return 0;
}

/* ---- Writing ---- */

static int put_segment(FILE *file, const char *name, const struct lf_counters *counters)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *record;
	size_t bytes;
	int rc = lf_counters_encode(counters, &record, &bytes);

	if (rc < 0)
		return rc;
	(void)fprintf(file, "segment %s ", name);
	for (size_t i = 0; i < bytes; i++) {
		(void)putc_unlocked(digits[record[i] >> 4], file);
		(void)putc_unlocked(digits[record[i] & 15], file);
	}
	(void)putc_unlocked('\n', file);
	free(record);
	return 0;
}

static int put_all(FILE *file, const struct lf_stamp *head, lf_stamp_next next, void *arg)
{
	const struct lf_counters *counters;
	const char *name;
	int rc = 0;

	(void)fprintf(file, MAGIC_LINE "\nstore %s\nincarnation %s\nsequence %llu\n", head->store,
	              head->incarnation[0] ? head->incarnation : "-",
	              (unsigned long long)head->sequence);
	while (rc == 0 && next(arg, &name, &counters))
		rc = put_segment(file, name, counters);
	(void)fputs("end\n", file);
	if (rc == 0 && (fflush(file) != 0 || ferror(file)))
		rc = errno ? -errno : -EIO;
	/* A stamp that a power loss leaves behind must be whole, where the directory survives one. */
	if (rc == 0 && fdatasync(fileno(file)) < 0)
		rc = -errno;
	return rc;
}

int lf_stamp_write(int dirfd, const struct lf_stamp *head, lf_stamp_next next, void *arg,
                   struct lf_error *err)
{
	int fd = openat(dirfd, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	int rc;

	if (!file) {
		rc = -errno;
		if (fd >= 0)
			(void)close(fd);
		return lf_fail(err, rc, "the stamp cannot be written: %s", strerror(-rc));
	}
	rc = put_all(file, head, next, arg);
	if (fclose(file) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && renameat(dirfd, NEW_FILE, dirfd, LF_STAMP_FILE) < 0)
		rc = -errno;
	if (rc < 0) {
		(void)unlinkat(dirfd, NEW_FILE, 0);
		return lf_fail(err, rc, "the stamp cannot be written: %s", strerror(-rc));
	}
	return 0;
}
