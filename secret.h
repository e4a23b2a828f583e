/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Values that were passed for use, not for the record: what the payload puts
 * of them into an argument or a path is masked before it is written anywhere.
 */

#include <stdbool.h>

#include "plan.h"
#include "spec.h"
#include "util.h"

/* Shorter values are words ("true", "1") that would mask half a record. */
#define SECRET_MIN 8

/* The values of all variables that the spec or the profile passes. */
void secret_collect(struct strv *secrets, const struct plan *plan,
		    const struct spec *spec);
struct net_event;
/* The same in place, for what the payload looked up. */
void secret_mask_net(const struct strv *secrets, struct net_event *event);
/*
 * A copy of `text` with "***" for each secret in it.  `cut`: the text went on,
 * so that a secret may have been cut at its end; what is there of it goes too.
 * Capitals are not told apart: a name that went through DNS has lost its own.
 */
char *secret_mask(const struct strv *secrets, const char *text, bool cut);
/*
 * The same for a text that comes in pieces: masked as far as no secret may have
 * begun, *rest (within `text`) is what to put before the next piece.
 */
char *secret_mask_begun(const struct strv *secrets, const char *text,
			const char **rest);
