#include "agent/core/control.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/core/agent.h"
#include "agent/map/flags.h"
#include "hashing/clock.h"
#include "tests/unit/segment_fixture.h"

static struct lf_error why;

static void set_up(void)
{
	(void)fixture_dir();
	(void)setenv("XDG_STATE_HOME", fixture_path("state"), 1);
	(void)unsetenv("LOGFOLD_RUN_DIR");
	cr_assert_eq(mkdir(fixture_path("base"), 0700), 0);
}

TestSuite(control, .init = set_up, .fini = fixture_remove, .timeout = 60);
TestSuite(agent, .init = set_up, .fini = fixture_remove, .timeout = 60);

/* ---- The socket alone ---- */

static const char many_lines[] = "one\ntwo\n\nfour";
static struct lf_control_request last_request;

/* `later` is put off, `many` is data, `large <n>` is so many bytes of it. */
static int echo(void *arg, const struct lf_control_request *request, FILE *reply,
                struct lf_error *err)
{
	unsigned bytes;

	++*(int *)arg;
	last_request = *request;
	last_request.line = NULL;
	if (strcmp(request->line, "fail") == 0)
		return lf_fail(err, -EIO, "it went wrong");
	if (strcmp(request->line, "later") == 0)
		return LF_CONTROL_LATER;
	if (strcmp(request->line, "many") == 0) {
		(void)fputs(many_lines, reply);
		return LF_CONTROL_DATA;
	}
	if (sscanf(request->line, "large %u", &bytes) == 1) {
		for (unsigned i = 0; i < bytes; i++)
			(void)fputc('a' + (int)(i % 23), reply);
		return LF_CONTROL_DATA;
	}
	(void)fputs(request->line, reply);
	return LF_CONTROL_OK;
}

