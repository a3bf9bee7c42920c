// Attention backward. Scores are made again from lse, transposed (keys x queries), so that softmax needs no reduction
// and both dV += P^T dO and dK += dS^T Q read the tile by rows. The keys of a head are cut into groups; each
// group sums its own dQ, added up in order at the end: no atomics, equal bits at any number of threads.

#include "backend/cpu/attention_pack.h"
#include "backend/cpu/kernels.h"

namespace ldmpi::backend::cpu {
namespace {

constexpr std::int64_t kQueryTile = 96;
constexpr std::int64_t kKeyTile = 96;
static_assert(kQueryTile % kBlockRows == 0 && kQueryTile % kPanel == 0 && kKeyTile % kBlockRows == 0);
constexpr float kLog2E = 1.44269504F;

struct Plan {
  Heads heads;
  std::int64_t query_tiles;
  std::int64_t key_tiles;
  std::int64_t group_tiles;  ///< key tiles of a group
  std::int64_t groups;       ///< of a head; a function of the shapes only
  std::int64_t wave;         ///< heads packed at a time
  int team;

  Plan(const ir::Attention& op, const NodeTypes& types) : heads(op, types.inputs[1], types.inputs[2]), team(threads()) {
    constexpr std::int64_t kPackedFloats = 1 << 21;
    query_tiles = ceil_div(heads.queries, kQueryTile);
    key_tiles = ceil_div(heads.keys, kKeyTile);
    group_tiles = ceil_div(key_tiles, heads.count >= 64 ? 1 : 4);
    groups = ceil_div(key_tiles, group_tiles);
    const std::int64_t head_size = (4 + groups) * heads.rows_size(heads.queries) + 2 * heads.rows_size(heads.keys);
    const std::int64_t busy = ceil_div(2 * team, groups);
    wave = std::clamp(std::max(kPackedFloats / head_size, busy), std::int64_t{1}, heads.count);
  }
};

/// Packed operands, each with one part per head of the wave; then per-thread tiles.
struct Parts {
  float* k_rows;
  float* v_rows;
  float* q_rows;  ///< times scale
  float* do_rows;
  float* q_panels;  ///< times scale * log2(e)
  float* do_panels;
  float* lse;    ///< in powers of two; per head padded to panels, as delta
  float* delta;  ///< do . o of each query
  float* dq;     ///< per head and group
  float* tile;   ///< P, dS [kKeyTile, kQueryTile], dK, dV [kKeyTile, step]
  std::int64_t tile_size;
  std::size_t bytes;

