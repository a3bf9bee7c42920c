// ldmpi top: a run in the terminal, from its files.

#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>

#include "app/commands.h"
#include "base/check.h"
#include "base/clock.h"
#include "train/top_frame.h"

namespace ldmpi::app {
namespace {

constexpr std::size_t kColumnsWithoutTerminal = 100;
constexpr char kControlC = 3;

// Set by signals that end the program; a changed size of the window only interrupts the wait.
volatile sig_atomic_t end_asked = 0;

void ask_end(int) {
  end_asked = 1;
}
void wake(int) {}

void handle(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;  // without SA_RESTART: poll returns
  ::sigaction(number, &action, nullptr);
}

// The terminal while top has it: no echo, keys at once, a screen of its own.
class Screen {
 public:
  Screen() {
    require(::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0,
            Exit::BadConfig, "ldmpi top needs a terminal to show a run that goes on; --once prints one picture of it");
    for (const int number : {SIGTERM, SIGHUP, SIGINT}) handle(number, ask_end);
    handle(SIGWINCH, wake);
    auto raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    put("\x1b[?1049h\x1b[?25l");
  }
  ~Screen() {
    put("\x1b[?25h\x1b[?1049l");
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  void paint(const std::vector<std::string>& lines, std::size_t rows) {
    std::string text = "\x1b[H";
    for (std::size_t i = 0; i < lines.size() && i < rows; ++i)
      text += (i > 0 ? "\r\n" : "") + lines[i] + "\x1b[K";  // what was behind the line goes
    put(text + "\x1b[J");
  }

  /// Waits for a key, a signal or the end of the time. Returns whether to go on.
  [[nodiscard]] static bool go_on(double seconds) {
    pollfd keys{STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&keys, 1, static_cast<int>(seconds * 1e3));
    if (end_asked != 0) return false;
    if (ready <= 0) return ready == 0 || errno == EINTR;
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) != 1) return false;  // the terminal is gone
    return key != 'q' && key != 'Q' && key != kControlC;
  }

 private:
  static void put(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::write(STDOUT_FILENO, text.data(), text.size());
      if (sent < 0 && errno != EINTR) return;
      if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  termios before_{};
};

winsize size_of_terminal() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
  return size;
}

}  // namespace

int run(const config::TopConfig& config, Invocation&) {
  std::error_code error;
  require(std::filesystem::is_directory(config.run, error), Exit::MissingInput,
          "there is no run folder {}. Give the output_dir of a training run", config.run);
  std::setlocale(LC_CTYPE, "");
  const auto folder = std::filesystem::absolute(config.run).lexically_normal();
  train::FrameOptions options{.name = (folder.has_filename() ? folder : folder.parent_path()).filename().string(),
                              .blocks = std::string_view(::nl_langinfo(CODESET)) == "UTF-8"};
  train::RunWatch watch(config.run);
  const auto frame = [&](std::size_t columns) {
    watch.look();
    options.now = wall_seconds();
    options.columns = config.width > 0 ? static_cast<std::size_t>(config.width) : columns;
    return train::top_frame(watch.picture(), options);
  };
  if (config.once) {
    const auto columns = size_of_terminal().ws_col;
    for (const auto& line : frame(columns > 0 ? columns : kColumnsWithoutTerminal)) fmt::print("{}\n", line);
    return 0;
  }
  Screen screen;
  do {
    const auto size = size_of_terminal();
    auto lines = frame(size.ws_col > 0 ? size.ws_col : kColumnsWithoutTerminal);
    lines.emplace_back();
    lines.emplace_back(train::fitting("q: quit", size.ws_col));
    screen.paint(lines, size.ws_row > 0 ? size.ws_row : lines.size());
  } while (Screen::go_on(config.interval));
  return 0;
}

}  // namespace ldmpi::app
