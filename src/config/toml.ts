/**
 * Parses the configuration written in TOML. The names are those of sasyncd.conf; the man page lists them. What the
 * values mean is checked by check.ts, here only their types.
 */

import { parse } from "@std/toml";
import { ConfigError, type Mistake } from "../errors.ts";
import { didYouMean } from "./nearest.ts";
import { quoteWord } from "./quote_word.ts";
import type { KeySource, ParsedSettings, Setting, WordKind } from "./settings.ts";
import { findTomlLines, type TomlLines } from "./toml_lines.ts";

/**
 * Parses TOML. Keys of the wrong type and unknown keys are among the mistakes, without any part of a key.
 * @throws {ConfigError} on broken syntax: then nothing else can be said of the file.
 */
export function parseToml(text: string, file: string): ParsedSettings {
  const document = parseDocument(text, file);
  const reader = new TomlReader(file, findTomlLines(text));
  reader.readDocument(document);
  return reader;
}

function parseDocument(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // The parser's own message quotes the line, and with it perhaps the key.
    const [, line = "0", column = "0"] = /line (\d+), column (\d+)/.exec(error.message) ?? [];
    throw new ConfigError([{ file, line: Number(line), message: `not valid TOML, after column ${column}` }]);
  }
}

/** Reads the value of one key; `path` names it in mistakes. */
type ReadKey = (value: unknown, path: string) => void;

class TomlReader implements ParsedSettings {
  readonly settings: Setting[] = [];
  readonly mistakes: Mistake[] = [];

  constructor(private readonly file: string, private readonly found: TomlLines) {
    for (const { path, line } of found.duplicates) this.#report(path, "given twice", line);
  }

