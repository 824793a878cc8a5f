/* train: a run from configuration to summary, and what one does with a run afterwards.
 *
 * In order of use:
 *   train_config.h   what a run is: options of the run, its method, its encoders, its inputs;
 *                    resolved and written back
 *   protocol.h       presets of those options
 *   schedule.h       the learning rate from step to step
 *   session.h        a configuration brought to life: store, model, passes over a split
 *   metrics.h        accuracy, F1, average precision, calibration, confusion from logits
 *   evaluate.h       overall and per modality, the others masked
 *   checkpoint.h     weights and state in a safetensors file
 *   feature_snapshot.h  features/before.safetensors, features/after.safetensors: features as they
 *                    were after an epoch, kept for pictures of them
 *   run_log.h        log.jsonl, append-only, cut back on resume
 *   run_process.h    which process trains a run: the lock, and how it ended
 *   run_status.h     what has become of a run; finding runs
 *   run_events.h     what TensorBoard shows of a run
 *   precision.h      how training stores feature maps; measured where that is asked for
 *   init_from.h      first weights from a file
 *   trainer.h        the loop
 *   seeds.h          one configuration with several seeds
 *   exchange.h       whole models from and to PyTorch
 *   run.h            a finished or stopped run, opened to evaluate or diagnose it
 *   predict.h        raw media in, classes out; what each modality carried of it
 *
 * A run folder holds config.yaml, process.json, data.json, kernels.json, log.jsonl,
 * events.out.tfevents.relearn, projector_config.pbtxt, projector/, checkpoint/last.safetensors,
 * checkpoint/previous.safetensors, checkpoint/best.safetensors, features/, summary.json. */
#ifndef REL_TRAIN_H
#define REL_TRAIN_H

#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/exchange.h"
#include "train/feature_snapshot.h"
#include "train/init_from.h"
#include "train/metrics.h"
#include "train/predict.h"
#include "train/protocol.h"
#include "train/run.h"
#include "train/run_events.h"
#include "train/run_log.h"
#include "train/run_process.h"
#include "train/run_status.h"
#include "train/schedule.h"
#include "train/seeds.h"
#include "train/session.h"
#include "train/train_config.h"
#include "train/trainer.h"

#endif
