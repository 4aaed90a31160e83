/** The commands of the running daemon, from the operator's side: asks, prints the answer, and says how to exit. */

import type { ControlCommand } from "../config/commands.ts";
import { PeerError, SyscallError } from "../errors.ts";
import type { ByteStream, Poller } from "../ports.ts";
import { type MonitorEvent, printEvent } from "../status/event.ts";
import { printPolicy, printSa } from "../status/print_records.ts";
import { printPeers, printStatus } from "../status/print_status.ts";
import { printVerify } from "../status/print_verify.ts";
import type { PolicyView, SaView } from "../status/record_view.ts";
import type { Paint } from "../status/text.ts";
import { EXIT_CODES, type VerifyView } from "../status/verify_view.ts";
import type { PeerView, StatusView } from "../status/view.ts";
import { ask, type JsonObject, PATIENCE_MS } from "./control_client.ts";

/** Where answers go. */
export interface Screen {
  /** A line of what was asked for. */
  print(line: string): void;
  /** How it goes: a line that the next one replaces; undefined: it is of no use any more. */
  progress(text: string | undefined): void;
  readonly paint: Paint;
}

/** What to ask. */
export interface ControlOrder {
  readonly command: ControlCommand;
  readonly json: boolean;
}

/** How it ended: the exit status, and what to say on stderr, if anything. */
export interface ControlOutcome {
  readonly code: 0 | 1 | 2;
  readonly problem?: string;
}

/** Prints one object of an answer as it comes; `end` prints what has to wait for all of them. */
interface Printer {
  take(data: JsonObject): void;
  end?(): void;
}

/** Has the daemon carry out a command, and prints what it answers. `connect` may throw SyscallError. */
export async function runControl(
  connect: () => ByteStream,
  poller: Poller,
  { command, json }: ControlOrder,
  screen: Screen,
): Promise<ControlOutcome> {
  const printer = json ? printJson(command, screen) : PRINTERS[command](screen);
  const patienceMs = command === "monitor" ? -1 : PATIENCE_MS;
  const say = json ? () => {} : command === "handover" ? screen.print : screen.progress;
  let code: ControlOutcome["code"] = 0;
  const take = (data: JsonObject) => {
    screen.progress(undefined);
    code = codeOf(data);
    printer.take(data);
  };
  try {
    const stream = connect();
    const problem = await ask({ stream, poller, command, patienceMs, say, take });
    screen.progress(undefined);
    if (problem !== undefined) return { code: 1, problem: `${command}: ${problem}` };
    printer.end?.();
    return { code };
  } catch (error) {
    if (error instanceof PeerError) return { code: 2, problem: `${command}: ${error.message}` };
    if (!(error instanceof SyscallError)) throw error;
    return { code: 2, problem: `${command}: no daemon answers: ${error.message}` };
  }
}

/** What was found decides, where it says what it comes to. */
function codeOf({ result }: JsonObject): ControlOutcome["code"] {
  return result === "different" || result === "unknown" ? EXIT_CODES[result] : 0;
}

/** Commands whose answer is that they are done. */
const SILENT: ReadonlySet<ControlCommand> = new Set(["handover", "reload", "log verbose", "log brief"]);

/** The casts say what the daemon sends: it is the same program. */
const PRINTERS: Readonly<Record<ControlCommand, (screen: Screen) => Printer>> = {
  "handover": printDone("handover"),
  "reload": printDone("reload"),
  "log verbose": printDone("log verbose"),
  "log brief": printDone("log brief"),
  "status": (screen) => printEach(screen, (data) => printStatus(data as unknown as StatusView, screen.paint)),
  "show sa": (screen) => printEach(screen, (data) => printSa(data as unknown as SaView, screen.paint)),
  "show policy": (screen) =>
    printEach(screen, (data) => printPolicy(data as unknown as PolicyView, screen.paint)),
  "show peers": (screen) => {
    const peers: PeerView[] = [];
    return {
      take: (data) => void peers.push(data as unknown as PeerView),
      end: () => printPeers(peers).forEach((line) => screen.print(line)),
    };
  },
  "verify": printFound,
  "resync": printFound,
  "monitor": (screen) => printEach(screen, (data) => printNow(data as unknown as MonitorEvent)),
};

function printFound(screen: Screen): Printer {
  return printEach(screen, (data) => printVerify(data as unknown as VerifyView, screen.paint));
}

/** An event behind the time of day. */
function printNow(event: MonitorEvent): string[] {
  const text = printEvent(event);
  return text === undefined ? [] : [`${new Date().toLocaleTimeString("en-GB")} ${text}`];
}

function printEach(screen: Screen, print: (data: JsonObject) => readonly string[]): Printer {
  return { take: (data) => print(data).forEach((line) => screen.print(line)) };
}

function printDone(command: ControlCommand): (screen: Screen) => Printer {
  return (screen) => ({ take() {}, end: () => screen.print(`${command}: done`) });
}

/** One object a line; what shows nothing says that it is done. */
function printJson(command: ControlCommand, screen: Screen): Printer {
  return {
    take: (data) => screen.print(JSON.stringify(data)),
    end: () => {
      if (SILENT.has(command)) screen.print('{"ok":true}');
    },
  };
}
