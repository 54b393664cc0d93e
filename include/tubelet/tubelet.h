/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that tubelet offers to C and C++ programs. */
#ifndef TUBELET_H
#define TUBELET_H

#include <tubelet/augment.h>
#include <tubelet/bench.h>
#include <tubelet/clip.h>
#include <tubelet/context.h>
#include <tubelet/convert.h>
#include <tubelet/data.h>
#include <tubelet/explain.h>
#include <tubelet/files.h>
#include <tubelet/hub.h>
#include <tubelet/journal.h>
#include <tubelet/machine.h>
#include <tubelet/model.h>
#include <tubelet/picture.h>
#include <tubelet/predict.h>
#include <tubelet/sampling.h>
#include <tubelet/sheet.h>
#include <tubelet/start.h>
#include <tubelet/status.h>
#include <tubelet/sweep.h>
#include <tubelet/train.h>
#include <tubelet/upload.h>

#endif
