/* SPDX-License-Identifier: MIT */
#pragma once

/* What is done instead of a run: --explain, --why, --doctor, --apply... */

#include "spec.h"

/* Of a program that failed by itself. */
#define EXIT_SANDBOX 125

/* Anything but SPEC_RUN; returns the exit status.  What failed is printed. */
int action_do(const struct spec *spec);
