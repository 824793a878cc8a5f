/* For shell tests: events_dump FILE prints a line per value of an event file: step, tag, and what
 * stands there; events_dump FILE last: at which byte its last record begins. Leaves out when it was
 * written, and the values of what depends on the clock (tags with "timing"). Fails at the first
 * byte that is no whole record. */
#include "io/io.h"
#include "io/tfevents.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void value_print(int64_t step, const Tfevents__Value *value) {
    printf("%" PRId64 " %s ", step, value->tag);
    if (value->what_case == TFEVENTS__VALUE__WHAT_SIMPLE_VALUE)
        printf(strstr(value->tag, "timing") ? "clock\n" : "%.9g\n", value->simple_value);
    else if (value->what_case == TFEVENTS__VALUE__WHAT_HISTOGRAM)
        printf("%.17g %.17g %.17g %.17g\n", value->histogram->num, value->histogram->min,
               value->histogram->max, value->histogram->sum_squares);
    else if (value->what_case == TFEVENTS__VALUE__WHAT_IMAGE)
        printf("image %08" PRIx32 "\n",
               tfevents_crc(value->image->encoded.data, value->image->encoded.len));
    else
        printf("text %zu\n", value->tensor->string_val[0].len);
}

static size_t record_print(const uint8_t *at, size_t left, bool print) {
    uint64_t length = 0;
    if (left < 16) return 0;
    memcpy(&length, at, sizeof length);
    if (length > left - 16) return 0;
    uint32_t crc;
    memcpy(&crc, at + 12 + length, sizeof crc);
    if (crc != tfevents_crc(at + 12, length)) return 0;
    Tfevents__Event *event = tfevents__event__unpack(NULL, length, at + 12);
    if (!event) return 0;
    for (size_t i = 0; print && event->summary && i < event->summary->n_value; i++)
        value_print(event->step, event->summary->value[i]);
    tfevents__event__free_unpacked(event, NULL);
    return 16 + length;
}

int main(int argc, char **argv) {
    char *bytes = NULL;
    size_t size = 0, at = 0, last = 0;
    bool where = argc == 3 && strcmp(argv[2], "last") == 0;
    if ((argc != 2 && !where) || fs_read(argv[1], (size_t)1 << 30, &bytes, &size) != REL_OK)
        return 2;
    for (size_t step; at < size; last = at, at += step)
        if ((step = record_print((const uint8_t *)bytes + at, size - at, !where)) == 0) break;
    if (where) printf("%zu\n", last);
    rel_free(bytes);
    if (at < size) fprintf(stderr, "events_dump: %s: no record at byte %zu\n", argv[1], at);
    return at < size;
}
