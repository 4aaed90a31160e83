/** The commands that go to a running daemon, as they are written on the command line. */

/** For each command the words that may follow it, one of them; none: it stands alone. */
const COMMANDS = {
  handover: [],
  reload: [],
  status: [],
  show: ["sa", "policy", "peers"],
  monitor: [],
  verify: [],
  resync: [],
  log: ["verbose", "brief"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

type First = keyof typeof COMMANDS;

/** A command with its word: `show sa`. It is what the control socket calls it, too. */
export type ControlCommand = {
  [K in First]: typeof COMMANDS[K][number] extends never ? K : `${K} ${typeof COMMANDS[K][number]}`;
}[First];

/** What the arguments begin with: a command, what is missing after one, or no command at all. */
export type FoundCommand =
  | { readonly kind: "command"; readonly command: ControlCommand; readonly rest: readonly string[] }
  | { readonly kind: "incomplete"; readonly reason: string }
  | { readonly kind: "none" };

/** Reads the command at the beginning of the arguments. */
export function findCommand([first = "", ...rest]: readonly string[]): FoundCommand {
  if (!Object.hasOwn(COMMANDS, first)) return { kind: "none" };
  // hasOwn has just shown that it is one of the names
  const name = first as First;
  const words: readonly string[] = COMMANDS[name];
  if (words.length === 0) return { kind: "command", command: name as ControlCommand, rest };
  const word = words.find((one) => one === rest[0]);
  if (word === undefined) return { kind: "incomplete", reason: `${name} takes ${listOf(words)}` };
  // each name with one of its own words is a command
  return { kind: "command", command: `${name} ${word}` as ControlCommand, rest: rest.slice(1) };
}

/** `sa, policy or peers`. */
function listOf(words: readonly string[]): string {
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
