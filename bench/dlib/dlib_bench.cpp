// SPDX-License-Identifier: MIT
// bench/dlib/dlib_bench.cpp - photos in memory to faces and embeddings with dlib: milliseconds per
// stage and pass as one line of JSON, as photo_bench prints them for ours.
#include <dlib/image_io.h>
#include <dlib/image_processing.h>
#include <dlib/image_processing/frontal_face_detector.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "networks.h"

namespace face::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Picture = dlib::matrix<dlib::rgb_pixel>;
using Embedding = dlib::matrix<float, 0, 1>;

struct Arguments {
  std::string detector = "hog", models, faces;
  std::vector<std::string> photos;
  bool upsample = false;
};

struct Pass {
  double decode_ms = 0, detect_ms = 0, align_ms = 0, embed_ms = 0, total_ms = 0;
  size_t pixels = 0, faces = 0;
};

struct FoundFace {
  dlib::rectangle box;
  double score = 0;
  Embedding embedding;
};

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + " cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

Picture decode(const std::string& bytes) {
  Picture picture;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  if (bytes.size() > 1 && data[0] == 0x89) {
    dlib::load_png(picture, data, bytes.size());
  } else {
    dlib::load_jpeg(picture, data, bytes.size());
  }
  return picture;
}

/// Detector, landmarks and embedding; what has no model file has random weights.
class Recogniser {
 public:
  Recogniser(const std::string& models, bool use_cnn) : use_cnn_(use_cnn) {
    if (use_cnn)
      load_detector(models);
    else
      hog_ = dlib::get_frontal_face_detector();
    if (models.empty()) return;
    dlib::deserialize(models + "/shape_predictor_5_face_landmarks.dat") >> landmarks_;
    dlib::deserialize(models + "/dlib_face_recognition_resnet_model_v1.dat") >> embedder_;
    trained_ = true;
  }

  std::vector<FoundFace> run(const Picture& photo, bool upsample, Pass* pass) {
    auto begin = Clock::now();
    std::vector<FoundFace> faces =
        use_cnn_ ? detect_cnn(photo, upsample) : detect_hog(photo, upsample);
    if (use_cnn_ && !trained_) faces.push_back({dlib::get_rect(photo), 0, {}});
    pass->detect_ms += milliseconds_since(begin);
    begin = Clock::now();
    const std::vector<Picture> chips = align(photo, faces);
    pass->align_ms += milliseconds_since(begin);
    begin = Clock::now();
    if (!chips.empty()) {
      const std::vector<Embedding> embeddings = embedder_(chips);
      for (size_t i = 0; i < faces.size(); ++i) faces[i].embedding = embeddings[i];
    }
    pass->embed_ms += milliseconds_since(begin);
    return faces;
  }

 private:
  void load_detector(const std::string& models) {
    if (!models.empty()) {
      dlib::deserialize(models + "/mmod_human_face_detector.dat") >> cnn_;
      return;
    }
    dlib::mmod_options options;
    options.detector_windows.emplace_back(40, 40);
    cnn_ = nets::Detector(options);
  }

  std::vector<FoundFace> detect_hog(Picture photo, bool upsample) {
    if (upsample) dlib::pyramid_up(photo);
    std::vector<dlib::rect_detection> found;
    hog_(photo, found);
    std::vector<FoundFace> faces;
    for (const auto& f : found)
      faces.push_back({shrink(f.rect, upsample), f.detection_confidence, {}});
    return faces;
  }

  std::vector<FoundFace> detect_cnn(Picture photo, bool upsample) {
    if (upsample) dlib::pyramid_up(photo);
    constexpr double kNothing = 1e30;  // random weights: no score passes
    std::vector<FoundFace> faces;
    for (const auto& f : cnn_.process(photo, trained_ ? 0. : kNothing))
      faces.push_back({shrink(f.rect, upsample), f.detection_confidence, {}});
    return faces;
  }

  static dlib::rectangle shrink(const dlib::rectangle& box, bool upsampled) {
    if (!upsampled) return box;
    return dlib::pyramid_down<2>().rect_down(dlib::drectangle(box));
  }

  std::vector<Picture> align(const Picture& photo, const std::vector<FoundFace>& faces) {
    std::vector<dlib::chip_details> places;
    for (const FoundFace& face : faces) {
      places.push_back(trained_
                           ? dlib::get_face_chip_details(landmarks_(photo, face.box), 150, 0.25)
                           : dlib::chip_details(face.box, dlib::chip_dims(150, 150)));
    }
    dlib::array<Picture> chips;
    dlib::extract_image_chips(photo, places, chips);
    return {std::make_move_iterator(chips.begin()), std::make_move_iterator(chips.end())};
  }

