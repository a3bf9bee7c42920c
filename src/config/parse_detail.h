#pragma once
// What the readers of the three sources share; private to src/config.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/parse.h"

namespace boost::program_options {
class options_description;
}

namespace ldmpi::config {

/// Program_options' view of the table: every option takes texts, which the table has checked before.
[[nodiscard]] std::shared_ptr<boost::program_options::options_description> describe(const OptionTable& table);

/// The message for a key that the table lacks; `shown` is how the user wrote it.
[[nodiscard]] std::string unknown_key(const OptionTable& table, const OwnerOf& owner_of, std::string_view name,
                                      const std::string& shown);

/// The value that the word means: a synonym of the option or, under the name of another program, one of that.
[[nodiscard]] std::string meaning(const Option& option, const Alias* alias, const std::string& value);

/// A fault for each option that stands twice in one source and is not a list; the repetitions are dropped.
void refuse_repetitions(const OptionTable& table, std::vector<Given>& given, Faults& faults);

}  // namespace ldmpi::config