  readDocument(document: unknown): void {
    this.#table(document, "", {
      interface: (value, path) => this.#interface(value, path),
      group: this.#word("group"),
      flushmode: this.#word("flushmode"),
      mode: this.#word("mode"),
      skipslave: this.#flag((line) => ({ kind: "mode", line, value: "skipslave" })),
      control: (value, path) => this.#control(value, path),
      control_socket: this.#word("control socket"),
      user: this.#word("user"),
      kernel: this.#word("kernel"),
      pfkey: (value, path) => this.#pfkey(value, path),
      protocol: this.#word("protocol"),
      renegotiate: this.#word("renegotiate"),
      replay: this.#word("replay"),
      sharedkey: this.#nodeKey("sharedkey"),
      sharedkey_next: this.#nodeKey("sharedkey next"),
      allow_weak_key: this.#flag((line) => ({ kind: "weak", line })),
      listen: (value, path) => this.#list(value, path, (entry, place) => this.#listen(entry, place)),
      peer: (value, path) => this.#list(value, path, (entry, place) => this.#peer(entry, place)),
      shared: (value, path) => this.#list(value, path, this.#word("shared")),
      exclude: (value, path) => this.#list(value, path, this.#word("exclude")),
      demote: (value, path) => this.#demote(value, path),
      check_files: (value, path) => this.#list(value, path, this.#word("check file")),
      metrics: (value, path) => this.#metrics(value, path),
    });
  }

  /** `interface` is a name, or a table: `interface = { name = "eth0", address = "192.0.2.100" }`. */
  #interface(value: unknown, path: string): void {
    const given = typeof value === "string"
      ? { name: value }
      : this.#fields(value, path, { name: "string", address: "string" });
    if (given === undefined) return;
    const { name, address }: { name?: string; address?: string } = given;
    if (name === undefined) this.#report(path, "name is missing");
    else this.settings.push({ kind: "interface", line: this.#lineOf(path), name, address });
  }

  /** `control` is a word, or a table with what belongs to it: `{ daemon = "exec", command = "/path word" }`. */
  #control(value: unknown, path: string): void {
    const given = typeof value === "string"
      ? { daemon: value }
      : this.#fields(value, path, { daemon: "string", socket: "string", command: "string" });
    if (given === undefined) return;
    const { daemon, socket, command }: { daemon?: string; socket?: string; command?: string } = given;
    if (daemon === undefined) this.#report(path, "daemon is missing");
    else this.settings.push({ kind: "control", line: this.#lineOf(path), daemon, socket, command });
  }

  /** `pfkey = { assume_truncation = 128, assume_no_esn = true }`. */
  #pfkey(value: unknown, path: string): void {
    const readNoEsn = this.#flag((line) => ({
      kind: "pfkey",
      line,
      assumption: "assume-no-esn",
      value: undefined,
    }));
    const given = this.#fields(value, path, { assume_truncation: "integer" }, { assume_no_esn: readNoEsn });
    if (given?.assume_truncation === undefined) return;
    const line = this.#lineOf(path);
    this.settings.push({
      kind: "pfkey",
      line,
      assumption: "assume-truncation",
      value: given.assume_truncation,
    });
  }

  /** `metrics` is an address, or a table: `metrics = { on = "127.0.0.1", port = 9752 }`. */
  #metrics(value: unknown, path: string): void {
    const given = typeof value === "string"
      ? { on: value }
      : this.#fields(value, path, { on: "string", port: "integer" });
    if (given === undefined) return;
    const { on: address, port }: { on?: string; port?: string } = given;
    if (address === undefined) this.#report(path, "on is missing");
    else this.settings.push({ kind: "metrics", line: this.#lineOf(path), address, port });
  }

  #demote(value: unknown, path: string): void {
    const given = this.#fields(value, path, { file: "string", weight: "integer" });
    if (given === undefined) return;
    if (given.file === undefined) this.#report(path, "file is missing");
    else {
      const { file, weight } = given;
      this.settings.push({ kind: "demote", line: this.#lineOf(path), path: file, weight });
    }
  }

  /** `listen` takes addresses and tables: `listen = ["192.0.2.1", { on = "eth1", family = "inet", port = 500 }]`. */
  #listen(entry: unknown, path: string): void {
    const line = this.#lineOf(path);
    if (typeof entry === "string") {
      this.settings.push({ kind: "listen", line, target: entry, family: undefined, port: undefined });
      return;
    }
    const given = this.#fields(entry, path, { on: "string", family: "string", port: "integer" });
    if (given === undefined) return;
    if (given.on === undefined) this.#report(path, "on is missing");
    else {this.settings.push({
        kind: "listen",
        line,
        target: given.on,
        family: given.family,
        port: given.port,
      });}
  }

  #peer(entry: unknown, path: string): void {
    let key: KeySource | undefined;
    const readKey: ReadKey = (value, place) => key = this.#key(value, place);
    const types = { address: "string", port: "integer", role: "string", protocol: "string" } as const;
    const given = this.#fields(entry, path, types, { sharedkey: readKey });
    if (given === undefined) return;
    const { address: target, port, role, protocol } = given;
    if (target === undefined) this.#report(path, "address is missing");
    else this.settings.push({ kind: "peer", line: this.#lineOf(path), target, port, key, role, protocol });
  }

  /** A key is a string, or a table `{ file = "/path" }`. */
  #key(value: unknown, path: string): KeySource | undefined {
    if (typeof value === "string") return { kind: "text", text: value };
    if (!isTable(value)) {
      this.#report(path, 'must be a string or { file = "/path" }');
      return undefined;
    }
    const file = this.#fields(value, path, { file: "string" })?.file;
    if (file !== undefined) return { kind: "file", path: file };
    this.#report(path, "file is missing");
  }

  #nodeKey(kind: "sharedkey" | "sharedkey next"): ReadKey {
    return (value, path) => {
      const key = this.#key(value, path);
      if (key !== undefined) this.settings.push({ kind, line: this.#lineOf(path), key });
    };
  }

  #word(kind: WordKind): ReadKey {
    return (value, path) => {
      if (typeof value === "string") this.settings.push({ kind, line: this.#lineOf(path), value });
      else this.#report(path, "must be a string");
    };
  }

  #flag(setting: (line: number) => Setting): ReadKey {
    return (value, path) => {
      if (typeof value !== "boolean") this.#report(path, "must be true or false");
      else if (value) this.settings.push(setting(this.#lineOf(path)));
    };
  }

  #list(value: unknown, path: string, read: ReadKey): void {
    if (!Array.isArray(value)) this.#report(path, "must be a list");
    else value.forEach((entry: unknown, index) => read(entry, `${path}[${index + 1}]`));
  }

  /** Reads a table of strings and integers as words; `others` reads what is neither. */
  #fields<K extends string>(
    value: unknown,
    path: string,
    types: Readonly<Record<K, "string" | "integer">>,
    others: Readonly<Record<string, ReadKey>> = {},
  ): Partial<Record<K, string>> | undefined {
    const fields: Partial<Record<K, string>> = {};
    const readers: Record<string, ReadKey> = { ...others };
    for (const name in types) {
      readers[name] = (entry, place) => {
        const fits = types[name] === "string" ? typeof entry === "string" : Number.isSafeInteger(entry);
        if (fits) fields[name] = String(entry);
        else this.#report(place, `must be ${types[name] === "string" ? "a string" : "an integer"}`);
      };
    }
    return this.#table(value, path, readers) ? fields : undefined;
  }

  #table(value: unknown, path: string, readers: Readonly<Record<string, ReadKey>>): boolean {
    if (!isTable(value)) {
      this.#report(path, "must be a table");
      return false;
    }
    for (const [name, entry] of Object.entries(value)) {
      const place = path === "" ? name : `${path}.${name}`;
      if (Object.hasOwn(readers, name)) readers[name]?.(entry, place);
      else this.#unknown(place, path, name, Object.keys(readers));
    }
    return true;
  }

  #unknown(place: string, path: string, name: string, known: readonly string[]): void {
    const within = path === "" ? "" : `${path}: `;
    const message = `${within}unknown key ${quoteWord(name)}${didYouMean(name, known)}`;
    this.mistakes.push({ file: this.file, line: this.#lineOf(place), message });
  }

  #report(path: string, problem: string, line = this.#lineOf(path)): void {
    this.mistakes.push({ file: this.file, line, message: `${path}: ${problem}` });
  }

  /** The line of a key, else of the nearest thing around it that begins a line; 0 when none does. */
  #lineOf(path: string): number {
    for (let place = path; place !== ""; place = place.replace(/(^|\.[^.[]+|\[\d+\]|^[^.[]+)$/, "")) {
      const line = this.found.lines.get(place);
      if (line !== undefined) return line;
    }
    return 0;
  }
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
