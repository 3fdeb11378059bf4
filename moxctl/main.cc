// moxctl: the administrator's command. It sees what its user sees, and changes nothing itself: it asks moxd.
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <unistd.h>

#include "moxctl/password.h"
#include "moxctl/run.h"

int main(int argc, char** argv) {
    using namespace mox::moxctl;
    DescriptorPassword passwords(STDIN_FILENO);
    const char* socket = std::getenv("MOXCTL_SOCKET");
    World world{std::cout, std::cerr, passwords,
                socket != nullptr && *socket != '\0' ? socket : std::string(kDefaultSocket), std::time(nullptr)};
    ExitStatus status = run({argv + 1, argv + argc}, world);
    std::cout.flush();
    // A full disk or a closed pipe is a failure, too.
    if (status == ExitStatus::ok && !std::cout) status = ExitStatus::failed;
    return static_cast<int>(status);
}
