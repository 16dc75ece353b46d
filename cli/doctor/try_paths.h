/* Tries the ways to the peers. Sends packets to them, over the overlay and past it: some hundred
 * small ones for each that is looked at closely, in a second; in seven where much is lost. */
#pragma once

#include "cli/doctor/facts.h"

/* Fills facts->paths: all peers that should answer get a small ping; some of them, those that are
 * silent first, then those that the agent's probes are lost to, the rest. What of the rest could
 * not be tried is noted as a blind spot. Negative with a text: nothing could be sent. */
int try_paths(struct facts *facts);
