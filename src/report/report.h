/* report: what finished runs say, side by side. Reads run folders; trains and measures nothing.
 *
 * In order of use:
 *   table.h    text tables with aligned columns
 *   compare.h  runs grouped by configuration: mean and deviation over seeds, paired differences
 * with intervals, warnings, what the diagnoses found
 *   page.h     the report: one HTML file about them */
#ifndef REL_REPORT_H
#define REL_REPORT_H

#include "report/compare.h"
#include "report/page.h"
#include "report/table.h"

#endif
