/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that tubelet offers to C and C++ programs. */
#ifndef TUBELET_H
#define TUBELET_H

#include <tubelet/bench.h>
#include <tubelet/clip.h>
#include <tubelet/context.h>
#include <tubelet/convert.h>
#include <tubelet/data.h>
#include <tubelet/files.h>
#include <tubelet/machine.h>
#include <tubelet/model.h>
#include <tubelet/predict.h>
#include <tubelet/sampling.h>
#include <tubelet/start.h>
#include <tubelet/status.h>
#include <tubelet/train.h>

#endif