  Parts(const Plan& plan, void* workspace) {
    const Heads& heads = plan.heads;
    Scratch scratch(workspace);
    const std::int64_t key_rows = plan.wave * heads.rows_size(heads.keys);
    const std::int64_t query_rows = plan.wave * heads.rows_size(heads.queries);
    k_rows = scratch.take<float>(key_rows);
    v_rows = scratch.take<float>(key_rows);
    q_rows = scratch.take<float>(query_rows);
    do_rows = scratch.take<float>(query_rows);
    q_panels = scratch.take<float>(plan.wave * heads.panels_size(heads.queries));
    do_panels = scratch.take<float>(plan.wave * heads.panels_size(heads.queries));
    lse = scratch.take<float>(plan.wave * round_up(heads.queries, kPanel));
    delta = scratch.take<float>(plan.wave * round_up(heads.queries, kPanel));
    dq = scratch.take<float>(query_rows * plan.groups);
    tile_size = 2 * kKeyTile * (kQueryTile + heads.step());
    tile = scratch.take<float>(plan.team * tile_size);
    bytes = scratch.used();
  }
};

/// Scores and dP of one tile -> P and dS, in place. Keys are rows, queries columns.
void differentiate(std::int64_t keys, std::int64_t queries, const float* lse, const float* delta, float* p, float* ds) {
  for (std::int64_t key = 0; key < keys; ++key) {
    for (std::int64_t i = 0; i < queries; i += 8) {
      auto& score = *reinterpret_cast<Float8Memory*>(p + key * kQueryTile + i);
      auto& slope = *reinterpret_cast<Float8Memory*>(ds + key * kQueryTile + i);
      const Float8 weight = exp2_of<Float8>(score - *reinterpret_cast<const Float8Memory*>(lse + i));
      score = weight;
      slope = weight * (slope - *reinterpret_cast<const Float8Memory*>(delta + i));
    }
  }
}

/// One group of key tiles of packed head `h`; `write` takes (first key, keys, dk rows, dv rows).
template <typename Write>
void group_gradients(const Plan& plan, const Parts& parts, std::int64_t h, std::int64_t group, int thread,
                     const Write& write) {
  const Heads& heads = plan.heads;
  const std::int64_t step = heads.step();
  const std::int64_t key_base = h * heads.rows_size(heads.keys);
  const std::int64_t query_base = h * heads.rows_size(heads.queries);
  const std::int64_t panel_base = h * heads.panels_size(heads.queries);
  const std::int64_t scalar_base = h * round_up(heads.queries, kPanel);
  float* dq = parts.dq + (h * plan.groups + group) * heads.rows_size(heads.queries);
  float* p = parts.tile + thread * parts.tile_size;
  float* ds = p + kKeyTile * kQueryTile;
  float* dk = ds + kKeyTile * kQueryTile;
  float* dv = dk + kKeyTile * step;
  const std::int64_t first_tile = group * plan.group_tiles;
  const std::int64_t last_tile = std::min(first_tile + plan.group_tiles, plan.key_tiles);
  for (std::int64_t tile = first_tile; tile < last_tile; ++tile) {
    const std::int64_t key = tile * kKeyTile;
    const std::int64_t keys = std::min(kKeyTile, heads.keys - key);
    const float* k_rows = parts.k_rows + key_base + key * step;
    const float* v_rows = parts.v_rows + key_base + key * step;
    for (std::int64_t query = 0; query < heads.queries; query += kQueryTile) {
      const std::int64_t queries = std::min(kQueryTile, heads.queries - query);
      const bool add = query != 0;
      const std::int64_t panel = panel_base + query * heads.width;
      const std::int64_t rows = query_base + query * step;
      multiply(keys, queries, heads.width, {k_rows, step, 1}, {parts.q_panels + panel, kPanel, kPanel * heads.width}, p,
               kQueryTile, false);
      multiply(keys, queries, heads.width, {v_rows, step, 1}, {parts.do_panels + panel, kPanel, kPanel * heads.width},
               ds, kQueryTile, false);
      differentiate(keys, queries, parts.lse + scalar_base + query, parts.delta + scalar_base + query, p, ds);
      multiply(keys, heads.width, queries, {p, kQueryTile, 1}, {parts.do_rows + rows, step, kPanel}, dv, step, add);
      multiply(keys, heads.width, queries, {ds, kQueryTile, 1}, {parts.q_rows + rows, step, kPanel}, dk, step, add);
      multiply(queries, heads.width, keys, {ds, 1, kQueryTile}, {k_rows, step, kPanel}, dq + query * step, step,
               tile != first_tile);
    }
    write(key, keys, dk, dv);
  }
}

/// The operands' addresses and pitches: inputs do, q, k, v, o; outputs dq, dk, dv.
struct Operands {
  const KernelArgs& args;
  const NodeTypes& types;
  [[nodiscard]] std::int64_t pitch(std::size_t i) const { return types.inputs[i].row_pitch(); }
  [[nodiscard]] std::int64_t out_pitch(std::size_t i) const { return types.outputs[i].row_pitch(); }
};

void pack_queries(const Plan& plan, const Parts& parts, const Operands& op, std::int64_t head, std::int64_t h,
                  std::int64_t tile) {
  const Heads& heads = plan.heads;
  const std::int64_t begin = tile * kQueryTile;
  const std::int64_t end = std::min(begin + kQueryTile, heads.queries);
  const std::int64_t step = heads.step();
  const auto at = [&](std::size_t i) { return op.args.in<float>(i) + heads.offset(head, heads.queries, op.pitch(i)); };
  float* q_rows = parts.q_rows + h * heads.rows_size(heads.queries);
  float* do_rows = parts.do_rows + h * heads.rows_size(heads.queries);
  pack_rows(at(1), op.pitch(1), begin, end, heads.width, heads.scale, q_rows, step);
  pack_rows(at(0), op.pitch(0), begin, end, heads.width, 1.0F, do_rows, step);
  const std::int64_t panel_base = h * heads.panels_size(heads.queries);
  pack_panels(q_rows, step, begin, end, heads.width, kLog2E, parts.q_panels + panel_base);
  pack_panels(do_rows, step, begin, end, heads.width, 1.0F, parts.do_panels + panel_base);
  const std::int64_t padded = round_up(heads.queries, kPanel);
  const float* o = at(4);
  const float* lse = op.args.in<float>(5) + head * heads.queries;
  for (std::int64_t query = begin; query < round_up(end, kPanel); ++query) {
    float sum = 0;
    if (query < end) {
      const float* left = do_rows + query * step;
      const float* right = o + query * op.pitch(4);
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = 0; i < heads.width; ++i) sum += left[i] * right[i];
    }
    parts.delta[h * padded + query] = sum;
    parts.lse[h * padded + query] = query < end ? kLog2E * lse[query] : 0.0F;
  }
}

void pack_keys(const Plan& plan, const Parts& parts, const Operands& op, std::int64_t head, std::int64_t h,
               std::int64_t tile) {
  const Heads& heads = plan.heads;
  const std::int64_t begin = tile * kKeyTile;
  const std::int64_t end = std::min(begin + kKeyTile, heads.keys);
  const std::int64_t base = h * heads.rows_size(heads.keys);
  const auto pack = [&](std::size_t i, float* rows) {
    pack_rows(op.args.in<float>(i) + heads.offset(head, heads.keys, op.pitch(i)), op.pitch(i), begin, end, heads.width,
              1.0F, rows + base, heads.step());
  };
  pack(2, parts.k_rows);
  pack(3, parts.v_rows);
}

void write_dq(const Plan& plan, const Parts& parts, const Operands& op, std::int64_t head, std::int64_t h,
              std::int64_t tile) {
  const Heads& heads = plan.heads;
  const std::int64_t size = heads.rows_size(heads.queries);
  const std::int64_t end = std::min((tile + 1) * kQueryTile, heads.queries);
  float* out = op.args.out<float>(0) + heads.offset(head, heads.queries, op.out_pitch(0));
  for (std::int64_t row = tile * kQueryTile; row < end; ++row) {
    const float* from = parts.dq + h * plan.groups * size + row * heads.step();
    float* to = out + row * op.out_pitch(0);
    for (std::int64_t i = 0; i < heads.width; ++i) {
      float sum = from[i];
      for (std::int64_t group = 1; group < plan.groups; ++group) sum += from[group * size + i];
      to[i] = heads.scale * sum;
    }
  }
}

}  // namespace

