/** What a codec has to be told of the machine: the time and the names of interfaces. */

/** Interfaces by index and name, as of now; undefined for one that is not there. */
export interface InterfaceNames {
  nameOf(index: number): string | undefined;
  indexOf(name: string): number | undefined;
}

/** Given to every decode and encode. */
export interface Surroundings {
  /** Seconds since 1970 of CLOCK_REALTIME, by which the kernel dates its records. */
  readonly nowSeconds: number;
  readonly interfaces: InterfaceNames;
}
