# Writes a C program that calls every function of mailwire.h with every pointer NULL: all at once, and each alone with the
# others good. What it must not do is crash; what it must do is refuse, or give the neutral value that the header names.
import re
import sys

# What a good argument of each type is. A function that frees or keeps its argument gets a fresh one for each call.
GOOD = {
    "const char *": '"x"',
    "const char *const *": "texts",
    "const void *": '"x"',
    "int32_t *": "&number",
    "uint64_t *": "&big",
    "mailwire_error **": "&err",
    "bool": "false",
    "size_t": "1",
    "int32_t": "0",
    "int64_t": "0",
    "uint16_t": "1",
    "uint32_t": "0",
    "uint64_t": "1",
    "mailwire_status": "0",
    "mailwire_tls_policy": "0",
    "mailwire_hooks": "0",
}

# Objects that can be made without a server or a network. Of the other kinds NULL is all that this program has.
MADE = {
    "mailwire_message": "mailwire_message_new()",
    "mailwire_cancel": "mailwire_cancel_new()",
    "mailwire_client_options": "mailwire_client_options_new()",
    "mailwire_server_options": "mailwire_server_options_new()",
}


def functions(header):
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    for match in re.finditer(r"^MAILWIRE_API\s+([^;{]*?)\b(mailwire_\w+)\(([^)]*)\);", code, re.M):
        result = " ".join(match[1].replace("MAILWIRE_NODISCARD", "").split())
        parameters = []
        for parameter in match[3].split(","):
            parameter = " ".join(parameter.split())
            if parameter != "void":
                kind, name = re.fullmatch(r"(.*?[ *])(\w+)", parameter).groups()
                parameters.append((kind.strip(), name))
        yield result, match[2], parameters


def bare(kind):
    return kind.replace("const ", "").replace("*", "").strip()


def call(result, name, parameters, null):
    before, after, arguments = [], [], []
    for index, (kind, _) in enumerate(parameters):
        if index in null:
            arguments.append("NULL")
        elif kind in GOOD:
            arguments.append(GOOD[kind])
        elif kind.endswith("**"):
            arguments.append(f"&made_{bare(kind)}")
            after.append(f"{bare(kind)}_free(made_{bare(kind)}); made_{bare(kind)} = NULL;")
        elif bare(kind) in MADE:
            variable = f"object_{index}"
            before.append(f"{bare(kind)} *{variable} = {MADE[bare(kind)]};")
            arguments.append(variable)
            if not name.endswith(("_free", "_unref")):
                release = "unref" if bare(kind) == "mailwire_cancel" else "free"
                after.append(f"{bare(kind)}_{release}({variable});")
        else:
            arguments.append("NULL")
    called = f"{name}({', '.join(arguments)})"
    # err alone may be NULL without making the call fail.
    pointers = [i for i, (kind, _) in enumerate(parameters) if kind.endswith("*")]
    needed = [i for i in null if parameters[i][1] not in ("err", "report", "cancel", "enhanced")]
    if result == "mailwire_status" and parameters and parameters[-1][1] == "err":
        everything = set(pointers) == set(null)
        if needed and (everything or f"{name}:{parameters[needed[0]][1]}" not in MAY_BE_NULL):
            line = f'refused({called}, "{name}");'
        else:
            line = f"status = {called};"
    elif result == "const char *":
        line = f'text({called}, "{name}");'
    elif result == "void" or result == "":
        line = f"{called};"
    elif result == "mailwire_cancel *":
        line = f"mailwire_cancel_unref({called});"
    elif result.endswith("*") and not result.startswith("const"):
        line = f"{bare(result)}_free({called});"
    else:
        line = f"(void){called};"
    return "    {{ {} }}".format(" ".join([*before, line, "mailwire_error_free(err); err = NULL;", *after]))


# Buffers may be NULL with length 0 only, and lengths here are 1; these are the parameters for which NULL is a value.
MAY_BE_NULL = {"mailwire_event_reply:enhanced", "mailwire_event_reply_at:enhanced"}


def program(header):
    found = list(functions(header))
    kinds = sorted(
        {bare(k) for _, _, ps in found for k, _ in ps if k.endswith("**") and bare(k) != "mailwire_error"} - {"char"}
    )
    lines = [
        "// Written by null_sweep.py: every function with every pointer NULL.",
        '#include "check.h"',
        "static void refused(mailwire_status status, const char *name) {",
        "    check_that(status == MAILWIRE_ERR_INVALID_ARGUMENT, name, __FILE__, __LINE__);",
        "}",
        "static void text(const char *text, const char *name) {",
        "    check_that(text != NULL, name, __FILE__, __LINE__);",
        "}",
        "int main(void) {",
        "    mailwire_error *err = NULL;",
        "    mailwire_status status = 0;",
        "    int32_t number = 0;",
        "    uint64_t big = 0;",
        '    const char *texts[] = {"x"};',
        *(f"    {kind} *made_{kind} = NULL;" for kind in kinds),
    ]
    for result, name, parameters in found:
        pointers = [i for i, (kind, _) in enumerate(parameters) if kind.endswith("*")]
        for null in [pointers, *([i] for i in pointers)] if pointers else [[]]:
            lines.append(call(result, name, parameters, null))
    lines += ["    (void)status; (void)number; (void)big;", "    (void)texts;", "    return check_result();", "}"]
    return "\n".join(lines) + "\n", len(found)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        text, count = program(file.read())
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(text)
    if count < int(sys.argv[3]):
        sys.exit(f"only {count} functions found in {sys.argv[1]}")
