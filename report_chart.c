/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "human.h"
#include "report_work.h"
#include "text.h"

#define LEFT  230 /* of the scale: the labels' room */
#define WIDTH 745 /* of the scale */
#define RIGHT (LEFT + WIDTH)
#define TOP   26
#define LANE  20
#define CURVE 90 /* height of one */
#define APART 34

struct chart {
	FILE *out;
	const struct record *record;
	double length;
	double y;
};

static double x_of(const struct chart *c, double at)
{
	return LEFT + at / c->length * WIDTH;
}

/* A label has room for this many characters. */
static void put_label(const struct chart *c, const char *text)
{
	auto_free char *visible = text_visible(text, true);
	size_t left = 22;
	char *end = visible;

	while (*end && left-- > 0)
		while ((*++end & 0xc0) == 0x80)
			;
	fprintf(c->out, "<text class=l x='%d' y='%.0f'>", LEFT - 10, c->y);
	if (*end) {
		*end = '\0';
		report_text(c->out, visible);
		fputs("...", c->out);
	} else {
		report_text(c->out, visible);
	}
	fputs("</text>", c->out);
}

/* Vertical lines at round times. */
static void put_scale(const struct chart *c, double bottom)
{
	static const double steps[] = {
		.01, .02, .05, .1,  .2,  .5,   1,    2,    5,    10,   20,
		30,  60,  120, 300, 600, 1200, 1800, 3600, 7200, 14400
	};
	double step = 86400;

	for (size_t i = ARRAY_SIZE(steps); i-- > 0;)
		if (c->length / steps[i] <= 8)
			step = steps[i];
	for (int i = 0; i <= 400 && i * step <= c->length; i++) {
		double x = x_of(c, i * step);
		auto_free char *text = human_time(
		    (uint64_t)(i * step * 1000 + .5));

		fprintf(c->out,
			"<path class=g d='M%.1f %dV%.0f'/>"
			"<text x='%.1f' y='14' text-anchor='middle'>%s</text>",
			x, TOP - 6, bottom, x, text);
	}
}

static void put_marks(struct chart *c, size_t lane, bool denied)
{
	const struct record *r = c->record;
	double drawn = 0; /* up to here */

	for (size_t i = 0; i < r->n_marks; i++) {
		const struct record_mark *m = &r->marks[i];
		double x = x_of(c, m->from), end = x_of(c, m->to);

		/* One a pixel can be seen. */
		if (m->lane != lane || m->denied != denied || end < drawn + 1)
			continue;
		drawn = end;
		fprintf(c->out,
			"<rect class='m%s' x='%.1f' y='%.0f' width='%.1f' "
			"height='11' rx='1'/>",
			denied ? " denied" : "", x, c->y - 10,
			end - x > 2.5 ? end - x : 2.5);
	}
}

static void put_lanes(struct chart *c, bool network, const char *title)
{
	const struct record *r = c->record;
	bool begun = false;

	for (size_t i = 0; i < r->n_lanes; i++) {
		if (r->lanes[i].network != network)
			continue;
		if (!begun)
			fprintf(c->out, "<text x='8' y='%.0f'>%s</text>", c->y,
				title);
		begun = true;
		put_label(c, r->lanes[i].label);
		/* What was denied lies on top: nothing allowed hides it. */
		put_marks(c, i, false);
		put_marks(c, i, true);
		c->y += LANE;
	}
	if (begun)
		c->y += 8;
}

/*** Curves ***/

static double cores(const struct record_sample *s,
		    const struct record_sample *b)
{
	double span = s->at - b->at;

	return span < .001 || s->cpu_ms < b->cpu_ms
		   ? 0
		   : (s->cpu_ms - b->cpu_ms) / span / 1000;
}

static double memory(const struct record_sample *s,
		     const struct record_sample *b)
{
	(void)b;
	return s->memory;
}

static double pids(const struct record_sample *s, const struct record_sample *b)
{
	(void)b;
	return s->pids;
}

static char *say_cores(double value)
{
	return xasprintf("%.1f cores", value);
}

static char *say_bytes(double value)
{
	return human_bytes((uint64_t)value);
}

static char *say_count(double value)
{
	return xasprintf("%.0f", value);
}

static const struct curve {
	const char *title;
	double (*value)(const struct record_sample *s,
			const struct record_sample *before);
	char *(*say)(double value);
	bool steps; /* it is of the time since the one before */
} curves[] = {
	{ "CPU", cores, say_cores, true },
	{ "Memory", memory, say_bytes, false },
	{ "Processes", pids, say_count, false },
};

static const struct record_sample none;

static const struct record_sample *before(const struct record *r, size_t i)
{
	return i ? &r->samples[i - 1] : &none;
}

static void put_curve(struct chart *c, const struct curve *curve)
{
	const struct record *r = c->record;
	double base = c->y + CURVE, most = 0;
	auto_free char *peak = NULL;

	for (size_t i = 0; i < r->n_samples; i++) {
		double v = curve->value(&r->samples[i], before(r, i));

		most = v > most ? v : most;
	}
	peak = curve->say(most);
	fprintf(c->out,
		"<text class=l x='%d' y='%.0f'>%s</text>"
		"<text x='%d' y='%.0f' text-anchor='end'>at most %s, "
		"sampled</text>"
		"<path class=g d='M%d %.0fH%d'/><path class=a d='M%d %.1f",
		LEFT - 10, c->y + 16, curve->title, LEFT - 10, c->y + 34, peak,
		LEFT, base, RIGHT, LEFT, base);
	for (size_t i = 0; most > 0 && i < r->n_samples; i++) {
		double v = curve->value(&r->samples[i], before(r, i));
		double y = base - v / most * (CURVE - 4);

		if (curve->steps)
			fprintf(c->out, "L%.1f %.1f", x_of(c, before(r, i)->at),
				y);
		fprintf(c->out, "L%.1f %.1f", x_of(c, r->samples[i].at), y);
	}
	fprintf(c->out, "V%.1fZ'/>", base);
	c->y = base + APART;
}

void report_chart(FILE *out, const struct record *record)
{
	struct chart c = { out, record, record->length, TOP + 12 };
	auto_free char *body = NULL;
	size_t size;

	if (record->n_lanes == 0 && record->n_samples == 0)
		return;
	if (c.length < .01)
		c.length = .01;
	c.out = open_memstream(&body, &size);
	if (!c.out)
		abort(); /* out of memory, as in util.h */
	put_lanes(&c, false, "Commands");
	put_lanes(&c, true, "Network");
	for (size_t i = 0; record->n_samples && i < ARRAY_SIZE(curves); i++)
		put_curve(&c, &curves[i]);
	fclose(c.out);
	c.out = out;
	fprintf(out,
		"<h2>Over time</h2><div class=wide><svg viewBox='0 0 1000 "
		"%.0f' role=img aria-label='time line'>",
		c.y - 4);
	put_scale(&c, c.y - 14);
	fputs(body, out);
	fputs("</svg></div>", out);
	if (record->more_marks)
		fprintf(out, "<p class=dim>%llu more are not drawn.</p>",
			(unsigned long long)record->more_marks);
}