NodeAnswer answer(const ir::AttentionGrad& op, const NodeTypes& types) {
  return {.workspace_bytes = Parts(Plan(op.forward, types), nullptr).bytes,
          .pitched_inputs = true,
          .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::AttentionGrad& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return own_kernel([plan = Plan(op.forward, types), types](const KernelArgs& args) {
    const Heads& heads = plan.heads;
    const Parts parts(plan, args.workspace);
    const Operands operands{args, types};
    for (std::int64_t first = 0; first < heads.count; first += plan.wave) {
      const std::int64_t wave = std::min(plan.wave, heads.count - first);
      const std::int64_t work = wave * heads.product_work() / heads.count;
      const std::int64_t pieces = plan.query_tiles + plan.key_tiles;
      parallel_for(wave * pieces, work / 64, [&](std::int64_t i) {
        const std::int64_t h = i / pieces;
        const std::int64_t tile = i % pieces;
        if (tile < plan.query_tiles) {
          pack_queries(plan, parts, operands, first + h, h, tile);
        } else {
          pack_keys(plan, parts, operands, first + h, h, tile - plan.query_tiles);
        }
      });
      parallel_tasks(plan.team, wave * plan.groups, work, [&](std::int64_t i, int thread) {
        const std::int64_t h = i / plan.groups;
        const auto write = [&](std::int64_t key, std::int64_t keys, const float* dk, const float* dv) {
          for (std::size_t out : {1U, 2U}) {
            const std::int64_t pitch = operands.out_pitch(out);
            float* to = args.out<float>(out) + heads.offset(first + h, heads.keys, pitch) + key * pitch;
            pack_rows(out == 1 ? dk : dv, heads.step(), 0, keys, heads.width, 1.0F, to, pitch);
          }
        };
        group_gradients(plan, parts, h, i % plan.groups, thread, write);
      });
      parallel_for(wave * plan.query_tiles, work / 64, [&](std::int64_t i) {
        write_dq(plan, parts, operands, first + i / plan.query_tiles, i / plan.query_tiles, i % plan.query_tiles);
      });
    }
  });
}

}  // namespace ldmpi::backend::cpu
