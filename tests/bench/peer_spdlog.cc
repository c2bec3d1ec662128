/* spdlog behind its dup filter, which leaves out a message that equals the one before it.
 *
 *   peer_spdlog differ COUNT   each message differs from the one before: all are printed
 *   peer_spdlog same COUNT     the same message each time: all but the first are left out
 *
 * Into a buffered file, as printf's stdout is here, with locks, as printf has, and with nothing before the
 * text: its default pattern, with the time, would be more work.
 */
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/dup_filter_sink.h>
#include <spdlog/spdlog.h>

#include <cstring>

#include "rounds.h"

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[2]) : 0;
	auto filter = std::make_shared<spdlog::sinks::dup_filter_sink_mt>(std::chrono::seconds(5));

	filter->add_sink(std::make_shared<spdlog::sinks::basic_file_sink_mt>("/dev/stdout"));
	spdlog::logger log("peer", filter);
	log.set_pattern("%v");
	if (argc == 3 && strcmp(argv[1], "differ") == 0)
		TIME_CALLS(count, , log.info("request {} of {} took {} ms", i & 1023, "alice", 12));
	else if (argc == 3 && strcmp(argv[1], "same") == 0)
		TIME_CALLS(count, , log.info("request {} of {} took {} ms", 7L, "alice", 12));
	else
		return 64;
	return 0;
}
