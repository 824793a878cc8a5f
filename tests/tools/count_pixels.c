/* count_pixels FILE RRGGBB: prints how many pixels of a picture have this colour. For screenshots.
 */
#include "media/media.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    struct picture picture = {0};
    if (argc != 3) return 2;
    unsigned long colour = strtoul(argv[2], NULL, 16);
    if (picture_read(argv[1], NULL, &picture) != REL_OK || picture.channels != 3) {
        fprintf(stderr, "count_pixels: %s: %s\n", argv[1], rel_error_message());
        return 1;
    }
    size_t count = 0;
    for (size_t i = 0; i < (size_t)picture.width * (size_t)picture.height; i++) {
        const uint8_t *pixel = picture.pixels + 3 * i;
        count +=
            ((unsigned long)pixel[0] << 16 | (unsigned long)pixel[1] << 8 | pixel[2]) == colour;
    }
    printf("%zu\n", count);
    picture_release(&picture);
    return 0;
}
