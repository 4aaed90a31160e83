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
 * Checks that a file that holds a secret is a regular file, belongs to root or to `userId`, who asks, and is closed
 * to all others. The daemon's user is not enough: the helper, as root, does what the file says.
 * @returns what is wrong with it, or undefined.
 */
export function fileProblem(facts: FileFacts, userId: number): string | undefined {
  if (!facts.isRegular) return "is not a regular file";
  const problems: string[] = [];
  if (facts.uid !== 0 && facts.uid !== userId) {
    problems.push(
      `is owned by uid ${facts.uid}, must be owned by ${userId === 0 ? "root" : `root or uid ${userId}`}`,
    );
  }
  if ((facts.mode & GROUP_AND_OTHERS) !== 0) {
    const mode = (facts.mode & 0o7777).toString(8).padStart(4, "0");
    problems.push(`has mode ${mode}, must be closed to group and others (chmod 0600)`);
  }
  return problems.length === 0 ? undefined : problems.join(" and ");
}
