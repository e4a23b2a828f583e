/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include "record.h"
#include "tap.h"

#define DAY_MS 86400000

static unsigned int looks(uint64_t until_ms, uint64_t cost_us)
{
	unsigned int n = 0;

	for (uint64_t at = 100; at < until_ms; n++)
		at += sampler_pause(at, cost_us);
	return n;
}

int main(void)
{
	ok(looks(1000, 100) == 9, "ten a second at first");
	ok(looks(DAY_MS, 100) < 700, "a day is some hundred");
	ok(looks(30 * (uint64_t)DAY_MS, 100) < 1000, "a month not much more");
	ok(looks(366 * (uint64_t)DAY_MS, 0) < RECORD_SAMPLES_MAX / 2,
	   "for the curves of a year there is room");
	for (uint64_t cost = 1; cost < 1000000; cost *= 3)
		ok(sampler_pause(100, cost) * 1000 + 1000 > cost * 200,
		   "%llu us of looking are 0.5 %% at most",
		   (unsigned long long)cost);
	return done();
}
