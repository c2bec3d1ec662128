/* crowd FIRST COUNT BURSTS PAUSE_MS: prints COUNT calls, message FIRST, then the three that follow it, in
 * turn, in so many bursts with pauses between, so that it is at work for a while and yet cheap.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const messages[] = {
	"the crowd sees a red balloon %ld\n",
	"the crowd hears of an offer: %ld\n",
	"%ld of the crowd have left\n",
	"somebody whistles, %ld times\n",
	"a door opens behind number %ld\n",
	"nobody has asked for ticket %ld\n",
	"row %ld stands up\n",
	"the band begins again at bar %ld\n",
};

enum { MESSAGES = sizeof(messages) / sizeof(messages[0]), EACH = 4 };

int main(int argc, char **argv)
{
	long first, count, bursts, pause_ms;
	struct timespec pause;

	if (argc != 5)
		return 64;
	first = atol(argv[1]);
	count = atol(argv[2]);
	bursts = atol(argv[3]);
	pause_ms = atol(argv[4]);
	pause = (struct timespec){ pause_ms / 1000, pause_ms % 1000 * 1000000 };
	for (long i = 0; i < count; i++) {
		printf(messages[(first + i % EACH) % MESSAGES], i);
		if (i % (count / bursts) == count / bursts - 1)
			nanosleep(&pause, NULL);
	}
	return 0;
}
