/* Where in which program a call stands, for whoever wants to see it in the source. */
#ifndef LOGFOLD_MAP_SOURCE_H
#define LOGFOLD_MAP_SOURCE_H

#include "agent/map/map.h"

/* Fills in the key's source, of a new entry, where its caller is known and lies in a module.  As safe as the map:
 * any thread, signal handlers too (1.5 KiB of stack). */
void lf_source_find(struct lf_map *map, struct lf_map_key *key);

#endif
