/* logfold-locate: asked by the agent and by `logfold show` where in the source a message is printed from.
 *
 * Why a program of its own.  An agent for all users reads ELF files and debug information that any of
 * them made, by a library that was written for one's own.  So that happens in a process that knows
 * nothing, holds nothing open, lives for one module, and is killed when it takes too long: what a
 * hostile file can break there is its own lines.  A forked child of the agent would hold the locks that
 * other threads of it (the tiers') had at that moment; and the command itself, started again, would load
 * libdw and what that needs each time that anybody says `logfold ls`.
 *
 * Whose eyes.  A user's segment may name any path, and the answer is in the store that the user can ask:
 * the file is therefore opened with that user's rights, not with the agent's, where that one is root;
 * an agent that is not (the service's user has no capability, and homes are hidden from it) has no
 * rights that matter.  What comes out is the name and the line that debug information has for an address
 * of a program whose build id the asker had to know.  Files that root's own processes named are looked at
 * with the rights of the file's owner: root has no need to read with all its own what another user wrote.
 *
 * Limits are set before the first byte of the file is read: processor time, memory, open files, no
 * writing, no core, no child, and an alarm for what waits instead of working.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/locate/debug_info.h"
#include "agent/locate/protocol.h"

enum {
	CPU_S = 5,
	WALL_S = 10,
	OPEN_FILES = 32,
	MEMORY_MIB = 1024, /* mapped files, too */
	NICE = 10,
	NOBODYS_GROUP = 65534,
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEMORY_BOUNDED = 0 }; /* the sanitizers map terabytes */
#else
enum { MEMORY_BOUNDED = 1 };
#endif

/* ---- The request ---- */

struct request {
	char text[LF_LOCATE_REQUEST_MAX + 1]; /* ends with a NUL of ours */
	size_t len, at;
	uid_t uid;
	struct lf_debug_wish wish;
};

static bool read_all(struct request *request)
{
	ssize_t got;

	while ((got = read(STDIN_FILENO, request->text + request->len,
			   LF_LOCATE_REQUEST_MAX - request->len)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		request->len += (size_t)got;
	}
	return request->len > 0 && request->text[request->len - 1] == '\0';
}

/* NULL: there is no more. */
static const char *next(struct request *request)
{
	const char *word = request->text + request->at;

	if (request->at >= request->len)
		return NULL;
	request->at += strlen(word) + 1;
	return word;
}

static bool read_request(struct request *request)
{
	const char *uid;

	if (!read_all(request))
		return false;
	uid = next(request);
	request->wish.build_id = next(request);
	request->wish.debug_path = next(request);
	request->wish.path = next(request);
	if (!uid || !request->wish.path || *request->wish.path != '/')
		return false;
	request->uid = (uid_t)strtoul(uid, NULL, 10);
	return true;
}

/* ---- Less than the agent may ---- */

static uid_t reader_of(const struct request *request)
{
	struct stat st;

	if (request->uid == 0 && stat(request->wish.path, &st) == 0)
		return st.st_uid;
	return request->uid;
}

static bool give_up_rights(const struct request *request)
{
	uid_t uid = reader_of(request);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return false;
	if (geteuid() != 0 || uid == 0)
		return true;
	return setgroups(0, NULL) == 0 && setresgid(NOBODYS_GROUP, NOBODYS_GROUP, NOBODYS_GROUP) == 0 &&
	       setresuid(uid, uid, uid) == 0;
}

static bool bound(int resource, rlim_t most)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return false;
	limit.rlim_max = limit.rlim_max < most ? limit.rlim_max : most;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}

static bool bound_all(void)
{
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(WALL_S);
	/* Not beyond the one that asked; cleared by another user's id, so it stands behind that. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return bound(RLIMIT_CPU, CPU_S) && bound(RLIMIT_NOFILE, OPEN_FILES) &&
	       bound(RLIMIT_FSIZE, 0) && bound(RLIMIT_CORE, 0) && bound(RLIMIT_NPROC, 0) &&
	       (!MEMORY_BOUNDED || bound(RLIMIT_AS, (rlim_t)MEMORY_MIB << 20));
}

/* ---- The answer ---- */

/* Each by itself, so that what was found before a file turns out to be deadly is said. */
static bool answer(const struct lf_debug_info *info, uint64_t address)
{
	const char *file;
	int line;

	if (!info || !lf_debug_info_line(info, address, &file, &line) ||
	    strlen(file) > LF_LOCATE_FILE_MAX) {
		file = "";
		line = 0;
	}
	return printf("%d%c%s%c", line, '\0', file, '\0') > 0 && fflush(stdout) == 0;
}

int main(void)
{
	struct request request = { .len = 0 };
	struct lf_debug_info *info;
	const char *address;
	bool going = true;

	if (!read_request(&request) || !give_up_rights(&request) || !bound_all())
		return EXIT_FAILURE;
	info = lf_debug_info_open(&request.wish);
	while (going && (address = next(&request)))
		going = answer(info, strtoull(address, NULL, 16));
	lf_debug_info_close(info);
	return going ? EXIT_SUCCESS : EXIT_FAILURE;
}
