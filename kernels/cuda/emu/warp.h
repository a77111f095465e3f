// SPDX-License-Identifier: MIT
// kernels/cuda/emu/warp.h - barriers, shuffles, votes and matrix operations as CUDA spells them.
// Fragment layouts: PTX ISA, "Matrix fragments for mma.m16n8k8 / m16n8k16" and "ldmatrix".
#pragma once

#include "kernels/cuda/emu/block.h"
#include "kernels/cuda/emu/half.h"
#include "kernels/cuda/emu/races.h"

// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): CUDA's names

#define FACE_EMU_SITE ::face::cuda::emu::Site site = {__builtin_FILE(), __builtin_LINE()}

inline void __syncthreads(FACE_EMU_SITE) { face::cuda::emu::barrier(site); }
inline void __syncwarp(uint32_t mask = ~0u, FACE_EMU_SITE) {
  face::cuda::emu::warp_barrier(mask, site);
}

namespace face::cuda::emu {

template <typename T>
struct Shuffle {
  T value, result;
  int source;
};

template <typename T>
T shuffle(uint32_t mask, T value, int source, Site site) {
  Shuffle<T> s{value, value, source};
  collective(
      mask,
      [](uint32_t m, void** operands) FACE_EMU_UNSEEN {
        for (int i = 0; i < 32; ++i) {
          if ((m >> i & 1) == 0) continue;
          auto* self = static_cast<Shuffle<T>*>(operands[i]);
          if ((m >> self->source & 1) == 0) fail("shuffle from a lane that is not in the mask");
          self->result = static_cast<Shuffle<T>*>(operands[self->source])->value;
        }
      },
      &s, site);
  return s.result;
}

struct Vote {
  bool predicate;
  uint32_t ballot;
};

inline uint32_t vote(uint32_t mask, bool predicate, Site site) {
  Vote v{predicate, 0};
  collective(
      mask,
      [](uint32_t m, void** operands) FACE_EMU_UNSEEN {
        uint32_t ballot = 0;
        for (int i = 0; i < 32; ++i)
          if ((m >> i & 1) != 0 && static_cast<Vote*>(operands[i])->predicate) ballot |= 1u << i;
        for (int i = 0; i < 32; ++i)
          if ((m >> i & 1) != 0) static_cast<Vote*>(operands[i])->ballot = ballot;
      },
      &v, site);
  return v.ballot;
}

struct MmaOperands {
  float* d;           // 4: D and C
  const uint32_t* a;  // 2 (k8) or 4 (k16) pairs of halves
  const uint32_t* b;  // 1 or 2
};

/// D(16x8) += A(16xK) * B(Kx8): one call of each of the 32 lanes.
template <int K>
FACE_EMU_UNSEEN void mma_operation(uint32_t, void** operands) {
  const float* value = half_values();
  const auto half = [&](uint32_t pair, int i) { return value[uint16_t(pair >> 16 * i)]; };
  float a[16][K], b[K][8], c[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto* o = static_cast<MmaOperands*>(operands[lane]);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int k = 0; k < K / 8; ++k)
      for (int e = 0; e < 2; ++e) {
        a[group][k * 8 + pair + e] = half(o->a[k * 2], e);
        a[group + 8][k * 8 + pair + e] = half(o->a[k * 2 + 1], e);
        b[k * 8 + pair + e][group] = half(o->b[k], e);
      }
    for (int i = 0; i < 4; ++i) c[group + i / 2 * 8][pair + i % 2] = o->d[i];
  }
  for (int m = 0; m < 16; ++m)
    for (int k = 0; k < K; ++k)
      for (int n = 0; n < 8; ++n) c[m][n] += a[m][k] * b[k][n];
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int i = 0; i < 4; ++i)
      static_cast<MmaOperands*>(operands[lane])->d[i] = c[group + i / 2 * 8][pair + i % 2];
  }
}

template <int K>
void mma(float* d, const uint32_t* a, const uint32_t* b, Site site) {
  MmaOperands operands{d, a, b};
  collective(~0u, &mma_operation<K>, &operands, site);
}

struct LdmatrixOperands {
  uint32_t* result;
  const void* row;
};

/// Loads `Count` 8x8 matrices of halves; lane 8 * j + i gives the address of row i of matrix j.
template <int Count>
void ldmatrix(uint32_t* result, const void* row, Site site) {
  if (lane() < Count * 8) {
    if ((reinterpret_cast<uintptr_t>(row) & 15) != 0) fail("ldmatrix: row not 16-byte aligned");
    if (!in_shared(row, 16)) fail("ldmatrix: row outside shared memory");
    const auto* halves = static_cast<const volatile uint64_t*>(row);
    static_cast<void>(halves[0] + halves[1]);  // this lane reads it, for race detectors
  }
  LdmatrixOperands operands{result, row};
  collective(
      ~0u,
      [](uint32_t, void** o) FACE_EMU_UNSEEN {
        for (int j = 0; j < Count; ++j)
          for (int lane = 0; lane < 32; ++lane) {
            const auto* source = static_cast<LdmatrixOperands*>(o[j * 8 + lane / 4]);
            std::memcpy(&static_cast<LdmatrixOperands*>(o[lane])->result[j],
                        static_cast<const char*>(source->row) + lane % 4 * 4, 4);
          }
      },
      &operands, site);
}

}  // namespace face::cuda::emu

template <typename T>
T __shfl_sync(uint32_t mask, T value, int source, FACE_EMU_SITE) {
  return face::cuda::emu::shuffle(mask, value, source & 31, site);
}
template <typename T>
T __shfl_xor_sync(uint32_t mask, T value, int bits, FACE_EMU_SITE) {
  return face::cuda::emu::shuffle(mask, value, face::cuda::emu::lane() ^ bits, site);
}
template <typename T>
T __shfl_down_sync(uint32_t mask, T value, int distance, FACE_EMU_SITE) {
  const int lane = face::cuda::emu::lane(), source = lane + distance;
  return face::cuda::emu::shuffle(mask, value, source < 32 ? source : lane, site);
}
template <typename T>
T __shfl_up_sync(uint32_t mask, T value, int distance, FACE_EMU_SITE) {
  const int lane = face::cuda::emu::lane(), source = lane - distance;
  return face::cuda::emu::shuffle(mask, value, source >= 0 ? source : lane, site);
}
inline uint32_t __ballot_sync(uint32_t mask, bool predicate, FACE_EMU_SITE) {
  return face::cuda::emu::vote(mask, predicate, site);
}
inline bool __any_sync(uint32_t mask, bool predicate, FACE_EMU_SITE) {
  return face::cuda::emu::vote(mask, predicate, site) != 0;
}
inline bool __all_sync(uint32_t mask, bool predicate, FACE_EMU_SITE) {
  return face::cuda::emu::vote(mask, predicate, site) == mask;
}

// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)
