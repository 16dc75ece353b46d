/* Tries the ways to the peers. Sends packets to them, over the overlay and past it: a few for each,
 * in three seconds at most. */
#pragma once

#include "cli/doctor/facts.h"

/* Fills facts->paths: all peers that should answer get a small ping; some of them, those that are
 * silent first, the rest. What of the rest could not be tried is noted as a blind spot. Negative
 * with a text: nothing could be sent. */
int try_paths(struct facts *facts);
