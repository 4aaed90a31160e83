/** The check that the original makes of its configuration file before it reads it; also made of key files. */

/** What stat(2) says of a file. */
export interface FileFacts {
  readonly uid: number;
  /** Permission bits; the bits of the type may stand above them. */
  readonly mode: number;
  readonly isRegular: boolean;
}

/** S_IRWXG and S_IRWXO. */
const GROUP_AND_OTHERS = 0o077;

/**
 * Checks that a file that holds a secret is a regular file, belongs to root or to `userUid` (the daemon's user;
 * undefined where there is none), and is closed to all others.
 * @returns what is wrong with it, or undefined.
 */
export function fileProblem(facts: FileFacts, userUid: number | undefined): string | undefined {
  if (!facts.isRegular) return "is not a regular file";
  const problems: string[] = [];
  if (facts.uid !== 0 && facts.uid !== userUid) {
    problems.push(`is owned by uid ${facts.uid}, must be owned by root or the daemon's user`);
  }
  if ((facts.mode & GROUP_AND_OTHERS) !== 0) {
    const mode = (facts.mode & 0o7777).toString(8).padStart(4, "0");
    problems.push(`has mode ${mode}, must be closed to group and others (chmod 0600)`);
  }
  return problems.length === 0 ? undefined : problems.join(" and ");
}