/* Serves until the child has ended; its exit status, or -1 when it took too long. */
static int serve_until_exit(struct lf_control *control, pid_t child)
{
	struct pollfd fds[1 + LF_CONTROL_CLIENTS];
	int status;

	for (int turns = 0; turns < 1000; turns++) {
		size_t count = lf_control_fds(control, fds);

		(void)poll(fds, count, 10);
		lf_control_handle(control, fds, count);
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	(void)kill(child, SIGKILL);
	return -1;
}

static int open_base(void)
{
	return open(fixture_path("base"), O_RDONLY | O_DIRECTORY);
}

static struct lf_control *listen_at(int dirfd, int *requests)
{
	struct lf_control *control = NULL;

	cr_assert_eq(lf_control_listen(&control, dirfd, false, echo, requests, &why), 0, "%s", why.text);
	return control;
}

/* In the child: 0 when the answer is as expected. */
static void ask_and_exit(int dirfd, const char *request, int rc, const char *text)
{
	struct lf_error err = { "" };
	char answer[64] = "";
	int got = lf_control_ask(dirfd, request, 3000, answer, sizeof(answer), &err);

	_exit(got == rc && strcmp(got < 0 ? err.text : answer, text) == 0 ? 0 : 1);
}

Test(control, a_request_gets_its_answer_and_a_failure_its_sentence)
{
	int requests = 0, dirfd = open_base();
	struct lf_control *control = listen_at(dirfd, &requests);
	struct stat st;
	pid_t child;

	cr_assert_eq(fstatat(dirfd, LF_CONTROL_FILE, &st, 0), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	child = fork();
	if (child == 0)
		ask_and_exit(dirfd, "hello you", 0, "hello you");
	cr_assert_eq(serve_until_exit(control, child), 0);
	child = fork();
	if (child == 0)
		ask_and_exit(dirfd, "fail", -EREMOTEIO, "it went wrong");
	cr_assert_eq(serve_until_exit(control, child), 0);
	cr_assert_eq(requests, 2);
	lf_control_close(control);
	cr_assert_not(fixture_exists(fixture_path("base/control")));
}

Test(control, without_an_agent_nobody_waits)
{
	int requests = 0, dirfd = open_base();
	pid_t child;

	cr_assert_eq(lf_control_ask(dirfd, "drain", 3000, NULL, 0, &why), -ENOENT);
	child = fork();
	if (child == 0) {
		struct lf_control *control;

		(void)!lf_control_listen(&control, dirfd, false, echo, &requests, NULL);
		_exit(0); /* without removing the socket */
	}
	(void)waitpid(child, NULL, 0);
	cr_assert(fixture_exists(fixture_path("base/control")));
	cr_assert_eq(lf_control_ask(dirfd, "drain", 3000, NULL, 0, &why), -ECONNREFUSED);
	lf_control_close(listen_at(dirfd, &requests));
}

Test(control, an_agent_that_does_not_answer_is_given_up_at_the_deadline)
{
	int requests = 0, dirfd = open_base();
	struct lf_control *control = listen_at(dirfd, &requests);
	struct timespec from, to;

	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	cr_assert_eq(lf_control_ask(dirfd, "drain", 200, NULL, 0, &why), -ETIMEDOUT);
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	cr_assert_lt(to.tv_sec - from.tv_sec, 5);
	lf_control_close(control);
}

/* Whether somebody who has so much time is told that there is no answer, before it is over. */
static bool is_given_up(int dirfd, int timeout_ms)
{
	int64_t end = lf_clock_ms() + timeout_ms;

	return lf_control_ask(dirfd, "drain", timeout_ms, NULL, 0, &why) == -ETIMEDOUT && lf_clock_ms() < end;
}

Test(control, an_agent_that_is_stopped_is_not_waited_for)
{
	int requests = 0, status, dirfd = open_base();
	pid_t child = fork();
	bool given_up;

	if (child == 0) {
		(void)listen_at(dirfd, &requests);
		(void)raise(SIGSTOP);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
	cr_assert(WIFSTOPPED(status));
	given_up = is_given_up(dirfd, 40000);
	cr_assert_eq(kill(child, SIGKILL), 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(given_up);
}

Test(control, a_path_that_is_too_long_for_an_address_works)
{
	char path[PATH_MAX];
	int requests = 0, dirfd;
	struct lf_control *control;
	pid_t child;

	(void)snprintf(path, sizeof(path), "%s", fixture_path("base/"));
	for (int i = 0; i < 3; i++) {
		size_t len = strlen(path);

		memset(path + len, 'd', 100);
		(void)strcpy(path + len + 100, "/");
		cr_assert_eq(mkdir(path, 0700), 0);
	}
	dirfd = open(path, O_RDONLY | O_DIRECTORY);
	control = listen_at(dirfd, &requests);
	child = fork();
	if (child == 0)
		ask_and_exit(dirfd, "far away", 0, "far away");
	cr_assert_eq(serve_until_exit(control, child), 0);
	lf_control_close(control);
}

static int connect_raw(int dirfd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/control", dirfd);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void turn(struct lf_control *control)
{
	struct pollfd fds[1 + LF_CONTROL_CLIENTS];
	size_t count = lf_control_fds(control, fds);

	cr_assert(count <= 1 + LF_CONTROL_CLIENTS);
	(void)poll(fds, count, 0);
	lf_control_handle(control, fds, count);
}

Test(control, clients_that_are_stuck_send_garbage_or_vanish_do_not_hold_the_others_up)
{
	int requests = 0, dirfd = open_base();
	struct lf_control *control = listen_at(dirfd, &requests);
	static char garbage[2 * LF_CONTROL_LINE_MAX];
	pid_t child;

	memset(garbage, 'x', sizeof(garbage));
	for (int i = 0; i < LF_CONTROL_CLIENTS - 2; i++)
		(void)connect_raw(dirfd); /* and never a word */
	(void)close(connect_raw(dirfd));
	{
		int fd = connect_raw(dirfd);
		ssize_t sent = send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL | MSG_DONTWAIT);

		cr_assert(sent > 0);
		for (int i = 0; i < 5; i++)
			turn(control);
	}
	child = fork();
	if (child == 0)
		ask_and_exit(dirfd, "still there", 0, "still there");
	cr_assert_eq(serve_until_exit(control, child), 0);
	cr_assert_eq(requests, 1);
	lf_control_close(control);
}

Test(control, clients_who_never_say_a_word_lose_their_places_in_the_end)
{
	int requests = 0, dirfd = open_base();
	struct lf_control *control = listen_at(dirfd, &requests);
	pid_t child;

	for (int i = 0; i < LF_CONTROL_CLIENTS; i++)
		(void)connect_raw(dirfd);
	child = fork();
	if (child == 0) {
		struct lf_error err;

		_exit(lf_control_ask(dirfd, "at last", 2 * LF_CONTROL_PATIENCE_MS, NULL, 0, &err) == 0 ? 0
		                                                                                       : 1);
	}
	cr_assert_eq(serve_until_exit(control, child), 0);
	lf_control_close(control);
}

Test(control, a_request_may_come_in_pieces)
{
	int requests = 0, dirfd = open_base(), fd;
	struct lf_control *control = listen_at(dirfd, &requests);
	char answer[32] = "";

	fd = connect_raw(dirfd);
	for (const char *p = "in bits\n"; *p; p++) {
		cr_assert_eq(write(fd, p, 1), 1);
		turn(control);
	}
	turn(control);
	cr_assert_eq(read(fd, answer, sizeof(answer) - 1), 11);
	cr_assert_str_eq(answer, "ok in bits\n");
	(void)close(fd);
	lf_control_close(control);
}

/* In the child: 0 when the data is as expected. */
static void fetch_and_exit(int dirfd, const char *request, const char *text, size_t bytes)
{
	char *got = NULL;
	size_t got_bytes = 0;
	struct lf_error err;

	if (lf_control_fetch(dirfd, request, 5000, &got, &got_bytes, &err) < 0)
		_exit(2);
	_exit(got_bytes == bytes && memcmp(got, text, bytes + 1) == 0 ? 0 : 1);
}

Test(control, an_answer_of_many_lines_comes_as_it_is_and_is_no_answer_of_one)
{
	int requests = 0, dirfd = open_base();
	struct lf_control *control = listen_at(dirfd, &requests);
	pid_t child = fork();

	if (child == 0)
		fetch_and_exit(dirfd, "many", many_lines, sizeof(many_lines) - 1);
	cr_assert_eq(serve_until_exit(control, child), 0);
	child = fork();
	if (child == 0)
		fetch_and_exit(dirfd, "just one", "just one", 8);
	cr_assert_eq(serve_until_exit(control, child), 0);
	child = fork();
	if (child == 0)
		ask_and_exit(dirfd, "many", -EPROTO,
		             "the agent's answer cannot be understood: is it another version?");
	cr_assert_eq(serve_until_exit(control, child), 0);
	child = fork();
	if (child == 0) {
		struct lf_error err;
		size_t bytes;
		char *data;

		_exit(lf_control_fetch(dirfd, "fail", 5000, &data, &bytes, &err) == -EREMOTEIO ? 0 : 1);
	}
	cr_assert_eq(serve_until_exit(control, child), 0);
	lf_control_close(control);
}

Test(control, an_answer_that_is_larger_than_what_a_socket_holds_comes_whole)
{
	int requests = 0, dirfd = open_base();
	struct lf_control *control = listen_at(dirfd, &requests);
	size_t size = 3000000;
	char *expected = malloc(size + 1);
	pid_t child;

	for (size_t i = 0; i < size; i++)
		expected[i] = (char)('a' + i % 23);
	expected[size] = '\0';
	child = fork();
	if (child == 0)
		fetch_and_exit(dirfd, "large 3000000", expected, size);
	cr_assert_eq(serve_until_exit(control, child), 0);
	free(expected);
	lf_control_close(control);
}

static void turn_until_asked(struct lf_control *control, const int *requests, int count)
{
	for (int turns = 0; turns < 1000 && *requests < count; turns++)
		turn(control);
	cr_assert_eq(*requests, count);
}

Test(control, an_answer_may_be_put_off_while_others_get_theirs)
{
	int requests = 0, dirfd = open_base(), fd;
	struct lf_control *control = listen_at(dirfd, &requests);
	struct lf_control_ticket ticket;
	char answer[32] = "";
	pid_t child;

	fd = connect_raw(dirfd);
	cr_assert_eq(write(fd, "later\n", 6), 6);
	turn_until_asked(control, &requests, 1);
	ticket = last_request.ticket;
	child = fork();
	if (child == 0)
		ask_and_exit(dirfd, "meanwhile", 0, "meanwhile");
	cr_assert_eq(serve_until_exit(control, child), 0);
	cr_assert_eq(recv(fd, answer, sizeof(answer), MSG_DONTWAIT), -1);
	cr_assert(lf_control_reply(control, ticket, LF_CONTROL_DATA, "1\n2\n", 4));
	cr_assert_not(lf_control_reply(control, ticket, LF_CONTROL_OK, "twice", 5));
	cr_assert_eq(recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL), 11);
	cr_assert_str_eq(answer, "data 4\n1\n2\n");
	(void)close(fd);
	lf_control_close(control);
}

Test(control, an_answer_for_a_client_that_has_gone_goes_to_nobody_else)
{
	int requests = 0, dirfd = open_base(), fd;
	struct lf_control *control = listen_at(dirfd, &requests);
	struct lf_control_ticket ticket;
	char answer[32] = "";

	fd = connect_raw(dirfd);
	cr_assert_eq(write(fd, "later\n", 6), 6);
	turn_until_asked(control, &requests, 1);
	ticket = last_request.ticket;
	(void)close(fd);
	turn(control);
	fd = connect_raw(dirfd); /* in the same place */
	cr_assert_eq(write(fd, "later\n", 6), 6);
	turn_until_asked(control, &requests, 2);
	cr_assert_eq(last_request.ticket.place, ticket.place);
	cr_assert_not(lf_control_reply(control, ticket, LF_CONTROL_OK, "yours", 5));
	cr_assert(lf_control_reply(control, last_request.ticket, -EIO, "no\nluck", 7));
	cr_assert_eq(recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL), 14);
	cr_assert_str_eq(answer, "error no luck\n");
	lf_control_close(control);
}

enum { STRANGER = 4321 };

/* In a child. */
static void become_a_stranger(void)
{
	/* Dumpable, or its own /proc is root's. */
	if (setresuid(STRANGER, STRANGER, STRANGER) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
		_exit(9);
}

Test(control, the_kernel_says_who_asks_and_who_may_change_something)
{
	int requests = 0, dirfd = open_base();
	struct lf_control *control = NULL;
	struct stat st;
	pid_t child;

	if (geteuid() != 0)
		cr_assert_fail("needs root: run the tests as root, or in a user namespace");
	cr_assert_eq(chmod(fixture_path("base"), 0755), 0);
	cr_assert_eq(lf_control_listen(&control, dirfd, true, echo, &requests, &why), 0, "%s", why.text);
	cr_assert_eq(fstatat(dirfd, LF_CONTROL_FILE, &st, 0), 0);
	cr_assert_eq(st.st_mode & 0777, 0666);
	child = fork();
	if (child == 0)
		ask_and_exit(dirfd, "root", 0, "root");
	cr_assert_eq(serve_until_exit(control, child), 0);
	cr_assert_eq(last_request.uid, 0);
	cr_assert_eq(last_request.pid, child);
	cr_assert(last_request.may_change);
	child = fork();
	if (child == 0)
		become_a_stranger(), ask_and_exit(dirfd, "else", 0, "else");
	cr_assert_eq(serve_until_exit(control, child), 0);
	cr_assert_eq(last_request.uid, STRANGER);
	cr_assert_not(last_request.may_change);
	lf_control_close(control);
}

Test(control, one_stranger_cannot_take_all_places)
{
	int requests = 0, dirfd = open_base();
	struct lf_control *control = NULL;
	int ready[2], go[2];
	char byte;
	pid_t stranger, child;

	if (geteuid() != 0)
		cr_assert_fail("needs root: run the tests as root, or in a user namespace");
	cr_assert_eq(chmod(fixture_path("base"), 0755), 0);
	cr_assert_eq(lf_control_listen(&control, dirfd, true, echo, &requests, &why), 0, "%s", why.text);
	cr_assert_eq(pipe(ready), 0);
	cr_assert_eq(pipe(go), 0);
	stranger = fork();
	if (stranger == 0) {
		struct sockaddr_un address = { .sun_family = AF_UNIX };

		(void)close(go[1]);
		(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/control", dirfd);
		become_a_stranger();
		for (int i = 0; i < LF_CONTROL_CLIENTS; i++)
			(void)connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address,
			              sizeof(address));
		(void)!write(ready[1], "x", 1);
		_exit((int)read(go[0], &byte, 1));
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	for (int i = 0; i < 4; i++)
		turn(control);
	child = fork();
	if (child == 0)
		ask_and_exit(dirfd, "root", 0, "root");
	cr_assert_eq(serve_until_exit(control, child), 0);
	(void)close(go[1]);
	(void)waitpid(stranger, NULL, 0);
	lf_control_close(control);
}


/* ---- A whole agent ---- */

static struct lf_agent *open_agent(enum lf_agent_place place)
{
	struct lf_agent_options options = {
		.store_path = fixture_path("entries.db"),
		.base_dir = fixture_path("base"),
		.place = place,
		.interval_ms = 50,
		.reporter = fixture_reporter(),
	};
	struct lf_agent *agent = NULL;

	cr_assert_eq(lf_agent_open(&agent, &options, NULL, &why), 0, "%s", why.text);
	return agent;
}

static struct lf_everywhere here(void)
{
	return (struct lf_everywhere){ .store_path = fixture_path("entries.db"),
		                       .base_dir = fixture_path("base"),
		                       .reporter = fixture_reporter() };
}

/* The hash of the only entry. */
static int take_hash(void *arg, const struct lf_entry *entry)
{
	memcpy(arg, entry->hash.data, LF_HASH_CHARS);
	return 0;
}

static void only_hash(struct lf_store *store, char out[LF_HASH_CHARS + 1])
{
	out[LF_HASH_CHARS] = '\0';
	cr_assert_eq(lf_store_each(store, &(struct lf_query){ 0 }, take_hash, out, &why), 0);
}

static bool is_muted(const char *run_dir, const char *hash)
{
	int rc, dirfd = open(run_dir, O_RDONLY | O_DIRECTORY);
	struct lf_flags *flags = lf_flags_map(dirfd, 0, &rc);
	uint32_t generation;
	uint64_t rule = 0;
	struct lf_id id;

	cr_assert_not_null(flags, "no flags table in %s", run_dir);
	for (int i = 0; i < LF_ID_BYTES; i++) {
		unsigned byte;

		cr_assert_eq(sscanf(hash + 2 * i, "%2x", &byte), 1);
		id.bytes[i] = (uint8_t)byte;
	}
	rc = lf_flags_look_up(flags, &id, lf_flags_namespace_key("shop"), &generation, &rule);
	lf_flags_unmap(flags);
	(void)close(dirfd);
	cr_assert(rc >= 0);
	return rc == 0 && lf_rule_kind(rule) == LF_RULE_MUTE;
}

static void count_in(const char *run_dir, struct fixture_segment *segment, enum fixture_owner owner)
{
	fixture_segment(segment, run_dir, owner);
	fixture_slot(segment, "puts", "hello", "p!f", LF_KIND_CONSTANT)->counts[LF_PASSED] = 5;
}

Test(agent, it_drains_by_itself_and_leaves_nothing_behind_when_all_is_counted)
{
	struct lf_agent *agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	struct fixture_segment segment;

	count_in(lf_agent_run_dir(agent), &segment, OWNER_DEAD);
	cr_assert_eq(lf_agent_serve(agent, -1, 120), 0);
	cr_assert_eq(fixture_totals(lf_agent_store(agent), true).count_total, 5);
	lf_agent_close(agent);
	cr_assert_eq(fixture_names(fixture_path("base")), 0);
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
}

Test(agent, it_stops_serving_when_the_callers_descriptor_is_readable)
{
	struct lf_agent *agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(lf_agent_serve(agent, ends[0], 30), 0);
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert_eq(lf_agent_serve(agent, ends[0], -1), 1);
	lf_agent_close(agent);
}

Test(agent, a_directory_whose_process_lives_on_is_left_and_adopted_by_the_next_run)
{
	struct lf_agent *agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	struct fixture_segment segment;
	char dir[PATH_MAX];

	(void)strcpy(dir, lf_agent_run_dir(agent));
	count_in(dir, &segment, OWNER_LIVES);
	lf_agent_close(agent);
	cr_assert(fixture_exists(dir));
	((struct lf_slot *)((char *)segment.memory + LF_SEGMENT_HEADER_BYTES))->counts[LF_PASSED] = 8;
	fixture_tail(&segment, 0, "fputs", "p!f", "the end", 0);
	cr_assert_eq(unlink(segment.path), 0); /* so that it is not counted twice under its new name */
	agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	cr_assert_eq(lf_agent_serve(agent, -1, 60), 0);
	cr_assert_not(fixture_exists(dir));
	cr_assert_eq(fixture_total(lf_agent_store(agent)), 5);
	cr_assert_eq(fixture_totals(lf_agent_store(agent), true).count_total, 0);
	lf_agent_close(agent);
}

Test(agent, two_agents_of_one_base_exclude_each_other)
{
	struct lf_agent *agent = open_agent(LF_AGENT_BASE_DIRECTORY), *second = NULL;
	struct lf_agent_options options = { .store_path = fixture_path("entries.db"),
		                            .base_dir = fixture_path("base"),
		                            .place = LF_AGENT_BASE_DIRECTORY };

	cr_assert_eq(lf_agent_open(&second, &options, NULL, &why), -EBUSY);
	cr_assert_null(second);
	lf_agent_close(agent);
}

Test(agent, a_store_that_cannot_be_used_is_told_apart_and_can_be_observed_for)
{
	struct lf_agent_options options = { .store_path = fixture_path("base"),
		                            .base_dir = fixture_path("base"),
		                            .reporter = fixture_reporter() };
	struct lf_agent *agent = NULL;
	struct fixture_segment segment;
	bool store_failed = false;

	cr_assert(lf_agent_open(&agent, &options, &store_failed, &why) < 0);
	cr_assert(store_failed);
	options.observe = true;
	cr_assert_eq(lf_agent_open(&agent, &options, &store_failed, &why), 0, "%s", why.text);
	count_in(lf_agent_run_dir(agent), &segment, OWNER_DEAD);
	cr_assert_eq(lf_agent_drain(agent), 0);
	cr_assert_eq(fixture_totals(lf_agent_store(agent), true).count_total, 5);
	lf_agent_close(agent);
	cr_assert(fixture_exists(segment.path), "it waits for the store");
}

static void replace_store(bool delete_only)
{
	struct lf_agent *agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	struct fixture_segment segment;
	struct lf_slot *slot;
	char command[4 * PATH_MAX];

	count_in(lf_agent_run_dir(agent), &segment, OWNER_LIVES);
	slot = (struct lf_slot *)((char *)segment.memory + LF_SEGMENT_HEADER_BYTES);
	cr_assert_eq(lf_agent_drain(agent), 0);
	(void)snprintf(command, sizeof(command), "cd '%s' && python3 -c 'import sqlite3; "
	               "sqlite3.connect(\"entries.db\").execute(\"VACUUM INTO \\\"backup.db\\\"\")'",
	               fixture_dir());
	cr_assert_eq(system(command), 0);
	slot->counts[LF_PASSED] = 25;
	cr_assert_eq(lf_agent_drain(agent), 0);
	(void)snprintf(command, sizeof(command), delete_only ? "rm '%s/entries.db'" :
	                                         "mv '%s/backup.db' '%s/entries.db'",
	               fixture_dir(), fixture_dir());
	cr_assert_eq(system(command), 0);
	slot->counts[LF_PASSED] = 28;
	cr_assert_eq(lf_agent_drain(agent), 0, "%s", fixture_all_said());
	cr_assert_eq(lf_agent_drain(agent), 0, "%s", fixture_all_said());
	cr_assert_eq(fixture_total(lf_agent_store(agent)), delete_only ? 3 : 8, "%llu",
	             (unsigned long long)fixture_total(lf_agent_store(agent)));
	cr_assert_eq(fixture_totals(lf_agent_store(agent), true).count_total, 28);
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	cr_assert(fixture_said(delete_only ? ": 25 calls" : ": 20 calls"), "%s", fixture_all_said());
	lf_agent_close(agent);
}

Test(agent, a_store_that_is_deleted_under_it_is_made_anew_and_the_run_keeps_its_summary)
{
	replace_store(true);
}

Test(agent, a_store_that_is_restored_under_it_goes_on_from_the_stamp)
{
	replace_store(false);
}

/* ---- Commands ---- */

static int mute_everywhere(const struct lf_everywhere *where, const char *namespace, const char *hash,
                           bool muted)
{
	const struct lf_entry_key key = { namespace, hash };
	bool changed, missed;
	struct lf_flag_wish wish = { .keys = &key, .count = 1, .changed = &changed, .missed = &missed,
		                     .change = { .what = LF_FLAG_ENABLED, .enabled = !muted } };

	return lf_set_everywhere(where, &wish, &why);
}

Test(agent, muting_without_an_agent_publishes_in_the_directories_that_are_left)
{
	struct lf_agent *agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	struct lf_everywhere where = here();
	struct fixture_segment segment;
	char dir[PATH_MAX], hash[LF_HASH_CHARS + 1];

	(void)strcpy(dir, lf_agent_run_dir(agent));
	count_in(dir, &segment, OWNER_LIVES);
	cr_assert_eq(lf_agent_drain(agent), 0);
	only_hash(lf_agent_store(agent), hash);
	lf_agent_close(agent);
	cr_assert_not(is_muted(dir, hash));
	cr_assert_eq(mute_everywhere(&where, "shop", hash, true), 0, "%s", why.text);
	cr_assert(is_muted(dir, hash));
	cr_assert_eq(mute_everywhere(&where, "shop", hash, false), 0, "%s", why.text);
	cr_assert_not(is_muted(dir, hash));
	cr_assert_eq(mute_everywhere(&where, "other", hash, true), -ENOENT);
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
}

/* Serves in the parent while `command` runs in a child. */
static int serve_while(struct lf_agent *agent, int (*command)(const char *hash), const char *hash)
{
	int ends[2], status;
	pid_t child;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	if (child == 0)
		_exit(command(hash));
	(void)close(ends[1]);
	cr_assert_eq(lf_agent_serve(agent, ends[0], 10000), 1, "the command hangs");
	(void)close(ends[0]);
	(void)waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int mute_command(const char *hash)
{
	struct lf_everywhere where = here();

	return mute_everywhere(&where, "shop", hash, true) == 0 ? 0 : 1;
}

static int drain_command(const char *hash)
{
	struct lf_everywhere where = here();

	(void)hash;
	return lf_drain_everywhere(&where);
}

Test(agent, muting_reaches_the_living_agent_which_publishes_at_once)
{
	struct lf_agent *agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	struct fixture_segment segment;
	char hash[LF_HASH_CHARS + 1];

	count_in(lf_agent_run_dir(agent), &segment, OWNER_LIVES);
	cr_assert_eq(lf_agent_drain(agent), 0);
	only_hash(lf_agent_store(agent), hash);
	cr_assert_eq(serve_while(agent, mute_command, hash), 0);
	cr_assert(is_muted(lf_agent_run_dir(agent), hash));
	lf_agent_close(agent);
}

Test(agent, draining_everywhere_asks_living_agents_and_takes_over_from_dead_ones)
{
	struct lf_agent *left = open_agent(LF_AGENT_OWN_DIRECTORY);
	struct lf_agent *agent;
	struct fixture_segment segment, other;
	char dir[PATH_MAX];

	(void)strcpy(dir, lf_agent_run_dir(left));
	count_in(dir, &segment, OWNER_LIVES);
	lf_agent_close(left);
	agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	cr_assert_eq(lf_agent_serve(agent, -1, 0), 0); /* its own adoption is over */
	fixture_slot(&segment, "puts", "later", "p!f", LF_KIND_CONSTANT)->counts[LF_PASSED] = 2;
	count_in(lf_agent_run_dir(agent), &other, OWNER_LIVES);
	cr_assert_eq(serve_while(agent, drain_command, NULL), 1, "%s", fixture_all_said());
	cr_assert_eq(fixture_total(lf_agent_store(agent)), 12);
	lf_agent_close(agent);
}

/* Entries `000…0` and so on up to the count, all muted. */
static void fill_with_muted(unsigned count)
{
	struct lf_store *store = fixture_store(fixture_path("entries.db"));
	char sql[512];
	sqlite3 *db = NULL;

	lf_store_close(store);
	cr_assert_eq(sqlite3_open(fixture_path("entries.db"), &db), SQLITE_OK);
	(void)snprintf(sql, sizeof(sql),
	               "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %u) "
	               "INSERT INTO entries (hash, namespace, method, messageTemplate, templateKind, "
	               "topFrame, enabled, firstSeenAt, lastSeenAt) "
	               "SELECT printf('%%032x', i), 'shop', 'puts', 't' || i, 'constant', 'p!f', 0, "
	               "'2024', '2024' FROM n", count - 1);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	(void)sqlite3_close(db);
}

Test(agent, more_muted_entries_than_the_table_holds_are_told_once_and_the_first_are_obeyed)
{
	static const char first[] = "00000000000000000000000000000000";
	static const char last[] = "00000000000000000000000000000800"; /* number 2049 */
	struct lf_everywhere where = here();
	struct fixture_segment segment;
	struct lf_agent *agent;
	char dir[PATH_MAX];

	fill_with_muted(LF_FLAGS_ROWS_MAX + 1);
	agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	(void)strcpy(dir, lf_agent_run_dir(agent));
	count_in(dir, &segment, OWNER_LIVES);
	cr_assert(is_muted(dir, first));
	cr_assert_not(is_muted(dir, last));
	cr_assert_eq(serve_while(agent, mute_command, first), 0);
	cr_assert_eq(serve_while(agent, mute_command, last), 1, "nobody obeys it");
	cr_assert_eq(lf_agent_serve(agent, -1, 200), 0);
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	cr_assert(fixture_said("unmute some"), "%s", fixture_all_said());
	lf_agent_close(agent);
	cr_assert_eq(mute_everywhere(&where, "shop", first, true), 0, "%s", why.text);
	cr_assert_eq(mute_everywhere(&where, "shop", last, true), -ENOSPC, "%s", why.text);
	cr_assert_eq(mute_everywhere(&where, "shop", first, false), 0, "%s", why.text);
	cr_assert(is_muted(dir, last));
}

Test(agent, where_the_table_cannot_hold_all_the_mutes_that_came_last_are_obeyed)
{
	static const char last[] = "00000000000000000000000000000800";
	struct lf_everywhere where = here();
	struct fixture_segment segment;
	struct lf_agent *agent;
	char dir[PATH_MAX];

	fill_with_muted(LF_FLAGS_ROWS_MAX + 1);
	agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	(void)strcpy(dir, lf_agent_run_dir(agent));
	count_in(dir, &segment, OWNER_LIVES);
	lf_agent_close(agent);
	cr_assert_eq(mute_everywhere(&where, "shop", last, false), 0, "%s", why.text);
	cr_assert_eq(mute_everywhere(&where, "shop", last, true), 0, "%s", why.text);
	cr_assert(is_muted(dir, last));
	cr_assert_not(is_muted(dir, "000000000000000000000000000007ff"));
}

Test(agent, a_store_that_is_locked_does_not_hold_up_signals_and_requests)
{
	struct lf_agent *agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	struct fixture_segment segment;
	struct timespec before, after;
	sqlite3 *other = NULL;

	cr_assert_eq(sqlite3_open(fixture_path("entries.db"), &other), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	count_in(lf_agent_run_dir(agent), &segment, OWNER_LIVES);
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	cr_assert_eq(lf_agent_serve(agent, -1, 200), 0);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	cr_assert_lt(after.tv_sec - before.tv_sec, LF_STORE_PATIENCE_MS / 1000);
	cr_assert_eq(fixture_sentences(), 0, "it is tried again: %s", fixture_all_said());
	(void)sqlite3_close(other);
	cr_assert_eq(lf_agent_drain(agent), 0, "%s", fixture_all_said());
	cr_assert_eq(fixture_total(lf_agent_store(agent)), 5);
	lf_agent_close(agent);
}

Test(agent, a_flag_that_another_program_sets_in_the_store_is_published_at_the_next_look)
{
	struct lf_agent *agent = open_agent(LF_AGENT_OWN_DIRECTORY);
	struct lf_store *other = fixture_store(fixture_path("entries.db"));
	struct fixture_segment segment;
	char hash[LF_HASH_CHARS + 1];
	const struct lf_flag_change mute = { .what = LF_FLAG_ENABLED, .writer = "me" };
	const struct lf_entry_key key = { "shop", hash };
	bool changed;

	count_in(lf_agent_run_dir(agent), &segment, OWNER_LIVES);
	cr_assert_eq(lf_agent_drain(agent), 0);
	only_hash(other, hash);
	cr_assert_eq(lf_store_set_flags(other, &key, 1, &mute, &changed, &why), 0, "%s", why.text);
	cr_assert_eq(lf_agent_serve(agent, -1, 150), 0);
	cr_assert(is_muted(lf_agent_run_dir(agent), hash));
	lf_store_close(other);
	lf_agent_close(agent);
}

/* Three of those of fill_with_muted(). */
#define THREE                                                                          \
	"00000000000000000000000000000000,00000000000000000000000000000001," \
	"00000000000000000000000000000002"

static int request_command(const char *request)
{
	int dirfd = open(fixture_path("base"), O_RDONLY | O_DIRECTORY);

	return lf_control_ask(dirfd, request, 5000, NULL, 0, &why) == 0 ? 0 : 1;
}

static void expect_flags(const char *expected)
{
	sqlite3_stmt *statement = NULL;
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open(fixture_path("entries.db"), &db), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, "SELECT group_concat(enabled || ifnull(policy, '-') || tags ||"
	                                    " flagsVersion, ' ') FROM entries", -1, &statement, NULL),
	             SQLITE_OK);
	cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
	cr_assert_str_eq((const char *)sqlite3_column_text(statement, 0), expected);
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(db);
}

Test(agent, one_request_sets_the_flags_of_many_entries_and_publishes_them_once)
{
	struct lf_agent *agent;
	uint32_t generation;
	struct lf_flags *flags;
	int rc;

	fill_with_muted(4);
	agent = open_agent(LF_AGENT_BASE_DIRECTORY);
	flags = lf_flags_map(open_base(), 0, &rc);
	cr_assert_not_null(flags);
	generation = flags->generation;
	cr_assert_eq(serve_while(agent, request_command, "unmute shop " THREE), 0);
	cr_assert_eq(flags->generation, generation + 2);
	cr_assert_eq(flags->rows, 1);
	expect_flags("1-[]1 1-[]1 1-[]1 0-[]0");
	cr_assert_eq(serve_while(agent, request_command, "policy shop " THREE " limit 3/5s"), 0);
	cr_assert_eq(flags->generation, generation + 4);
	cr_assert_eq(flags->rows, 4);
	cr_assert_eq(serve_while(agent, request_command, "tag shop " THREE " [\"x\"]"), 0);
	expect_flags("1limit 3/5s[\"x\"]3 1limit 3/5s[\"x\"]3 1limit 3/5s[\"x\"]3 0-[]0");
	cr_assert_eq(serve_while(agent, request_command, "untag shop " THREE " [\"x\"]"), 0);
	cr_assert_eq(serve_while(agent, request_command, "policy shop " THREE), 0);
	expect_flags("1-[]5 1-[]5 1-[]5 0-[]0");
	cr_assert_eq(flags->rows, 1);
	lf_flags_unmap(flags);
	lf_agent_close(agent);
}

Test(agent, a_policy_that_is_none_has_no_effect_and_is_told_once)
{
	struct lf_agent *agent;
	sqlite3 *db = NULL;

	fill_with_muted(3);
	cr_assert_eq(sqlite3_open(fixture_path("entries.db"), &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "UPDATE entries SET enabled = 1, policy = CASE rowid WHEN 1 THEN 'sample 1/2'"
	                              " ELSE 'a' || char(27) || 'b' END", NULL, NULL, NULL), SQLITE_OK);
	agent = open_agent(LF_AGENT_BASE_DIRECTORY);
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	cr_assert(fixture_said("the policy 'a\\x1bb' of 0000000000… in namespace 'shop' has no effect, nor "
	                       "have those of 1 more: write sample 1/N"), "%s", fixture_all_said());
	lf_agent_publish(agent);
	cr_assert_eq(sqlite3_exec(db, "UPDATE entries SET tags = '[]'", NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(lf_agent_serve(agent, -1, 50), 0);
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	cr_assert_eq(sqlite3_exec(db, "UPDATE entries SET policy = 'x' WHERE rowid = 1", NULL, NULL, NULL),
	             SQLITE_OK);
	lf_agent_publish(agent);
	cr_assert_eq(fixture_sentences(), 2, "%s", fixture_all_said());
	(void)sqlite3_close(db);
	lf_agent_close(agent);
}

Test(agent, requests_that_make_no_sense_get_an_error_and_change_nothing)
{
	static const char *const bad[] = { "", " ", "dance", "mute", "mute shop", "mute shop zz",
		                           "mute shop 00000000000000000000000000000000 more",
		                           "unmute shop 00000000000000000000000000000000", "drainx",
		                           "policy shop 00000000000000000000000000000000 fold",
		                           "tag shop 00000000000000000000000000000000",
		                           "tag shop 00000000000000000000000000000000 [1]",
		                           "mute shop 00000000000000000000000000000000,",
		                           "mute shop ,00000000000000000000000000000000" };
	struct lf_agent *agent = open_agent(LF_AGENT_OWN_DIRECTORY);

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int dirfd = open(lf_agent_run_dir(agent), O_RDONLY | O_DIRECTORY);
		int fd = connect_raw(dirfd);
		char answer[512] = "";

		cr_assert(write(fd, bad[i], strlen(bad[i])) >= 0);
		cr_assert_eq(write(fd, "\n", 1), 1);
		for (int turns = 0; turns < 20; turns++) {
			cr_assert_eq(lf_agent_serve(agent, -1, 5), 0);
			if (recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT) > 0)
				break;
		}
		cr_assert_eq(strncmp(answer, "error ", 6), 0, "\"%s\" gets \"%s\"", bad[i], answer);
		(void)close(fd);
		(void)close(dirfd);
	}
	lf_agent_close(agent);
}
