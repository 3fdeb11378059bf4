// httpd: HTTP on the listeners that moxd hands over. For now health and metrics; it sees no files and opens no
// connections.
#include "common/tls/context.h"
#include "httpd/httpd.h"

int main(int argc, char** argv) {
    using namespace mox;
    process::Process process(ipc::Role::httpd, argc, argv);
    mox::tls::prepare();  // libtls has a global struct of that name
    process.confine({.network = sandbox::Network::accept, .max_files = 4096});
    httpd::Httpd program(process);
    return process.run(proto::ToHttpd{}, program);
}
