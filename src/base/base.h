/* base: what every layer stands on. Knows nothing of media, tensors or networks.
 *
 * In order of use:
 *   status.h    codes, the error message of this thread, REL_TRY
 *   log.h       warnings and notes, handed to whoever owns the terminal
 *   memory.h    aligned and counted allocation, bump arenas
 *   number.h    numbers as text, whatever the locale
 *   cpu.h       which instruction set our own kernels use
 *   random.h    counter-based random streams (Philox)
 *   fs.h        whole files, folders, atomic replacement
 *   csv.h       comma-separated tables, bounded and checked
 *   settings.h  key-value settings from YAML files and --set
 *   options.h   one table row per option: defaults, checks, help, resolved configuration
 *   progress.h  progress events and the interrupt flag
 *   json.h      helpers over jansson
 *   threads.h   a bounded pool of worker threads that returns results in order
 *   version.h   the version of this program
 */
#ifndef REL_BASE_H
#define REL_BASE_H

#include "base/cpu.h"
#include "base/csv.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/options.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/settings.h"
#include "base/status.h"
#include "base/threads.h"
#include "base/version.h"

#endif
