/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The names that were asked for, each bound to one address of 198.18.0.0/15
 * for as long as the run lives.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lookup;

struct name {
	char *text;     /* canonical */
	uint32_t index; /* of its address in the range */
	bool gateway;   /* the host's loopback, not a name of the world */
	struct lookup *lookup; /* of the relay's dialling side; or NULL */
};

struct names {
	struct name **by_index; /* from NAMES_FIRST on */
	size_t n;
	uint32_t *table; /* open addressing: index into by_index, +1 */
	size_t table_size;
	struct name gateway;
};

#define NAMES_GATEWAY       "host.m9m.internal"
#define NAMES_GATEWAY_ALIAS "host.docker.internal"
/* More than any honest run asks for; 8 MiB at the worst. */
#define NAMES_MAX           32768

void names_init(struct names *names);

/* Canonical names only. */
struct name *names_find(struct names *names, const char *text);
/* NULL when there is no room for more. */
struct name *names_add(struct names *names, const char *text);

/* The address that stands for it (host byte order) and back. */
uint32_t names_address(const struct name *name);
bool names_in_range(uint32_t address);
struct name *names_by_address(struct names *names, uint32_t address);
