// SPDX-License-Identifier: MIT
// bench/dlib/networks.h - the networks of dlib's published model files, as types of dlib's.
//
// Layer for layer what mmod_human_face_detector.dat and dlib_face_recognition_resnet_model_v1.dat
// hold; deserialize() fails on any difference. With random weights they take the same time.
#pragma once

#include <dlib/dnn.h>

namespace face::bench::nets {

// ---- detector: a pyramid of the picture, three steps down, four convolutions, one score map.
template <long outputs, typename Below>
using Down5 = dlib::con<outputs, 5, 5, 2, 2, Below>;
template <long outputs, typename Below>
using Same5 = dlib::con<outputs, 5, 5, 1, 1, Below>;
template <typename Below>
using Downsampled = dlib::relu<dlib::affine<
    Down5<32, dlib::relu<dlib::affine<Down5<32, dlib::relu<dlib::affine<Down5<16, Below>>>>>>>>>;
template <typename Below>
using Feature = dlib::relu<dlib::affine<Same5<45, Below>>>;
using Detector = dlib::loss_mmod<dlib::con<
    1, 9, 9, 1, 1,
    Feature<Feature<Feature<Downsampled<dlib::input_rgb_image_pyramid<dlib::pyramid_down<6>>>>>>>>;

// ---- embedding: a ResNet of 29 convolutions, 150x150 to 128 numbers.
template <long outputs, int stride, typename Below>
using Block = dlib::affine<
    dlib::con<outputs, 3, 3, 1, 1,
              dlib::relu<dlib::affine<dlib::con<outputs, 3, 3, stride, stride, Below>>>>>;
template <long outputs, typename Below>
using Residual = dlib::relu<dlib::add_prev1<Block<outputs, 1, dlib::tag1<Below>>>>;
template <long outputs, typename Below>
using Halving = dlib::relu<dlib::add_prev2<
    dlib::avg_pool<2, 2, 2, 2, dlib::skip1<dlib::tag2<Block<outputs, 2, dlib::tag1<Below>>>>>>>;
template <typename Below>
using Stem = dlib::max_pool<3, 3, 2, 2, dlib::relu<dlib::affine<dlib::con<32, 7, 7, 2, 2, Below>>>>;
template <typename Below>
using Level4 = Residual<32, Residual<32, Residual<32, Below>>>;
template <typename Below>
using Level3 = Residual<64, Residual<64, Residual<64, Halving<64, Below>>>>;
template <typename Below>
using Level2 = Residual<128, Residual<128, Halving<128, Below>>>;
template <typename Below>
using Level1 = Residual<256, Residual<256, Halving<256, Below>>>;
template <typename Below>
using Level0 = Halving<256, Below>;
using Embedder = dlib::loss_metric<dlib::fc_no_bias<
    128, dlib::avg_pool_everything<
             Level0<Level1<Level2<Level3<Level4<Stem<dlib::input_rgb_image_sized<150>>>>>>>>>>;

}  // namespace face::bench::nets
