#include "agent/core/locate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sinks/beside.h"
#include "hashing/clock.h"
#include "hashing/utf8.h"

enum {
	NUMBER_CHARS = 10, /* of a line */
	ANSWER_MAX = LF_LOCATE_ADDRESSES * (NUMBER_CHARS + 1 + LF_LOCATE_FILE_MAX + 1),
	END_MS = 100,
	UNBURIED_MAX = 16, /* as many that did not end at once are remembered */
};

struct lf_locate {
	pid_t pid;
	int fd;
	int64_t deadline_ms;
	size_t len;
	struct lf_source answers[LF_LOCATE_ADDRESSES];
	char text[ANSWER_MAX];
};

/* ---- The question ---- */

struct request {
	char text[LF_LOCATE_REQUEST_MAX];
	size_t len;
};

static bool put(struct request *request, const char *word)
{
	size_t bytes = strlen(word) + 1;

	if (bytes > sizeof(request->text) - request->len)
		return false;
	memcpy(request->text + request->len, word, bytes);
	request->len += bytes;
	return true;
}

static bool put_number(struct request *request, const char *format, unsigned long number)
{
	char text[32];

	/* A literal of ours: %lu or %lx. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(text, sizeof(text), format, number);
#pragma GCC diagnostic pop
	return put(request, text);
}

static int write_request(struct request *request, const struct lf_locate_question *question)
{
	const char *debug_path = secure_getenv(LF_LOCATE_DEBUG_PATH_ENV);
	bool fits = put_number(request, "%lu", question->uid) && put(request, question->build_id) &&
	            put(request, debug_path ? debug_path : "") && put(request, question->module);

	for (size_t i = 0; fits && i < question->count; i++)
		fits = put_number(request, "%lx", question->addresses[i]);
	return fits && question->count <= LF_LOCATE_ADDRESSES ? 0 : -EINVAL;
}

/* ---- The process ---- */

static int describe(posix_spawn_file_actions_t *files, posix_spawnattr_t *how, int in, int out)
{
	sigset_t none, all;
	int rc = posix_spawn_file_actions_adddup2(files, in, STDIN_FILENO);

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(files, out, STDOUT_FILENO);
	/* What a library says while it dies is no news to the person at the terminal. */
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(how, &none);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(how, &all);
	/* A group of its own: what a terminal sends to ours is not meant for it. */
	if (rc == 0)
		rc = posix_spawnattr_setpgroup(how, 0);
	if (rc == 0)
		rc = posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
		                                           POSIX_SPAWN_SETPGROUP);
	return -rc;
}

/* Without an environment: elfutils would ask DEBUGINFOD_URLS over the network, the loader would take our
 * LD_PRELOAD, and a library may have ears for anything else. */
