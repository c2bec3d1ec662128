/* Threads that insert, find and count in one map at once, under ThreadSanitizer: every count is
 * there in the end. */
#include <pthread.h>
#include <stdlib.h>

#include "agent/hook/site.h"
#include "tests/unit/host_fixture.h"

enum { THREADS = 8, MESSAGES = 300, ROUNDS = 20 };

static struct lf_process *process;

static void *work(void *argument)
{
	struct lf_origin origin = lf_message_origin(process, __builtin_return_address(0),
	                                            lf_method_code(LF_METHOD_fputs, LF_NO_FD));

	struct lf_origin pieces = lf_message_origin(process, __builtin_return_address(0),
	                                            lf_method_code(LF_METHOD_putc, LF_NO_FD));

	(void)argument;
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < MESSAGES; i++) {
			char template[64];
			int len = snprintf(template, sizeof(template), "message number %d\n", i);
			struct lf_text text = { template, (size_t)len };

			lf_message_count(process,
			                 lf_message_verbatim(process, origin, LF_KIND_FORMAT, text,
			                                     0),
			                 LF_PASSED);
			lf_lines_count(process, 0x1001, origin, (struct lf_text){ "a line\n", 7 },
			               false);
			/* In pieces, all threads to one stream: as many lines as newlines. */
			lf_lines_count(process, 0x2001, pieces, (struct lf_text){ "pie", 3 }, false);
			lf_lines_count(process, 0x2001, pieces, (struct lf_text){ "ce\n", 3 }, false);
			if (i % 100 == 0)
				lf_stream_end(process, 0x3001);
		}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	int bad = 0;

	process = host_start(1);
	if (!process) {
		fprintf(stderr, "race_map: no process\n");
		return 1;
	}
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			abort();
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	bad += host_expect("lines", host_count("a line", LF_PASSED), THREADS * ROUNDS * MESSAGES);
	bad += host_expect("one message", host_count("message number 7\n", LF_PASSED),
	              THREADS * ROUNDS);
	bad += host_expect("all", host_total(LF_PASSED), 3 * THREADS * ROUNDS * MESSAGES);
	return bad != 0;
}
