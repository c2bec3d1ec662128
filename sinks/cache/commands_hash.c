#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "sinks/cache/apply.h"
#include "sinks/cache/bytes.h"

/* --- the fields that a command names ---------------------------------------------------------------- */

/* By name, so that many fields are found among many in one walk. */
struct slot {
	uint32_t field; /* its place in the command and one; 0: free */
	bool found;     /* it is in the hash already */
	bool written;   /* bytes that others wrote may name a field twice: there is room for one */
};

enum { FEW = 32 };

struct names {
	const struct lf_cache_field *fields;
	struct slot *slots;
	size_t mask;
	struct slot few[FEW]; /* in place of a block of their own */
};

/* The slot of that name, or the free one where it belongs. */
static struct slot *slot_of(const struct names *names, struct lf_text name)
{
	size_t at = name.len ? (size_t)XXH3_64bits(name.data, name.len) : 0;
	struct slot *slot;

	for (;; at++) {
		const struct lf_text *other;

		slot = &names->slots[at & names->mask];
		if (!slot->field)
			return slot;
		other = &names->fields[slot->field - 1].name;
		if (other->len == name.len && (!name.len || memcmp(other->data, name.data, name.len) == 0))
			return slot;
	}
}

static struct slot *find(const struct names *names, struct lf_text name)
{
	struct slot *slot = slot_of(names, name);

	return slot->field ? slot : NULL;
}

/* Of fields with one name, the last is meant. */
static int names_init(struct names *names, const struct lf_command *command, struct lf_error *err)
{
	size_t slots = FEW;

	if (command->fields_count > UINT32_MAX / 4)
		return lf_fail(err, -EFBIG, "%zu fields are too many for one call", command->fields_count);
	while (slots < 2 * command->fields_count)
		slots *= 2;
	names->fields = command->fields;
	names->mask = slots - 1;
	memset(names->few, 0, sizeof(names->few));
	names->slots = slots == FEW ? names->few : calloc(slots, sizeof(*names->slots));
	if (!names->slots)
		return lf_fail(err, -ENOMEM, "no memory for %zu fields", command->fields_count);
	for (size_t i = 0; i < command->fields_count; i++)
		slot_of(names, command->fields[i].name)->field = (uint32_t)i + 1;
	return 0;
}

static void names_fini(struct names *names)
{
	if (names->slots != names->few)
		free(names->slots);
}

/* --- HSET ------------------------------------------------------------------------------------------- */

static bool is_last_of_name(const struct names *names, size_t i)
{
	return find(names, names->fields[i].name)->field == i + 1;
}

/* How long the hash will be, and by how many fields more; -EFBIG. */
static int measure(const struct lf_apply *apply, const struct names *names, uint64_t *size, int64_t *fresh,
                   struct lf_error *err)
{
	const struct lf_command *command = apply->command;
	uint64_t max = command->value_max < UINT32_MAX ? command->value_max : UINT32_MAX;
	struct lf_cache_field field;
	size_t at = 0;

	*size = 0;
	*fresh = 0;
	while (apply->before && lf_next_field(apply->before->value, &at, &field)) {
		struct slot *slot = find(names, field.name);

		if (slot)
			slot->found = true;
		else
			*size += lf_field_size(&field);
	}
	for (size_t i = 0; i < command->fields_count; i++) {
		const struct lf_cache_field *given = &command->fields[i];

		if (!is_last_of_name(names, i))
			continue;
		if (given->name.len > max || given->value.len > max || *size + lf_field_size(given) > max)
			return lf_apply_too_big(command, err);
		*size += lf_field_size(given);
		*fresh += !find(names, given->name)->found;
	}
	return 0;
}

/* Fields that were there keep their place. */
static void merge(const struct lf_apply *apply, const struct names *names, char *out)
{
	const struct lf_command *command = apply->command;
	struct lf_cache_field field;
	size_t at = 0;

	while (apply->before && lf_next_field(apply->before->value, &at, &field)) {
		struct slot *slot = find(names, field.name);

		if (!slot || !slot->written)
			out = lf_put_field(out, slot ? &command->fields[slot->field - 1] : &field);
		if (slot)
			slot->written = true;
	}
	for (size_t i = 0; i < command->fields_count; i++)
		if (is_last_of_name(names, i) && !find(names, command->fields[i].name)->found)
			out = lf_put_field(out, &command->fields[i]);
}

int lf_apply_hset(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err)
{
	char *value = NULL;
	struct names names;
	uint64_t size;
	int rc = lf_apply_type(apply->before, LF_RECORD_HASH, err);

	if (rc < 0 || apply->command->fields_count == 0)
		return rc;
	rc = names_init(&names, apply->command, err);
	if (rc < 0)
		return rc;
	rc = measure(apply, &names, &size, &out->number, err);
	if (rc < 0)
		goto out;
	value = malloc(size);
	if (!value) {
		rc = lf_fail(err, -ENOMEM, "no memory for a hash of %llu bytes", (unsigned long long)size);
		goto out;
	}
	merge(apply, &names, value);
	rc = lf_apply_value(apply, LF_RECORD_HASH, (struct lf_text){ value, size }, out, err);
out:
	free(value);
	names_fini(&names);
	return rc;
}

/* --- HDEL ------------------------------------------------------------------------------------------- */

/* What is left, and how many fields went. */
static size_t leave_out(struct lf_text hash, const struct names *names, char *out, int64_t *gone)
{
	struct lf_cache_field field;
	char *end = out;
	size_t at = 0;

	for (*gone = 0; lf_next_field(hash, &at, &field);) {
		if (find(names, field.name))
			(*gone)++;
		else
			end = lf_put_field(end, &field);
	}
	return (size_t)(end - out);
}

int lf_apply_hdel(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err)
{
	struct lf_text left;
	struct names names;
	char *value;
	int rc = lf_apply_type(apply->before, LF_RECORD_HASH, err);

	if (rc < 0 || !apply->before)
		return rc;
	value = malloc(apply->before->value.len + 1);
	if (!value)
		return lf_fail(err, -ENOMEM, "no memory for a hash of %zu bytes", apply->before->value.len);
	rc = names_init(&names, apply->command, err);
	if (rc < 0)
		goto out;
	left = (struct lf_text){ value, leave_out(apply->before->value, &names, value, &out->number) };
	if (out->number && !left.len)
		out->outcome = LF_COMMAND_REMOVE;
	else if (out->number)
		rc = lf_apply_value(apply, LF_RECORD_HASH, left, out, err);
	names_fini(&names);
out:
	free(value);
	return rc;
}

/* --- reading ---------------------------------------------------------------------------------------- */

int lf_command_hget(const struct lf_record *before, struct lf_text field, struct lf_text *out, struct lf_error *err)
{
	struct lf_cache_field each;
	struct lf_text hash;
	size_t at = 0;
	int rc = lf_command_hgetall(before, &hash, err);

	while (rc == 1 && lf_next_field(hash, &at, &each)) {
		if (each.name.len != field.len || (field.len && memcmp(each.name.data, field.data, field.len) != 0))
			continue;
		*out = each.value;
		return 1;
	}
	return rc < 0 ? rc : 0;
}
