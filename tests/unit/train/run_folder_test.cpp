#include "train/run_folder.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

namespace ldmpi::train::test {
namespace {

TEST(RunFolder, IsCreatedWithItsParts) {
  Scratch scratch;
  for (int again = 0; again < 2; ++again) {
    const RunFolder run = prepare_run_folder(scratch / "a/b/run");
    for (const char* part : {"logs", "samples", "checkpoints", "tensorboard"})
      EXPECT_TRUE(std::filesystem::is_directory(scratch / "a/b/run" / part)) << part;
    EXPECT_FALSE(run.is_used());
    EXPECT_TRUE(files_in(run.root()).empty());
    EXPECT_EQ(run.rank_log(3), run.logs() / "rank-00003.log");
  }
}

TEST(RunFolder, IsUsedOnceARunLeftSomething) {
  for (const char* trace : {"config.cfg", "metrics.jsonl", "checkpoints/step-00000001/MANIFEST.json",
                            "checkpoints/step-00000001.corrupt/MANIFEST.json"}) {
    Scratch scratch;
    const RunFolder run = prepare_run_folder(scratch.path());
    put(scratch / trace, "x");
    EXPECT_TRUE(run.is_used()) << trace;
  }
}

TEST(RunFolder, AFileInTheWayIsNamed) {
  Scratch scratch;
  put(scratch / "run", "a file");
  expect_error(Exit::CannotCreate, (scratch / "run").string(), [&] { (void)prepare_run_folder(scratch / "run"); });
  std::filesystem::create_directory(scratch / "run2");
  put(scratch / "run2/logs", "a file");
  expect_error(Exit::CannotCreate, "run2/logs", [&] { (void)prepare_run_folder(scratch / "run2"); });
}

TEST(RunFolder, WithoutPermissionTheOwnerAndModeAreShown) {
  Scratch scratch;
  ::chmod(scratch.path().c_str(), 0755);  // others may look, not write
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(3);
    try {
      (void)prepare_run_folder(scratch / "run");
    } catch (const Error& error) {
      const std::string_view message = error.what();
      ::_exit(error.code() == Exit::NoPermission && message.find("mode 0755") != std::string_view::npos &&
                      message.find("output_dir") != std::string_view::npos
                  ? 0
                  : 2);
    }
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (::geteuid() != 0) GTEST_SKIP() << "only root can try this as another user";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace ldmpi::train::test