static int spawn(pid_t *out, const char *program, int in_fd, int out_fd)
{
	char name[] = LF_LOCATE_PROGRAM, *const argv[] = { name, NULL }, *const no_environment[] = { NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	int rc = -posix_spawn_file_actions_init(&files);

	if (rc < 0)
		return rc;
	rc = -posix_spawnattr_init(&how);
	if (rc == 0) {
		rc = describe(&files, &how, in_fd, out_fd);
		if (rc == 0)
			rc = -posix_spawn(out, program, &files, &how, argv, no_environment);
		(void)posix_spawnattr_destroy(&how);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return rc;
}

static void close_both(const int fds[2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* The pipe is empty and takes the question whole, so that nobody has to listen yet. */
static int open_question(int in[2], const struct request *request)
{
	int rc = 0;

	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (write(in[1], request->text, request->len) != (ssize_t)request->len)
		rc = -EIO;
	(void)close(in[1]);
	if (rc < 0)
		(void)close(in[0]);
	return rc;
}

static int start(struct lf_locate *locate, const char *program, const struct request *request)
{
	int in[2], out[2];
	int rc = open_question(in, request);

	if (rc < 0)
		return rc;
	if (pipe2(out, O_CLOEXEC) < 0) {
		rc = -errno;
		(void)close(in[0]);
		return rc;
	}
	rc = spawn(&locate->pid, program, in[0], out[1]);
	(void)close(in[0]);
	if (rc < 0) {
		close_both(out);
		return rc;
	}
	(void)close(out[1]);
	locate->fd = out[0];
	(void)fcntl(locate->fd, F_SETFL, O_NONBLOCK);
	return 0;
}

int lf_locate_start(struct lf_locate **out, const struct lf_locate_question *question,
                    struct lf_error *err)
{
	struct request request = { .len = 0 };
	struct lf_locate *locate;
	char program[PATH_MAX];
	int rc = write_request(&request, question);

	if (rc < 0)
		return lf_fail(err, rc, "the path of '%.200s' is too long to be looked at",
		               question->module);
	if (!lf_beside_find(LF_LOCATE_PROGRAM, X_OK, program))
		return lf_fail(err, -ENOENT, LF_LOCATE_PROGRAM " is neither beside logfold nor in %s, so "
		                             "that no message's line of source is known: install it",
		               lf_beside_libdir);
	locate = calloc(1, sizeof(*locate));
	if (!locate)
		return lf_fail(err, -ENOMEM, "there is no memory to ask " LF_LOCATE_PROGRAM);
	rc = start(locate, program, &request);
	if (rc < 0) {
		free(locate);
		return lf_fail(err, rc, LF_LOCATE_PROGRAM " cannot be started: %s", strerror(-rc));
	}
	locate->deadline_ms = lf_clock_ms() + LF_LOCATE_TIMEOUT_MS;
	*out = locate;
	return 0;
}

int lf_locate_fd(const struct lf_locate *locate)
{
	return locate->fd;
}

int64_t lf_locate_deadline_ms(const struct lf_locate *locate)
{
	return locate->deadline_ms;
}

/* ---- The answer ---- */

/* The text up to the next NUL; false: it was cut off. */
static bool next(const struct lf_locate *locate, size_t *at, struct lf_text *out)
{
	const char *begin = locate->text + *at, *end = memchr(begin, '\0', locate->len - *at);

	if (!end)
		return false;
	*out = (struct lf_text){ begin, (size_t)(end - begin) };
	*at += out->len + 1;
	return true;
}

static int64_t line_of(struct lf_text text)
{
	int64_t line = 0;

	if (text.len == 0 || text.len > NUMBER_CHARS)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		line = line * 10 + (text.data[i] - '0');
	}
	return line;
}

static void parse(struct lf_locate *locate)
{
	struct lf_text line, file;
	size_t at = 0;

	for (size_t i = 0; i < LF_LOCATE_ADDRESSES; i++) {
		if (!next(locate, &at, &line) || !next(locate, &at, &file))
			return;
		if (file.len > 0 && file.len <= LF_LOCATE_FILE_MAX && lf_utf8_is_clean(file) &&
		    line_of(line) > 0)
			locate->answers[i] = (struct lf_source){ file, line_of(line) };
	}
}

/* True: it has said all that it will. */
static bool listen(struct lf_locate *locate)
{
	while (locate->len < sizeof(locate->text)) {
		ssize_t got = read(locate->fd, locate->text + locate->len,
		                   sizeof(locate->text) - locate->len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno != EAGAIN;
		if (got == 0)
			return true;
		locate->len += (size_t)got;
	}
	return true;
}

bool lf_locate_go_on(struct lf_locate *locate)
{
	if (!listen(locate) && lf_clock_ms() < locate->deadline_ms)
		return false;
	parse(locate);
	return true;
}

bool lf_locate_wait(struct lf_locate *locate, int64_t until_ms)
{
	struct pollfd fd = { .fd = locate->fd, .events = POLLIN };

	while (!lf_locate_go_on(locate)) {
		int64_t end = until_ms < locate->deadline_ms ? until_ms : locate->deadline_ms;
		int64_t left = end - lf_clock_ms();

		if (left <= 0 && until_ms < locate->deadline_ms)
			return false;
		(void)poll(&fd, 1, left > 0 ? (int)left : 0);
	}
	return true;
}

struct lf_source lf_locate_answer(const struct lf_locate *locate, size_t i)
{
	return locate->answers[i];
}

/* ---- The end ---- */

/* It was killed, or has said its last word: it ends at once, unless the kernel has it wait for a disk. */
static bool has_ended(pid_t pid)
{
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	if (end.fd >= 0) {
		(void)poll(&end, 1, END_MS);
		(void)close(end.fd);
	}
	return waitpid(pid, NULL, WNOHANG) != 0;
}

/* Only our own, by their ids: the program that embeds the agent has other children. */
static void bury(pid_t pid)
{
	static pid_t unburied[UNBURIED_MAX];
	size_t i, place = UNBURIED_MAX;

	for (i = 0; i < UNBURIED_MAX; i++) {
		if (unburied[i] > 0 && waitpid(unburied[i], NULL, WNOHANG) != 0)
			unburied[i] = 0;
		if (unburied[i] == 0)
			place = i;
	}
	if (!has_ended(pid) && place < UNBURIED_MAX)
		unburied[place] = pid;
}

void lf_locate_end(struct lf_locate *locate)
{
	if (!locate)
		return;
	(void)kill(locate->pid, SIGKILL);
	(void)close(locate->fd);
	bury(locate->pid);
	free(locate);
}
