/** The compiled program, where the daemon's user can read it: `deno task compile` makes it. */

const compiled = new URL("../../sasyncd", import.meta.url).pathname;

export const EXECUTABLE = isOpen(compiled) ? compiled : copyOf(compiled);

/** Whether everybody may go through all folders above a file. */
function isOpen(path: string): boolean {
  const folders = path.split("/").slice(1, -1).map((_, i, names) => `/${names.slice(0, i + 1).join("/")}`);
  return folders.every((folder) => (Deno.statSync(folder).mode! & 0o001) !== 0);
}

/** For a source that only root can see. Removed at the end. */
function copyOf(path: string): string {
  const folder = Deno.makeTempDirSync({ prefix: "sasyncd-" });
  addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  Deno.chmodSync(folder, 0o755);
  try {
    Deno.copyFileSync(path, `${folder}/sasyncd`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // it is not compiled yet: the tests say so
  }
  return `${folder}/sasyncd`;
}
