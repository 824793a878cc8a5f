/* media: files of sound, video and pictures in, arrays of numbers out. Knows nothing of data sets.
 *
 * In order of use:
 *   audio.h    decode the sound of any file to float samples; write 16-bit WAV
 *   logmel.h   Kaldi log-mel features of decoded sound
 *   stft.h     log-STFT features of decoded sound
 *   flow.h     TV-L1 optical flow between two pictures
 *   video.h    decode the frames of any video; choose frames by time
 *   picture.h  8-bit pictures: JPEG and PNG to and from memory, PIL-equal resize
 *
 * Every reader takes hostile files: sizes that a header claims are checked against limits before
 * anything is allocated, durations are never believed, reading has a deadline, and a file is never
 * allowed to open another one. No function prints; libraries' messages end up in rel_error_message.
 * Any function may be called from any thread; one handle belongs to one thread at a time. */
#ifndef REL_MEDIA_H
#define REL_MEDIA_H

#include "media/audio.h"
#include "media/flow.h"
#include "media/logmel.h"
#include "media/picture.h"
#include "media/stft.h"
#include "media/video.h"

#endif
