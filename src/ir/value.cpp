#include "ir/value.h"

namespace ldmpi::ir {

std::string_view name_of(Arena arena) noexcept {
  switch (arena) {
    case Arena::Weights: return "weights";
    case Arena::Master: return "master";
    case Arena::Gradients: return "gradients";
    case Arena::Moment1: return "moment1";
    case Arena::Moment2: return "moment2";
    case Arena::Ema: return "ema";
    case Arena::State: return "state";
    case Arena::Inputs: return "inputs";
    case Arena::Outputs: return "outputs";
    case Arena::Constants: return "constants";
    case Arena::Activations: return "activations";
    case Arena::Workspace: return "workspace";
  }
  return "?";
}

std::string_view name_of(Phase phase) noexcept {
  switch (phase) {
    case Phase::Data: return "data";
    case Phase::Forward: return "forward";
    case Phase::Backward: return "backward";
    case Phase::Communicate: return "communicate";
    case Phase::Optimize: return "optimize";
  }
  return "?";
}

}  // namespace ldmpi::ir
