/** The machine outside: boots guests (the script beside this file) and runs TypeScript in them. */

const GUEST = new URL("guest", import.meta.url).pathname;
const SETUP = new URL("../../../.ci/setup", import.meta.url).pathname;

/** True in the guest, false on the machine that boots it. */
export const INSIDE_GUEST = Deno.env.get("GUEST") === "1";

/** What a guest needs. */
export interface GuestSettings {
  /** Its memory; all that is written to files is in it, too. */
  memory: string;
  /** It is ended after so many seconds, boot included. */
  limitSeconds: number;
  /** It needs strongSwan's kernel-pfkey, which .ci/setup builds. */
  kernelPfkey?: boolean;
}

export const USUAL_GUEST: Readonly<GuestSettings> = { memory: "1G", limitSeconds: 300 };

/** Why this machine cannot run such a guest; empty when it can. */
export function whatIsMissing(settings: Partial<GuestSettings> = {}): string {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return "the guest's kernel is for Linux on x86_64";
  }
  if (Deno.uid() !== 0) return "only root can give a guest all files to read";
  const programs = ["/usr/bin/linux.uml", "/usr/lib/ipsec/charon", "/usr/sbin/swanctl", "/usr/sbin/ucarp"];
  const files = [...programs, "/usr/sbin/keepalived"].filter((path) => !isFile(path));
  if (files.length > 0) return `no ${files.join(", ")} (.ci/setup lab installs Debian's packages)`;
  return settings.kernelPfkey ? findKernelPfkey().missing : "";
}

/** strongSwan's kernel-pfkey, built first where it is not there yet: the path, or why there is none. */
export function findKernelPfkey(): { readonly path: string; readonly missing: string } {
  const { success, stdout, stderr } = new Deno.Command(SETUP, { args: ["kernel-pfkey"] }).outputSync();
  const [path, said] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  return { path: path ?? "", missing: success ? "" : said ?? "" };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Boots a guest and runs `deno ...args` in it, with the same project and the packages that are cached here. The guest
 * ends with us, however we end.
 * @param onOutput is given what the guest writes, as it comes
 * @returns the exit status: Deno's, or one of the script's own
 */
export async function runInGuest(
  args: readonly string[],
  settings: GuestSettings,
  onOutput: (text: string) => void,
): Promise<number> {
  const child = new Deno.Command("setpriv", {
    args: ["--pdeathsig", "TERM", GUEST, "-t", `${settings.limitSeconds}`, "-m", settings.memory]
      .concat(await denoInside(args)),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) onOutput(text);
  };
  const [{ code }] = await Promise.all([child.status, read(child.stdout), read(child.stderr)]);
  return code;
}

/** The command for the guest: Deno with a cache of its own, but for the packages, which it finds in ours. */
async function denoInside(args: readonly string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  // `deno info --json` without a file tells where things are kept.
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout)) as { npmCache: string };
  const script = 'mkdir /run/deno; ln -s "$1" /run/deno/npm; export DENO_DIR=/run/deno; shift; exec "$@"';
  return ["sh", "-c", script, "sh", npmCache, Deno.execPath(), ...args];
}
