// Help and docs/options.md say what the tables say.
#include "config/help.h"

#include <cstdlib>
#include <set>
#include <sstream>

#include "config/options.h"
#include "fixture.h"

namespace ldmpi::config {
namespace {

TEST_F(ConfigTest, FullHelpListsEveryKeyAndGroupsHideTheRareOnes) {
  for (CommandConfig config : all_commands()) {
    const OptionTable table = table_of(config);
    const std::string all = *parse({table.command(), "--help=all"}).output;
    const std::string some = *parse({table.command(), "--help"}).output;
    for (const Option& option : table.options()) {
      expect_has(all, "--" + option.key + " ");
      EXPECT_EQ(some.find("--" + option.key + " ") == std::string::npos, option.advanced) << option.key;
    }
    for (const char* general : {"--config ", "--print_config ", "--help "}) expect_has(some, general);
  }
}

TEST_F(ConfigTest, HelpIsPrintedWhateverElseIsWrong) {
  EXPECT_TRUE(parse({"train", "--sed", "1", "--help"}).output);
  EXPECT_EQ(parse({"help", "plan"}).output, parse({"plan", "-h"}).output);
  const std::string text = *parse({"--help"}).output;
  for (const char* command : {"train", "sample", "plan", "probe", "bench", "report", "top", "convert"}) {
    expect_has(text, std::string("\n  ") + command + " ");
  }
}

TEST_F(ConfigTest, KeysAndAliasesAreUniqueAndInSnakeCase) {
  for (CommandConfig config : all_commands()) {
    OptionTable table = table_of(config);
    General general;
    add_general(table, general);
    std::set<std::string> names;
    for (const Option& option : table.options()) {
      EXPECT_EQ(option.key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_."), std::string::npos)
          << option.key;
      EXPECT_EQ(option.key.find("__"), std::string::npos) << option.key;
      EXPECT_TRUE(names.insert(option.key).second) << option.key;
      for (const Alias& alias : option.aliases) EXPECT_TRUE(names.insert(alias.name).second) << alias.name;
      EXPECT_FALSE(option.help.empty()) << option.key;
      for (const std::string& text : option.texts()) EXPECT_FALSE(option.fault(text)) << option.key << " = " << text;
    }
  }
}

TEST_F(ConfigTest, TheDocumentIsTheGeneratedOne) {
  const char* source = std::getenv("LDMPI_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "run the test through ctest";
  std::ifstream stream(std::filesystem::path(source) / "docs" / "options.md");
  std::ostringstream content;
  content << stream.rdbuf();
  EXPECT_TRUE(content.str() == options_markdown()) << "docs/options.md is old: ldmpi --help_markdown > docs/options.md";
}

}  // namespace
}  // namespace ldmpi::config
