// Receives mail: listen ADDRESS CERT KEY USER PASSWORD [COUNT [DIRECTORY]], with STARTTLS and a login required. Prints a
// line for each message, keeps it in DIRECTORY, and ends after COUNT messages (0: never) or on Ctrl-C.
#include <csignal>
#include <fstream>
#include <iostream>
#include <mailwire.hpp>

static const mailwire::cancel stop;

static void keep(const mailwire::event &event, const std::string &directory, long number) {
    if (!directory.empty()) {
        std::ofstream file(directory + "/" + std::to_string(number) + ".eml", std::ios::binary);
        if (!file.write(event.content().data(), static_cast<std::streamsize>(event.content().size())).flush())
            throw std::runtime_error("the message could not be kept");
    }
    auto or_else = [](std::string_view text, const char *other) { return text.empty() ? other : text; };
    std::cout << event.peer() << " " << or_else(event.tls_version(), "-") << " " << or_else(event.user(), "-") << " "
              << or_else(event.sender(), "<>") << " ";
    for (std::size_t i = 0; i < event.recipient_count(); ++i)
        std::cout << (i ? "," : "") << event.recipient_at(i);
    std::cout << " " << event.content().size() << std::endl;
}

// Answers an event, and says whether a message was taken.
static bool answer(mailwire::event event, const std::string &directory, long number) {
    mailwire::error gone; // The client may be gone before it is answered.
    if (event.kind() == MAILWIRE_EVENT_MESSAGE) {
        keep(event, directory, number);
        return event.accept(&gone);
    }
    for (std::size_t i = 0; i < event.recipient_count(); ++i)
        if (event.recipient_at(i).substr(0, 7) == "nobody@")
            event.reply_at(i, 550, "5.1.1", "No such user here", &gone);
    event.accept(&gone);
    return false;
}

static void listen(int argc, char **argv) {
    mailwire::server_options options;
    options.add_listener(argv[1]);
    options.set_certificate(argv[2], argv[3]);
    options.add_user(argv[4], argv[5]);
    options.set_require_tls(true);
    options.set_require_auth(true);
    options.set_hooks(MAILWIRE_HOOK_RCPT);
    mailwire::server server(options);
    std::cout << "listening on " << server.address() << std::endl;

    const std::string directory = argc > 7 ? argv[7] : "";
    long taken = 0, count = argc > 6 ? std::stol(argv[6]) : 0;
    while (count == 0 || taken < count) {
        mailwire::event event = server.next_event(&stop);
        if (!event)
            break;
        taken += answer(std::move(event), directory, taken + 1);
    }
    // What is under way has five seconds, and wants to be answered.
    server.begin_shutdown(std::chrono::seconds(5));
    while (mailwire::event event = server.next_event())
        taken += answer(std::move(event), directory, taken + 1);
}

int main(int argc, char **argv) {
    if (argc < 6) {
        std::cerr << "usage: " << argv[0] << " ADDRESS CERT KEY USER PASSWORD [COUNT [DIRECTORY]]\n";
        return 2;
    }
    for (int number : {SIGINT, SIGTERM})
        std::signal(number, [](int) { stop.signal(); });
    try {
        listen(argc, argv);
    } catch (const std::exception &error) {
        std::cerr << "listen: " << error.what() << "\n";
        return 1;
    }
}
