/* SPDX-License-Identifier: Apache-2.0 */
/* How long a container says that a stream is. AVI's header has a number of frames, which libavformat's duration of a file
 * that was cut off does not follow. Matroska has the length of the whole file, which is that of its only stream. */
#include "modules/video_length.h"

#include <string.h>

double tub__video_length(const AVFormatContext *f, const AVStream *s) {
    const double rate = av_q2d(s->avg_frame_rate);
    const double begin =
        s->start_time == AV_NOPTS_VALUE ? 0 : (double)s->start_time * av_q2d(s->time_base);
    double said = 0;
    if (s->duration != AV_NOPTS_VALUE && s->duration > 0) {
        said = begin + (double)s->duration * av_q2d(s->time_base);
    } else if (f->nb_streams == 1 && f->duration > 0 &&
               f->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE) {
        said = begin + (double)f->duration / AV_TIME_BASE;
    }
    if (strcmp(f->iformat->name, "avi") == 0 && rate > 0 &&
        begin + (double)s->nb_frames / rate > said) {
        said = begin + (double)s->nb_frames / rate;
    }
    return said;
}
