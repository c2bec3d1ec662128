#include "agent/map/process_id.h"

#include <string.h>

#include "hashing/decimal.h"
#include "hashing/sys.h"

static size_t read_file(const char *path, char *out, size_t size)
{
	int fd = lf_sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t got;

	if (fd < 0)
		return 0;
	got = lf_sys_read(fd, out, size);
	(void)lf_sys_close(fd);
	return got > 0 ? (size_t)got : 0;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static void read_boot_id(char out[33])
{
	char text[64];
	size_t len = read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text));
	size_t n = 0;

	for (size_t i = 0; i < len && n < 32; i++)
		if (is_hex(text[i]))
			out[n++] = text[i];
	memset(out + n, '0', 32 - n);
	out[32] = '\0';
}

/* The number after the bracket of "pid:[4026531836]". */
static uint64_t read_pid_namespace(void)
{
	char text[64];
	ssize_t len = lf_sys_readlinkat(AT_FDCWD, "/proc/self/ns/pid", text, sizeof(text));
	uint64_t inode = 0;

	for (ssize_t i = 0; i < len; i++)
		if (text[i] >= '0' && text[i] <= '9')
			inode = inode * 10 + (uint64_t)(text[i] - '0');
	return inode;
}

bool lf_process_stat_parse(struct lf_text stat, char *state, uint64_t *threads,
                           uint64_t *start_time)
{
	/* The command name (field 2) may hold anything, so fields count from its last bracket. */
	const char *end = stat.data + stat.len;
	const char *p = memrchr(stat.data, ')', stat.len);
	unsigned field = 2;

	if (!p)
		return false;
	while (++p < end) {
		uint64_t number = 0;

		if (*p != ' ')
			continue;
		field++;
		if (field == 3 && p + 1 < end)
			*state = p[1];
		for (const char *d = p + 1; d < end && *d >= '0' && *d <= '9'; d++)
			number = number * 10 + (uint64_t)(*d - '0');
		if (field == 20)
			*threads = number;
		if (field == 22) {
			*start_time = number;
			return true;
		}
	}
	return false;
}

bool lf_process_stat(uint32_t pid, char *state, uint64_t *threads, uint64_t *start_time)
{
	char path[sizeof("/proc/") + LF_DECIMAL_MAX + sizeof("/stat")] = "/proc/";
	char stat[512];
	size_t len;

	memcpy(lf_decimal_put(path + strlen(path), pid), "/stat", sizeof("/stat"));
	len = read_file(path, stat, sizeof(stat));
	return lf_process_stat_parse((struct lf_text){ stat, len }, state, threads, start_time);
}

void lf_process_id_read(struct lf_process_id *out, uint32_t pid)
{
	uint64_t threads;
	char state;

	memset(out, 0, sizeof(*out));
	read_boot_id(out->boot_id);
	out->pid = pid ? pid : (uint32_t)lf_sys_getpid();
	out->pid_namespace = read_pid_namespace();
	if (!lf_process_stat(out->pid, &state, &threads, &out->start_time))
		out->start_time = 0;
}

void lf_process_program(char *out, size_t size, char *room, size_t room_size)
{
	ssize_t len = lf_sys_readlinkat(AT_FDCWD, "/proc/self/exe", room, room_size);
	const char *base, *slash;
	size_t n;

	if (len <= 0) {
		out[0] = '\0';
		return;
	}
	slash = memrchr(room, '/', (size_t)len);
	base = slash ? slash + 1 : room;
	n = (size_t)(room + len - base);
	n = n < size - 1 ? n : size - 1;
	memcpy(out, base, n);
	out[n] = '\0';
}

void lf_process_id_name(const struct lf_process_id *id, const uint8_t random[16],
                        char out[LF_SEGMENT_NAME_MAX])
{
	memcpy(out, id->boot_id, 32);
	out += 32;
	*out++ = '-';
	out = lf_decimal_put(out, id->pid);
	*out++ = '-';
	out = lf_decimal_put(out, id->start_time);
	*out++ = '-';
	for (int i = 0; i < 16; i++) {
		*out++ = "0123456789abcdef"[random[i] >> 4];
		*out++ = "0123456789abcdef"[random[i] & 15];
	}
	memcpy(out, LF_SEGMENT_SUFFIX, sizeof(LF_SEGMENT_SUFFIX));
}

static const char *skip_hex(const char *p, unsigned count)
{
	for (; count; count--, p++)
		if (!is_hex(*p))
			return NULL;
	return p;
}

bool lf_process_id_parse(const char *name, struct lf_process_id *out)
{
	const char *p = skip_hex(name, 32);
	uint64_t pid;

	if (!p || *p++ != '-')
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out->boot_id, name, 32);
	p = lf_decimal_read(p, UINT32_MAX, &pid);
	if (!p || *p++ != '-')
		return false;
	out->pid = (uint32_t)pid;
	p = lf_decimal_read(p, UINT64_MAX, &out->start_time);
	if (!p || *p++ != '-')
		return false;
	p = skip_hex(p, 32);
	return p && strcmp(p, LF_SEGMENT_SUFFIX) == 0;
}