  bool use_cnn_, trained_ = false;
  dlib::frontal_face_detector hog_;
  nets::Detector cnn_;
  dlib::shape_predictor landmarks_;
  nets::Embedder embedder_;
};

/// A line as `face-worker scan` writes it.
void write_line(std::ostream& out, const std::string& file, const std::vector<FoundFace>& faces) {
  out << "{\"file\":\"" << file.substr(file.rfind('/') + 1) << "\",\"faces\":[";
  for (size_t i = 0; i < faces.size(); ++i) {
    const FoundFace& f = faces[i];
    out << (i > 0 ? "," : "") << "{\"bbox_x\":" << f.box.left() << ",\"bbox_y\":" << f.box.top()
        << ",\"bbox_width\":" << f.box.width() << ",\"bbox_height\":" << f.box.height()
        << ",\"confidence\":" << f.score << ",\"embedding\":[";
    for (long k = 0; k < f.embedding.size(); ++k) out << (k > 0 ? "," : "") << f.embedding(k);
    out << "]}";
  }
  out << "]}\n";
}

Pass run_pass(Recogniser* recogniser, const Arguments& a, const std::vector<std::string>& bytes,
              std::ostream* lines) {
  Pass pass;
  const auto start = Clock::now();
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto begin = Clock::now();
    const Picture photo = decode(bytes[i]);
    pass.decode_ms += milliseconds_since(begin);
    pass.pixels += static_cast<size_t>(photo.size());
    const auto faces = recogniser->run(photo, a.upsample, &pass);
    pass.faces += faces.size();
    if (lines != nullptr) write_line(*lines, a.photos[i], faces);
  }
  pass.total_ms = milliseconds_since(start);
  return pass;
}

void run(const Arguments& a) {
  Recogniser recogniser(a.models, a.detector == "cnn");
  std::vector<std::string> bytes;
  for (const std::string& path : a.photos) bytes.push_back(read_file(path));
  std::ofstream lines;
  if (!a.faces.empty()) lines.open(a.faces);
  for (std::string line; std::getline(std::cin, line);) {
    const Pass p = run_pass(&recogniser, a, bytes, lines.is_open() ? &lines : nullptr);
    lines.close();
    std::cout << "{\"photos\":" << bytes.size() << ",\"faces\":" << p.faces
              << ",\"megapixels\":" << 1e-6 * static_cast<double>(p.pixels)
              << ",\"total_ms\":" << p.total_ms << ",\"decode_ms\":" << p.decode_ms
              << ",\"detect_ms\":" << p.detect_ms << ",\"align_ms\":" << p.align_ms
              << ",\"embed_ms\":" << p.embed_ms << ",\"trained\":" << (a.models.empty() ? 0 : 1)
              << "}" << std::endl;
  }
}

constexpr const char* kUsage =
    "dlib_bench [--detector hog|cnn] [--upsample] [--models DIR] [--faces OUT.jsonl] PHOTO...\n"
    "Reads lines on stdin: for each, takes all photos once and prints milliseconds per stage as\n"
    "JSON. Without --models networks have random weights: good for time only, and the CNN\n"
    "detector then counts one face per photo. --faces keeps what the first pass found.\n";

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--upsample")
      a.upsample = true;
    else if (word == "--detector" && i + 1 < argc)
      a.detector = argv[++i];
    else if (word == "--models" && i + 1 < argc)
      a.models = argv[++i];
    else if (word == "--faces" && i + 1 < argc)
      a.faces = argv[++i];
    else if (word.rfind("--", 0) == 0)
      throw std::invalid_argument(word);
    else
      a.photos.push_back(word);
  }
  if (a.photos.empty() || (a.detector != "hog" && a.detector != "cnn"))
    throw std::invalid_argument("no photos, or a detector it does not know");
  return a;
}

}  // namespace
}  // namespace face::bench

int main(int argc, char** argv) {
  try {
    face::bench::run(face::bench::parse(argc, argv));
    return 0;
  } catch (const std::invalid_argument& error) {
    std::cerr << error.what() << '\n' << face::bench::kUsage;
  } catch (const std::exception& error) {
    std::cerr << "dlib_bench: " << error.what() << '\n';
  }
  return 1;
}
