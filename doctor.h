/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * --doctor: tries every layer here by doing it, and tells what works, why not
 * and what to do.
 */

#include <stdbool.h>
#include <stdio.h>

/* 0: the default policy can be had in full; 1: not; -1 by fail(). */
int doctor_run(FILE *out, bool json);
