#include "agent/locate/debug_info.h"

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hashing/hex.h"

#define USUAL_FOLDER "/usr/lib/debug"

enum { BUILD_ID_BYTES_MAX = 64 };

struct lf_debug_info {
	Dwfl *dwfl;
	Dwfl_Module *module;
	GElf_Addr bias; /* libdwfl's address = the file's + bias */
	Dwfl_Callbacks callbacks;
	char *debug_path; /* libdwfl asks for it by its address; NULL: its default */
};

static bool is_build_id(const unsigned char *bytes, int len, const char *hex)
{
	if (len <= 0 || len > BUILD_ID_BYTES_MAX || strlen(hex) != 2 * (size_t)len)
		return false;
	for (int i = 0; i < len; i++)
		if (lf_hex_digit(hex[2 * i]) != bytes[i] >> 4 ||
		    lf_hex_digit(hex[2 * i + 1]) != (bytes[i] & 15))
			return false;
	return true;
}

/* Not blocking: where the module was, a FIFO may stand now. */
static int open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	(void)close(fd);
	return -1;
}

static bool has_build_id(Dwfl_Module *module, const char *hex)
{
	const unsigned char *bytes = NULL;
	GElf_Addr at;
	int len = dwfl_module_build_id(module, &bytes, &at);

	return len > 0 && is_build_id(bytes, len, hex);
}

static void let_go(struct lf_debug_info *info)
{
	dwfl_end(info->dwfl);
	info->dwfl = NULL;
	info->module = NULL;
}

/* True: the file is the one with this build id, and its module is there. */
static bool report(struct lf_debug_info *info, const char *path, const char *build_id)
{
	int fd = open_regular(path);

	if (fd < 0)
		return false;
	info->dwfl = dwfl_begin(&info->callbacks);
	if (!info->dwfl) {
		(void)close(fd);
		return false;
	}
	/* Which takes the fd over where it succeeds. */
	info->module = dwfl_report_offline(info->dwfl, "", path, fd);
	if (!info->module)
		(void)close(fd);
	(void)dwfl_report_end(info->dwfl, NULL, NULL);
	if (info->module && dwfl_module_getelf(info->module, &info->bias) &&
	    has_build_id(info->module, build_id))
		return true;
	let_go(info);
	return false;
}

/* The module is not there, or not as it was: its debug file may be, under its build id. */
static bool report_debug_file(struct lf_debug_info *info, const struct lf_debug_wish *wish)
{
	const char *folders = *wish->debug_path ? wish->debug_path : USUAL_FOLDER;
	char path[PATH_MAX];

	while (*folders) {
		size_t len = strcspn(folders, ":");
		const char *folder = folders + strspn(folders, "+-");
		int folder_len = (int)(len - (size_t)(folder - folders));

		if (folder_len > 0 && *folder == '/' &&
		    snprintf(path, sizeof(path), "%.*s/.build-id/%.2s/%s.debug", folder_len, folder,
			     wish->build_id, wish->build_id + 2) < (int)sizeof(path) &&
		    report(info, path, wish->build_id))
			return true;
		folders += len + (folders[len] == ':');
	}
	return false;
}

struct lf_debug_info *lf_debug_info_open(const struct lf_debug_wish *wish)
{
	struct lf_debug_info *info = calloc(1, sizeof(*info));

	if (!info)
		return NULL;
	info->debug_path = *wish->debug_path ? strdup(wish->debug_path) : NULL;
	info->callbacks = (Dwfl_Callbacks){
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
		.debuginfo_path = &info->debug_path,
	};
	if (strlen(wish->build_id) > 2 &&
	    (report(info, wish->path, wish->build_id) || report_debug_file(info, wish)))
		return info;
	lf_debug_info_close(info);
	return NULL;
}

void lf_debug_info_close(struct lf_debug_info *info)
{
	if (!info)
		return;
	if (info->dwfl)
		let_go(info);
	free(info->debug_path);
	free(info);
}

bool lf_debug_info_line(const struct lf_debug_info *info, uint64_t address, const char **file,
			int *line)
{
	Dwfl_Line *found = dwfl_module_getsrc(info->module, address + info->bias);

	*file = found ? dwfl_lineinfo(found, NULL, line, NULL, NULL, NULL) : NULL;
	return *file && *line > 0;
}
