/* The report of a sweep as a page for a browser. */
#ifndef NETC_SWEEP_REPORT_H
#define NETC_SWEEP_REPORT_H

#include <jansson.h>

#include "base/base.h"

/* Writes one HTML file that needs nothing beside it and asks nothing of a network: whole, or not at all, between temporary_begin() and
 * temporary_end(). `sweep` is what --json prints. False after a diagnostic. */
bool sweep_report(struct diags *, const char *path, json_t *sweep);

#endif
